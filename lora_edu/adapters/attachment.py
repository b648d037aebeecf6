"""Adapters as things of their own: save one, load it, attach it to a base, switch, take it off.

The base is never touched. Attaching replaces some layers of a model by `LinearWithLoRA`, which
keep the original layer inside; detaching puts the very same modules back. To merge an attached
adapter into the weights and back, see `lora.merge` and `lora.unmerge`.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.files import check_base, read_adapter, write_adapter
from lora_edu.adapters.layers import REPLACED_HEADS, base_modules, new_layers, swap_modules
from lora_edu.lora import lora_layers, merge, scaling_factor, unmerge
from lora_edu.targets import linear_dtype


def save_adapter(
    model: nn.Module,
    folder: str | Path,
    *,
    base_fingerprint: str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Saves what was trained, A and B and a new head, as two files in PEFT's layout.

    Every `LinearWithLoRA` is saved, and every other linear layer that is trainable: that is the
    head. A crash at any moment leaves the old adapter or the new one, whole.

    Args:
        model: A model with LoRA layers on a frozen base.
        folder: Where to; made if need be, an adapter there is replaced.
        base_fingerprint: `base_fingerprint("mini")` for example; loading can then refuse a base
            that the adapter was not trained on.
        dtype: float32, or float16 for half the bytes.

    Raises:
        AdapterError: nothing to save, ranks or scalings differ between layers, a number is not
            finite in `dtype`, or parts of the base are trainable and would be lost.
        OSError: the folder cannot be written.
    """
    if dtype not in (torch.float32, torch.float16):
        raise AdapterError(f"dtype must be torch.float32 or torch.float16, got {dtype}")
    layers = lora_layers(model)
    if not layers:
        raise AdapterError("model has no LoRA layer; call replace_linear_with_lora first")
    if "" in layers:
        raise AdapterError(
            "model is the LoRA layer itself, which has no name to be saved under; put it into "
            "nn.Sequential, or save the model that holds it"
        )
    kinds = {(layer.lora.rank, layer.lora.alpha, layer.lora.scaling) for layer in layers.values()}
    if len(kinds) > 1:
        raise AdapterError(
            f"layers differ in (rank, alpha, scaling): {sorted(kinds)}; one file holds one of each"
        )
    rank, alpha, scaling = kinds.pop()

    def stored(name: str, tensor: Tensor) -> Tensor:
        result = tensor.detach().to("cpu", dtype, copy=True)
        if not torch.isfinite(result).all():
            raise AdapterError(
                f"{name} holds numbers that are not finite in {dtype}; if training diverged, "
                "lower lr; if they are merely large, save with dtype=torch.float32"
            )
        return result

    adapter = Adapter(
        rank=rank,
        alpha=float(alpha),
        scaling=scaling,
        matrices={
            name: (stored(f"{name}.A", layer.lora.A), stored(f"{name}.B", layer.lora.B))
            for name, layer in layers.items()
        },
        heads={
            name: {part: stored(f"{name}.{part}", p) for part, p in head.named_parameters()}
            for name, head in _trained_heads(model).items()
        },
        base_fingerprint=base_fingerprint,
    )
    return write_adapter(adapter, folder)


def _trained_heads(model: nn.Module) -> dict[str, nn.Module]:
    """The layers outside LoRA that were trained in full."""
    layers = lora_layers(model)
    of_lora = {id(p) for layer in layers.values() for p in layer.lora.parameters()}
    bases = {id(layer.linear) for layer in layers.values()}
    replaced = getattr(model, REPLACED_HEADS, {})
    heads, unsaved = {}, []
    for name, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False))
        trained = [part for part, p in own.items() if p.requires_grad and id(p) not in of_lora]
        whole = isinstance(module, nn.Linear) and id(module) not in bases
        if name in replaced or (whole and trained and len(trained) == len(own)):
            heads[name] = module
        else:
            unsaved += [f"{name}.{part}" for part in trained]
    if unsaved:
        raise AdapterError(
            f"{len(unsaved)} parameters of the base are trainable, {unsaved[0]!r} for one, and an "
            "adapter cannot hold them; call freeze(model) before replace_linear_with_lora or attach"
        )
    return heads


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


def attach(model: nn.Module, adapter: Adapter) -> None:
    """Puts an adapter on a model, in place: W x becomes W x + multiplier · x A B.

    The base's layers stay, inside the new ones. A stored head takes the place of the model's;
    its output may have another width (a language model becomes a classifier).

    Raises:
        AdapterError: the model has an adapter already, lacks a layer, or a shape differs. The
            model is unchanged then.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3))
        >>> pair = (torch.ones(4, 1), torch.ones(1, 3))
        >>> attach(model, Adapter(1, 2.0, "alpha", {"0": pair}))
        >>> detach(model)
        >>> list(model.state_dict())
        ['0.weight', '0.bias']
    """
    if lora_layers(model):
        raise AdapterError(
            "model has LoRA layers already; call detach(model) first, or switch(model, adapter)"
        )
    _install(model, adapter, new_layers(base_modules(model), adapter))


