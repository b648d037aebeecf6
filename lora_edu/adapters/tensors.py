"""The tensors of a file that an adapter comes from or goes to.

PEFT stores A and B transposed to ours: `lora_A.weight` (rank, in), `lora_B.weight` (out, rank). A
layer under `modules_to_save` is stored whole, under the names of its state dict. Where the output
layer of a language model is adapted, PEFT adds the base's own weight: `base_layer.weight`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.config import AdapterConfig

PREFIX = "base_model.model."
HALVES = {".lora_A.weight": "A", ".lora_B.weight": "B"}
BASE = ".base_layer."  # then "weight" or "bias"
# PEFT's adapters come in these types; a matrix of integers is no adapter.
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
MAX_NAME_CHARACTERS = 1_000  # of a tensor; those of real models have about 70
Matrices = dict[str, tuple[Tensor, Tensor]]
Layers = dict[str, dict[str, Tensor]]


class Parts(NamedTuple):
    """What the tensors of a file are, by name of a layer: as in `Adapter`."""

    matrices: Matrices
    heads: Layers
    base_tensors: Layers


def to_tensors(adapter: Adapter) -> dict[str, Tensor]:
    """Names and lays out an adapter's tensors as PEFT does.

    Raises:
        AdapterError: a name is so long that it could not be read back.
    """
    tensors = {}
    for name, (a, b) in adapter.matrices.items():
        tensors[f"{PREFIX}{name}.lora_A.weight"] = a.T.contiguous()
        tensors[f"{PREFIX}{name}.lora_B.weight"] = b.T.contiguous()
    for name, parts in adapter.base_tensors.items():
        tensors |= {f"{PREFIX}{name}{BASE}{part}": tensor for part, tensor in parts.items()}
    for name, parts in adapter.heads.items():
        tensors |= {f"{PREFIX}{name}.{part}": tensor.contiguous() for part, tensor in parts.items()}
    longest = max(tensors, key=len)
    if len(longest) > MAX_NAME_CHARACTERS:
        raise AdapterError(
            f"tensor {longest[:60]!r}… would have a name of {len(longest)} characters, at most "
            f"{MAX_NAME_CHARACTERS} are read; nest the model's modules less deeply"
        )
    return tensors


def from_tensors(tensors: dict[str, Tensor], config: AdapterConfig) -> Parts:
    """Splits a file's tensors into pairs (A, B) and layers stored whole, in our orientation.

    Raises:
        AdapterError: a tensor is unknown, missing, misshapen, not finite or not floating point.
    """
    halves: Layers = {}
    heads: Layers = {}
    base_tensors: Layers = {}
    for name, tensor in tensors.items():
        path = name.removeprefix(PREFIX)
        if not name.startswith(PREFIX) or len(name) > MAX_NAME_CHARACTERS or not _is_path(path):
            raise _unknown(name, config)
        head = _head_of(path, config.heads + config.heads_if_there)
        _check_numbers(name, tensor, may_count=head is not None)
        layer, half = path[:-14], HALVES.get(path[-14:])
        if half and (head is None or path.rpartition(".")[0] not in config.heads):
            if tensor.dim() != 2:
                raise AdapterError(f"tensor {name!r} has {tensor.dim()} dimensions; expected 2")
            halves.setdefault(layer, {})[half] = tensor.T
        elif head is not None:
            heads.setdefault(head, {})[path[len(head) + 1 :]] = tensor
        elif path.endswith((f"{BASE}weight", f"{BASE}bias")):
            layer, _, part = path.rpartition(BASE)
            base_tensors.setdefault(layer, {})[part] = tensor
        else:
            raise _unknown(name, config)
    matrices = {layer: _pair(layer, pair, config.rank_of(layer)) for layer, pair in halves.items()}
    parts = Parts(matrices, heads, base_tensors)
    _check_complete(parts, config)
    return parts


def _is_path(path: str) -> bool:
    """Whether a name can be that of a tensor of a model: no empty part, nothing unprintable."""
    return all(path.split(".")) and "." in path and path.isprintable()


def _head_of(path: str, names: tuple[str, ...]) -> str | None:
    """The layer under modules_to_save that a tensor is of.

    Our files list whole names. PEFT takes every layer whose path ends in one, even in mid-word.
    """
    parts = path.split(".")
    layers = [".".join(parts[:n]) for n in range(1, len(parts))]
    whole = [layer for layer in layers if layer in names]
    return next(iter(whole or [layer for layer in layers if layer.endswith(names)]), None)


def _check_numbers(name: str, tensor: Tensor, *, may_count: bool) -> None:
    """Refuses integers, but for those of a stored layer: BatchNorm counts its batches."""
    if tensor.dtype not in _DTYPES and not (may_count and tensor.dtype == torch.int64):
        raise AdapterError(f"tensor {name!r:.100} holds {tensor.dtype}; expected floating point")
    if not torch.isfinite(tensor).all():
        raise AdapterError(
            f"tensor {name!r:.100} is not finite: training diverged, or it is damaged"
        )


def _unknown(name: str, config: AdapterConfig) -> AdapterError:
    if ".lora_embedding_" in name:
        return AdapterError(
            f"tensor {name!r:.100} adapts an embedding, which is not supported; train with other "
            "target_modules, or store the embedding whole under modules_to_save"
        )
    return AdapterError(
        f"unknown tensor {name!r:.100}: neither a pair lora_A, lora_B nor part of a layer under "
        f"modules_to_save {list(config.heads)!r:.100}; where PEFT added the base's embeddings, "
        "save the adapter with save_embedding_layers=False"
    )


def _pair(layer: str, pair: dict[str, Tensor], rank: int) -> tuple[Tensor, Tensor]:
    if set(pair) != {"A", "B"}:
        missing = "B" if "A" in pair else "A"
        raise AdapterError(f"layer {layer!r:.100} has no lora_{missing}; save the adapter again")
    a, b = pair["A"], pair["B"]
    if a.shape[1] != rank or b.shape[0] != rank:
        raise AdapterError(
            f"layer {layer!r:.100}: lora_A has rank {a.shape[1]} and lora_B {b.shape[0]}, but r is "
            f"{str(rank):.60} in its configuration"
        )
    return a, b


def _check_complete(parts: Parts, config: AdapterConfig) -> None:
    matrices, heads, base_tensors = parts
    if not matrices:
        raise AdapterError("the adapter holds no lora_A and lora_B at all")
    for layer in base_tensors:
        if layer not in matrices:
            raise AdapterError(
                f"the adapter holds the base's own {layer!r:.100}, but no lora_A and lora_B for it"
            )
    for layer in matrices:
        if config.targets and not matches(layer, config.targets):
            raise AdapterError(f"layer {layer!r:.100} has matrices but is not in target_modules")
        if any(is_inside(layer, head) for head in heads):
            raise AdapterError(
                f"layer {layer!r:.100} has matrices, but is stored whole under modules_to_save too"
            )
    stored = [f".{head}.{part}." for head in heads for part in heads[head]]
    for name in config.targets:
        adapted = any(matches(layer, (name,)) for layer in matrices)
        if not adapted and not any(f".{name}." in path for path in stored):  # listed in both
            raise _holds_nothing("target_modules", name)
    for name in config.heads:
        if not any(head.endswith(name) for head in heads):
            raise _holds_nothing("modules_to_save", name)


def _holds_nothing(field: str, name: str) -> AdapterError:
    return AdapterError(f"{field} lists {name!r:.100}, but the adapter holds nothing for it")


def is_inside(layer: str, other: str) -> bool:
    """Whether a layer is another one, or a part of it."""
    return f"{layer}.".startswith(f"{other}.")


def matches(module: str, names: tuple[str, ...]) -> bool:
    """Whether a layer's full name is one of these names or ends in one, as PEFT reads a list."""
    return any(module == name or module.endswith("." + name) for name in names)
