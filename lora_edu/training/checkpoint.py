"""Checkpoints of a training run: everything needed to go on as if nothing had happened.

One safetensors file, replaced atomically: a process killed while it writes leaves the checkpoint
before it. It holds tensors and JSON, never pickled objects, so that a file from elsewhere cannot
run code. Of the model it holds the trainable parameters only; for LoRA that is a small file.
"""

from __future__ import annotations

import json
import random
import secrets
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lora_edu.files import atomic_write
from lora_edu.training.history import History
from lora_edu.training.optimizer import trainable_parameters
from lora_edu.training.processes import Processes

FORMAT = "lora_edu.checkpoint.1"


@dataclass
class RunState:
    """What changes while a model trains; the random states come on top.

    Args:
        model: With the weights as they are.
        optimizer: With its moments.
        scaler: With its scale.
        history: So far.
        best: The weights of the best evaluation, where `patience` asks for them.
        good: Weights that gave a finite loss, at most a tenth of the run ago; not saved.
        last_batch: The last one whose loss was finite; not saved.
        processes: Those that train it together; not saved.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    history: History
    best: dict[str, Tensor] = field(default_factory=dict)
    good: dict[str, Tensor] = field(default_factory=dict)
    last_batch: Any = None
    processes: Processes = field(default_factory=Processes)


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """Copies the trainable parameters to CPU memory."""
    parameters = trainable_parameters(model).items()
    return {name: p.detach().to("cpu", copy=True).contiguous() for name, p in parameters}


@torch.no_grad()
def restore(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Writes a snapshot back into the model's trainable parameters, in place."""
    for name, parameter in trainable_parameters(model).items():
        parameter.copy_(weights[name])


def frozen_checksum(model: nn.Module) -> int:
    """CRC-32 over the frozen parameters: a checkpoint fits only the base it was made on."""
    checksum = 0
    for parameter in model.parameters():
        if not parameter.requires_grad:
            flat = parameter.detach().cpu().contiguous().flatten()
            checksum = zlib.crc32(flat.view(torch.uint8).numpy(), checksum)
    return checksum


def save_checkpoint(path: str | Path, state: RunState, settings: dict[str, Any]) -> None:
    """Writes the state, the random states and the run's settings to one file, atomically.

    Of several processes the first writes, and all have to call this.

    Raises:
        OSError: the disk is full, or the file cannot be written; an old one is still there then.
    """
    everyones = state.processes.gather(_random_state(torch.device(state.history.device)))
    if state.processes.rank > 0:
        return
    tensors = {f"model.{name}": tensor for name, tensor in snapshot(state.model).items()}
    for name, parameter in trainable_parameters(state.model).items():
        for key, tensor in state.optimizer.state[parameter].items():
            tensors[f"optimizer.{name}.{key}"] = tensor.contiguous()
    tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
    metadata = {
        "format": FORMAT,
        "settings": json.dumps(settings),
        "history": json.dumps(state.history.to_dict()),
        "scaler": json.dumps(state.scaler.state_dict()),
    }
    for rank, (drawn, numbers) in enumerate(everyones):
        tensors |= {f"{_random(rank)}.{name}": tensor for name, tensor in drawn.items()}
        metadata[_random(rank)] = json.dumps(numbers)
    try:
        with atomic_write(Path(path)) as temporary:
            save_file(tensors, temporary, metadata=metadata)
    except SafetensorError as error:  # the library's word for a disk that is full
        raise OSError(str(error)) from error


def try_to_save(path: str | Path, state: RunState, settings: dict[str, Any]) -> None:
    """Saves a checkpoint, or warns: a full disk is no reason to lose the hours behind it."""
    try:
        save_checkpoint(path, state, settings)
    except OSError as error:
        warnings.warn(
            f"step {state.history.last_step}: the checkpoint {path} could not be saved ({error}). "
            "Training goes on; make room, and the next save may succeed. The checkpoint before "
            "it, if there was one, is still there",
            stacklevel=3,
        )


def check_writable(path: str | Path) -> None:
    """Makes the folder of a checkpoint and tries to write there, before a run begins.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(path)
    probe = path.with_name(f".{path.name}.{secrets.token_hex(4)}.probe")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OSError(
            error.errno,
            f"checkpoint={str(path)!r} cannot be written: {error.strerror}; give a path in a "
            "folder of your own",
        ) from error


def load_checkpoint(path: str | Path, state: RunState, settings: dict[str, Any]) -> None:
    """Reads a checkpoint into `state` and the random number generators, in place.

    Raises:
        ValueError: the file is no checkpoint, or it was made with other settings.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); delete it and start anew") from None
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} is not a checkpoint of fit (format {metadata.get('format')!r}, "
            f"expected {FORMAT!r}); give another path"
        )
    _check_settings(path, json.loads(metadata["settings"]), json.loads(json.dumps(settings)))
    restore(state.model, _part(tensors, "model."))
    fused = state.optimizer.defaults["fused"]
    for name, parameter in trainable_parameters(state.model).items():
        for key, tensor in _part(tensors, f"optimizer.{name}.").items():
            if key == "step":
                kept = tensor.to(parameter.device if fused else "cpu")
            else:  # a moment, in the parameter's memory layout: a fused AdamW counts on it
                kept = torch.empty_like(parameter, requires_grad=False).copy_(tensor)
            state.optimizer.state[parameter][key] = kept
    state.best = _part(tensors, "best.")
    device = torch.device(state.history.device)  # this run's: the one before may have had another
    state.history.__dict__.update(json.loads(metadata["history"]) | {"device": str(device)})
    state.scaler.load_state_dict(json.loads(metadata["scaler"]))
    own = _random(state.processes.rank)
    if own not in metadata:  # there were fewer processes: this one draws on from its seed
        return
    version, numbers, gauss = json.loads(metadata[own])
    random.setstate((version, tuple(numbers), gauss))
    torch.set_rng_state(tensors[f"{own}.torch"])
    if f"{own}.cuda" in tensors and device.type == "cuda":
        torch.cuda.set_rng_state(tensors[f"{own}.cuda"], device)


def _random(rank: int) -> str:
    """What a process' random states are called in the file: those of one alone have no number."""
    return f"random.{rank}" if rank else "random"


def _random_state(device: torch.device) -> tuple[dict[str, Tensor], Any]:
    """The states of torch's generators and of Python's."""
    drawn = {"torch": torch.get_rng_state()}
    if device.type == "cuda":
        drawn["cuda"] = torch.cuda.get_rng_state(device)
    return drawn, random.getstate()


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with a prefix, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _check_settings(path: str | Path, saved: dict[str, Any], given: dict[str, Any]) -> None:
    for name, value in given.items():
        if saved[name] != value:
            raise ValueError(
                f"{path} was made with {name}={saved[name]!r}, this run has {value!r}; "
                "give the same, or another checkpoint path"
            )