def switch(model: nn.Module, adapter: Adapter) -> None:
    """Takes the adapter off that is on a model, if any, and puts another one on, in place.

    Nothing of the first one remains: it is as if the second had been attached to the bare base.

    Raises:
        AdapterError: as for `attach`; the model keeps the adapter that it has then.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3))
        >>> pair = (torch.ones(4, 1), torch.ones(1, 3))
        >>> switch(model, Adapter(1, 2.0, "alpha", {"0": pair}))
        >>> switch(model, Adapter(1, 5.0, "alpha", {"0": pair}))
        >>> model[0].lora.alpha
        5.0
    """
    new = new_layers(base_modules(model), adapter)  # whatever is wrong shows here
    if lora_layers(model):
        detach(model)
    _install(model, adapter, new)


def _install(model: nn.Module, adapter: Adapter, new: dict[str, nn.Module]) -> None:
    modules = dict(model.named_modules())
    setattr(model, REPLACED_HEADS, {name: modules[name] for name in adapter.heads})
    swap_modules(model, {modules[name]: layer for name, layer in new.items()})


def merge_and_unload(model: nn.Module) -> None:
    """Puts the updates into the weights for good, in place, and takes the LoRA layers away.

    What is left is a model without adapters, which `save_pretrained` can save if its head is the
    tied one still. There is no way back: save the adapter first. PEFT has a method of that name.
    `detach` is the other way to remove an adapter: it leaves the base.

    Raises:
        AdapterError: there is no adapter on the model, or the model is the LoRA layer itself.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3))
        >>> attach(model, Adapter(1, 2.0, "alpha", {"0": (torch.ones(4, 1), torch.ones(1, 3))}))
        >>> adapted = model(torch.ones(1, 4))
        >>> merge_and_unload(model)
        >>> type(model[0]).__name__, torch.allclose(model(torch.ones(1, 4)), adapted)
        ('Linear', True)
    """
    layers = lora_layers(model).values()
    if not layers:
        raise AdapterError("model has no LoRA layer: nothing to merge")
    if model in layers:
        raise AdapterError(
            "model is the LoRA layer itself; call model.merge(), then take model.linear"
        )
    merge(model)
    swap_modules(model, {layer: layer.linear for layer in layers})
    if hasattr(model, REPLACED_HEADS):  # the adapter's head is the model's own now
        delattr(model, REPLACED_HEADS)


def detach(model: nn.Module) -> None:
    """Takes the adapter off, in place: the model's own modules return, the very same objects.

    A merged adapter is unmerged first. A head that you put on the model yourself stays.

    Raises:
        AdapterError: there is no adapter on the model.
    """
    layers = lora_layers(model)
    if not layers:
        raise AdapterError("model has no LoRA layer: nothing to detach")
    if any(layer.merged for layer in layers.values()):
        unmerge(model)
    swaps: dict[nn.Module, nn.Module] = {layer: layer.linear for layer in layers.values()}
    for name, head in getattr(model, REPLACED_HEADS, {}).items():
        on_the_model = model.get_submodule(name)
        # The model may have moved meanwhile.
        device, dtype = on_the_model.weight.device, linear_dtype(on_the_model)
        swaps[on_the_model] = head.to(device, dtype)
    swap_modules(model, swaps)
    if hasattr(model, REPLACED_HEADS):
        delattr(model, REPLACED_HEADS)


def set_strength(model: nn.Module, strength: float) -> None:
    """Sets what every update is multiplied by, in place: W x + strength · multiplier · x A B.

    At 0 the output is the base's, bit for bit; at 1 the adapter's; below 0 the update is
    subtracted. A trained head has no strength and stays.

    Raises:
        AdapterError: `strength` is not finite, or the model has no adapter or a merged one.
    """
    if not math.isfinite(strength):
        raise AdapterError(f"strength must be finite, got {strength}")
    layers = lora_layers(model)
    if not layers:
        raise AdapterError("model has no LoRA layer; attach an adapter first")
    if any(layer.merged for layer in layers.values()):
        raise AdapterError("the adapter is merged into the base; call unmerge(model) first")
    for layer in layers.values():
        lora = layer.lora
        lora.multiplier = float(strength) * scaling_factor(lora.alpha, lora.rank, lora.scaling)
