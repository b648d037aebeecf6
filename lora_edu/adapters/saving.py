"""From a model to an adapter, from an adapter to files, and back from files.

adapter = adapter_of(model)                 # copies; the model goes on
save_adapter(adapter, "adapters/mine")      # or save_adapter(model, …) in one
adapter = load_adapter("adapters/mine")     # then attach(model, adapter)
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from lora_edu.adapters.adapter import Adapter, AdapterError, with_common_values
from lora_edu.adapters.files import check_base, read_adapter, write_adapter
from lora_edu.adapters.layers import adapted_layers
from lora_edu.adapters.trained import named_parts, stored_whole
from lora_edu.lora import LinearWithLoRA, scaling_factor

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def adapter_of(model: nn.Module, *, base_fingerprint: str | None = None) -> Adapter:
    """Takes a copy of all that makes a model differ from its base: A, B, and what else learned.

    What else: linear layers that are trainable, or have changed since LoRA was put on the model
    (a new head, frozen or not); modules whose buffers have moved; and the strength. Any other
    change is refused. Names are those of the plain model, whatever torch has put around it.

    What nobody can see: a layer without numbers of its own that was exchanged, a change of a few
    numbers of a large matrix, and a change before LoRA was put on: give the head to the base
    afterwards, or to every base that the adapter will go onto.

    Args:
        model: With LoRA layers on a frozen base, merged or not.
        base_fingerprint: `base_fingerprint("mini")` for example; loading can then refuse a base
            that the adapter was not trained on.

    Raises:
        AdapterError: the model has no LoRA layer, differs from its base in what an adapter does
            not hold, or is sharded over processes.

    Example:
        >>> from lora_edu.lora import replace_linear_with_lora
        >>> model = nn.Sequential(nn.Linear(4, 3)).requires_grad_(False)
        >>> _ = replace_linear_with_lora(model, rank=2, alpha=4)
        >>> [tuple(matrix.shape) for matrix in adapter_of(model).matrices["0"]]
        [(4, 2), (2, 3)]
    """
    layers = adapted_layers(model)
    if not layers:
        raise AdapterError("model has no LoRA layer; call replace_linear_with_lora first")
    if "" in layers:
        raise AdapterError(
            "model is the LoRA layer itself, which has no name to be saved under; put it into "
            "nn.Sequential, or save the model that holds it"
        )
    for name, layer in layers.items():
        _check_whole(name, layer)
    matrices = {n: (_copy(layer.lora.A), _copy(layer.lora.B)) for n, layer in layers.items()}
    heads = {
        name: {part: _copy(tensor) for part, tensor in named_parts(module).items()}
        for name, module in stored_whole(model).items()
    }
    return Adapter(
        **_scaling_of(layers, matrices),
        matrices=matrices,
        heads=heads,
        base_fingerprint=base_fingerprint,
    )


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)


def _check_whole(name: str, layer: LinearWithLoRA) -> None:
    """Refuses what FSDP has cut up, and what has no numbers."""
    rank = layer.lora.rank
    for part, at in (("A", 1), ("B", 0)):
        tensor = getattr(layer.lora, part)
        if hasattr(tensor, "full_tensor") or tensor.dim() != 2 or tensor.shape[at] != rank:
            raise AdapterError(
                f"{name}.{part} is sharded over processes; gather the model's state dict (torch."
                "distributed.checkpoint.state_dict), load it into a plain model, and save that"
            )
        if tensor.is_meta:
            raise AdapterError(f"{name}.{part} is on the meta device: it has no numbers to save")


def _scaling_of(
    layers: dict[str, LinearWithLoRA], matrices: dict[str, tuple[Tensor, Tensor]]
) -> dict[str, object]:
    """How each layer is scaled: as it was made, else by the multiplier itself (a strength)."""
    as_made = {layer.lora.scaling for layer in layers.values()}
    alphas = {name: float(layer.lora.alpha) for name, layer in layers.items()}
    scaling = as_made.pop() if len(as_made) == 1 else None
    if scaling is None or any(
        layer.lora.multiplier != scaling_factor(alphas[name], layer.lora.rank, scaling)
        for name, layer in layers.items()
    ):
        scaling = "alpha"
        alphas = {name: float(layer.lora.multiplier) for name, layer in layers.items()}
    return with_common_values(matrices, alphas) | {"scaling": scaling}


def save_adapter(
    model: nn.Module | Adapter,
    folder: str | Path,
    *,
    base_fingerprint: str | None = None,
    base_model: str | Path | None = None,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Saves an adapter, or that of a model, as two files in PEFT's layout.

    A crash at any moment leaves the old adapter or the new one, whole.

    Args:
        model: As for `adapter_of`; or an `Adapter`, such as `load_adapter` and `blend` return.
        folder: Where to; made if need be, an adapter there is replaced.
        base_fingerprint: As for `adapter_of`; None leaves that of an `Adapter` as it is.
        base_model: Name or folder of the causal language model of transformers beneath it. PEFT's
            `AutoPeftModelForCausalLM` then finds it. None leaves that of an `Adapter` as it is.
        dtype: float32, or bfloat16 or float16 for half the bytes.

    Raises:
        AdapterError: as `adapter_of`, or a number is not finite in `dtype`, or the adapter has
            another fingerprint.
        OSError: the folder cannot be written.
        ValueError: `folder` is empty.
    """
    if dtype not in DTYPES:
        raise AdapterError(f"dtype must be one of {DTYPES}, got {dtype}")
    adapter = model if isinstance(model, Adapter) else adapter_of(model)
    if base_fingerprint is not None:
        if adapter.base_fingerprint not in (None, base_fingerprint):
            raise AdapterError(
                f"the adapter was trained on the base {adapter.base_fingerprint[:12]}…, not on "
                f"{base_fingerprint[:12]}…; leave base_fingerprint out, or train it again"
            )
        adapter = replace(adapter, base_fingerprint=base_fingerprint)
    if base_model is not None:
        adapter = replace(adapter, base_model=str(base_model))
    return write_adapter(_in_dtype(adapter, dtype), folder)


