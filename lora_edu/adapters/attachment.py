"""An adapter on a model: attach it to a base, switch, set its strength, take it off again.

The base is never touched. Attaching replaces some layers of a model by `LinearWithLoRA`, which
keep the original layer inside; detaching puts the very same modules back. To merge an attached
adapter into the weights and back, see `lora.merge` and `lora.unmerge`. A model that torch has put
something around (`torch.compile`, `DataParallel`) is treated as the plain one inside.
"""

from __future__ import annotations

import math

from torch import nn

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.layers import (
    REPLACED_HEADS,
    adapted_layers,
    base_modules,
    check_exchangeable,
    new_layers,
    swap_modules,
)
from lora_edu.base import forget_base, plain_modules, remember_base, unwrapped
from lora_edu.lora import merge, scaling_factor, unmerge


def attach(model: nn.Module, adapter: Adapter) -> None:
    """Puts an adapter on a model, in place: W x becomes W x + multiplier · x A B.

    The base's layers stay, inside the new ones. A stored head takes the place of the model's;
    its output may have another width (a language model becomes a classifier).

    Raises:
        AdapterError: the model has an adapter already, lacks a layer, or a shape differs. The
            model is unchanged then.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(4, 3))
        >>> pair = (torch.ones(4, 1), torch.ones(1, 3))
        >>> attach(model, Adapter(1, 2.0, "alpha", {"0": pair}))
        >>> detach(model)
        >>> list(model.state_dict())
        ['0.weight', '0.bias']
    """
    model = unwrapped(model)
    if adapted_layers(model):
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
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(4, 3))
        >>> pair = (torch.ones(4, 1), torch.ones(1, 3))
        >>> switch(model, Adapter(1, 2.0, "alpha", {"0": pair}))
        >>> switch(model, Adapter(1, 5.0, "alpha", {"0": pair}))
        >>> model[0].lora.alpha
        5.0
    """
    model = unwrapped(model)
    new = new_layers(base_modules(model), adapter)  # whatever is wrong shows here
    check_exchangeable(model, {base_modules(model)[name]: layer for name, layer in new.items()})
    if adapted_layers(model):
        detach(model)
    _install(model, adapter, new)


def _install(model: nn.Module, adapter: Adapter, new: dict[str, nn.Module]) -> None:
    modules = plain_modules(model)
    swaps = {modules[name]: layer for name, layer in new.items()}
    check_exchangeable(model, swaps)
    remember_base(model)
    setattr(model, REPLACED_HEADS, {name: modules[name] for name in adapter.heads})
    swap_modules(model, swaps)


def merge_and_unload(model: nn.Module) -> None:
    """Puts the updates into the weights for good, in place, and takes the LoRA layers away.

    What is left is a model without adapters, which `save_pretrained` can save if its head is the
    tied one still. There is no way back: save the adapter first. PEFT has a method of that name.
    `detach` is the other way to remove an adapter: it leaves the base.

    Raises:
        AdapterError: there is no adapter on the model, or the model is the LoRA layer itself.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(4, 3))
        >>> attach(model, Adapter(1, 2.0, "alpha", {"0": (torch.ones(4, 1), torch.ones(1, 3))}))
        >>> adapted = model(torch.ones(1, 4))
        >>> merge_and_unload(model)
        >>> type(model[0]).__name__, torch.allclose(model(torch.ones(1, 4)), adapted)
        ('Linear', True)
    """
    model = unwrapped(model)
    layers = adapted_layers(model).values()
    if not layers:
        raise AdapterError("model has no LoRA layer: nothing to merge")
    if model in layers:
        raise AdapterError(
            "model is the LoRA layer itself; call model.merge(), then take model.linear"
        )
    swaps: dict[nn.Module, nn.Module] = {layer: layer.linear for layer in layers}
    check_exchangeable(model, swaps)
    merge(model)
    swap_modules(model, swaps)
    forget_base(model)
    vars(model).pop(REPLACED_HEADS, None)  # the adapter's head is the model's own now


def detach(model: nn.Module) -> None:
    """Takes the adapter off, in place: the model's own modules return, the very same objects.

    A merged adapter is unmerged first. A head that you put on the model yourself stays.

    Raises:
        AdapterError: there is no adapter on the model.
    """
    model = unwrapped(model)
    layers = adapted_layers(model)
    if not layers:
        raise AdapterError("model has no LoRA layer: nothing to detach")
    if model in layers.values():
        raise AdapterError("model is the LoRA layer itself; take model.linear")
    swaps: dict[nn.Module, nn.Module] = {layer: layer.linear for layer in layers.values()}
    modules = plain_modules(model)
    replaced = getattr(model, REPLACED_HEADS, {})
    check_exchangeable(model, swaps | {modules[name]: head for name, head in replaced.items()})
    if any(layer.merged for layer in layers.values()):
        unmerge(model)
    for name, head in replaced.items():
        swaps[modules[name]] = _moved_like(head, modules[name])
    swap_modules(model, swaps)
    forget_base(model)
    vars(model).pop(REPLACED_HEADS, None)


def _moved_like(kept: nn.Module, on_the_model: nn.Module) -> nn.Module:
    """The module that was kept aside, where the model may have moved meanwhile."""
    for now in on_the_model.state_dict().values():
        if now.is_floating_point():
            return kept.to(now.device, getattr(on_the_model, "outer_dtype", now.dtype))
    return kept


def set_strength(model: nn.Module, strength: float) -> None:
    """Sets what every update is multiplied by, in place: W x + strength · multiplier · x A B.

    At 0 the output is the base's, bit for bit; at 1 the adapter's; below 0 the update is
    subtracted. A trained head has no strength and stays.

    Raises:
        AdapterError: `strength` is not finite, or the model has no adapter or a merged one.
    """
    if not math.isfinite(strength):
        raise AdapterError(f"strength must be finite, got {strength}")
    layers = adapted_layers(model)
    if not layers:
        raise AdapterError("model has no LoRA layer; attach an adapter first")
    if any(layer.merged for layer in layers.values()):
        raise AdapterError("the adapter is merged into the base; call unmerge(model) first")
    for layer in layers.values():
        lora = layer.lora
        lora.multiplier = float(strength) * scaling_factor(lora.alpha, lora.rank, lora.scaling)