def _in_dtype(adapter: Adapter, dtype: torch.dtype) -> Adapter:
    """The adapter with all its numbers in one type; counts, as BatchNorm has, stay whole."""

    def stored(name: str, tensor: Tensor) -> Tensor:
        to = dtype if tensor.is_floating_point() else tensor.dtype
        result = tensor.detach().to("cpu", to, copy=True)
        if not torch.isfinite(result).all():
            raise AdapterError(
                f"{name} holds numbers that are not finite in {dtype}; if training diverged, "
                "lower lr; if they are merely large, save with dtype=torch.float32"
            )
        return result

    def layers(of: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
        return {
            name: {part: stored(f"{name}.{part}", tensor) for part, tensor in parts.items()}
            for name, parts in of.items()
        }

    return replace(
        adapter,
        matrices={
            name: (stored(f"{name}.A", a), stored(f"{name}.B", b))
            for name, (a, b) in adapter.matrices.items()
        },
        heads=layers(adapter.heads),
        base_tensors=layers(adapter.base_tensors),
    )


def load_adapter(folder: str | Path, *, base_fingerprint: str | None = None) -> Adapter:
    """Reads an adapter, ours or PEFT's, checking all that can be checked without the model.

    Args:
        folder: With `adapter_config.json` and `adapter_model.safetensors`.
        base_fingerprint: Of the base you will attach it to; another base is refused. An adapter
            that states none, such as PEFT's, loads with a warning.

    Raises:
        AdapterError: a file is missing, truncated, altered or not finite, the configuration is
            wrong or switches on what we do not have, or the base is another one.
    """
    adapter = read_adapter(folder)
    check_base(folder, adapter.base_fingerprint, base_fingerprint)
    return adapter
