"""Which layers of a model an adapter changes: whether it fits them, and what takes their place."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lora_edu import base
from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.tensors import is_inside, matches
from lora_edu.lora import LinearWithLoRA
from lora_edu.targets import (
    has_own_forward,
    is_conv1d,
    is_linear_like,
    linear_dtype,
    linear_shape,
    model_refusal,
    refusal,
)

# The model's attribute that remembers which layers an attached adapter replaced whole.
REPLACED_HEADS = "replaced_heads"


def adapted_layers(model: nn.Module) -> dict[str, LinearWithLoRA]:
    """The wrapped layers of a model by plain name: as `lora_layers`, see `base.plain_modules`."""
    modules = base.plain_modules(model)
    return {name: module for name, module in modules.items() if isinstance(module, LinearWithLoRA)}


def base_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The modules of a model by plain name, as they are without the adapter that may be on it."""
    modules = base.base_modules(model)
    replaced = getattr(base.unwrapped(model), REPLACED_HEADS, {})
    kept = {n: m for n, m in modules.items() if not any(is_inside(n, head) for head in replaced)}
    for name, module in replaced.items():
        inside = {f"{name}.{n}" if n else name: m for n, m in base.plain_modules(module).items()}
        kept |= inside
    return kept


def new_layers(modules: dict[str, nn.Module], adapter: Adapter) -> dict[str, nn.Module]:
    """Makes the layers that an adapter puts in place of the base's, once it is known to fit.

    Args:
        modules: The base's, see `base_modules`; unchanged.
        adapter: What the new layers hold.

    Raises:
        AdapterError: as for `check_fits`.
    """
    check_fits(modules, adapter)
    new: dict[str, nn.Module] = {}
    with torch.random.fork_rng(devices=[]):  # A's random start is overwritten: draw nothing
        for name, (a, b) in adapter.matrices.items():
            rank, alpha = adapter.rank_of(name), adapter.alpha_of(name)
            layer = LinearWithLoRA(modules[name], rank, alpha, scaling=adapter.scaling)
            with torch.no_grad():
                layer.lora.A.copy_(a)
                layer.lora.B.copy_(b)
            new[name] = layer
        for name, parts in adapter.heads.items():
            new[name] = _stored_layer(modules[name], parts)
    return {name: layer.train(modules[name].training) for name, layer in new.items()}


def swap_modules(model: nn.Module, swaps: Mapping[nn.Module, nn.Module]) -> None:
    """Puts other modules in place of some, in place; in every place that uses one.

    Raises:
        AdapterError: one is compiled by itself, see `check_exchangeable`; nothing has changed then.
    """
    check_exchangeable(model, swaps)
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module in swaps:
            model.set_submodule(name, swaps[module])


def check_exchangeable(model: nn.Module, modules: Mapping[nn.Module, object]) -> None:
    """Refuses to exchange a module that `torch.compile` was called on: the code has it inside.

    A module that is somewhere within a compiled one can be exchanged: torch compiles again.

    Raises:
        AdapterError: one of `modules` is such a module.
    """
    for name, module in model.named_modules():
        if getattr(module, "_modules", {}).get("_orig_mod") in modules:
            raise AdapterError(
                f"layer {name!r} is compiled by itself, and would go on as it is; put its "
                "`_orig_mod` in its place first, and compile the whole model afterwards"
            )


def check_fits(modules: dict[str, nn.Module], adapter: Adapter) -> None:
    """Refuses an adapter that does not fit a base, before anything is changed.

    Args:
        modules: The base's, see `base_modules`.
        adapter: What shall be put on it.

    Raises:
        AdapterError: the base lacks a layer, has no numbers yet, a shape differs, tensors of the
            base that came with the adapter are others, or the adapter is incomplete.
    """
    if reason := model_refusal(modules):
        raise AdapterError(reason)
    for name, (a, b) in sorted(adapter.matrices.items()):
        if a.dim() != 2 or b.dim() != 2:
            raise AdapterError(
                f"layer {name!r}: A and B must be matrices, got shapes {tuple(a.shape)} and "
                f"{tuple(b.shape)}"
            )
        wanted, rank = (a.shape[0], b.shape[1]), adapter.rank_of(name)
        if (a.shape[1], b.shape[0]) != (rank, rank):
            raise AdapterError(
                f"layer {name!r}: the adapter says rank {rank}, but A has {a.shape[1]} "
                f"columns and B {b.shape[0]} rows; give the rank that they have"
            )
        module = _linear(modules, name)
        if reason := refusal(module):
            raise AdapterError(f"{name!r} cannot be adapted: {reason}")
        if linear_shape(module) != wanted:
            raise AdapterError(
                f"layer {name!r} maps {linear_shape(module)[0]} to {linear_shape(module)[1]}, the "
                f"adapter {wanted[0]} to {wanted[1]}: it belongs to another model"
            )
        _check_has_numbers(name, module)
        for part, tensor in adapter.base_tensors.get(name, {}).items():
            _check_same(f"{name}.{part}", getattr(module, part, None), tensor)
    for name, parts in adapter.heads.items():
        if name not in modules:
            raise AdapterError(
                f"model has no layer {name!r}, which the adapter stores whole: put one of its kind "
                "there first, or give the model that the adapter was trained on"
            )
        _check_has_numbers(name, modules[name])
        _check_stored_layer(name, modules[name], parts)
    _check_complete(modules, adapter)


def _check_complete(modules: dict[str, nn.Module], adapter: Adapter) -> None:
    for name, module in modules.items():
        stored = any(is_inside(name, head) for head in adapter.heads)
        asked = adapter.targets and matches(name, adapter.targets) and is_linear_like(module)
        if asked and not stored and name not in adapter.matrices:
            raise AdapterError(
                f"the adapter asks for {name!r} but has no matrices for it; its file is incomplete"
            )
        if name.endswith(adapter.listed_heads) and not stored and name not in adapter.matrices:
            raise AdapterError(
                f"the adapter lists {name!r} under modules_to_save, but does not hold it; its "
                "file is incomplete"
            )


def _check_has_numbers(name: str, module: nn.Module) -> None:
    if any(tensor.is_meta for tensor in module.state_dict(keep_vars=True).values()):
        raise AdapterError(
            f"layer {name!r} is on the meta device: it has a shape, but no numbers; load the "
            "model's weights first"
        )


def _check_same(name: str, own: Tensor | None, stored: Tensor) -> None:
    """Compares in the narrower type: the stored copy may have been rounded, or the model."""
    if own is None or own.shape != stored.shape:
        shape = None if own is None else tuple(own.shape)
        raise AdapterError(
            f"the adapter's file holds the base's own {name!r} of shape {tuple(stored.shape)}, the "
            f"model's is {shape}: it was trained on another base"
        )
    here = own.detach().cpu()
    same = torch.equal(here.to(stored.dtype), stored) or torch.equal(here, stored.to(here.dtype))
    if not same:
        raise AdapterError(
            f"the adapter's file holds the base's own {name!r}, and it differs from the model's: "
            "load the base that it was trained on"
        )


def _is_plain_linear(module: nn.Module) -> bool:
    """Whether a stored layer may take its place in another width: an nn.Linear as torch has it."""
    if is_conv1d(module) or not is_linear_like(module):
        return False
    return not has_own_forward(module) or hasattr(module, "outer_dtype")


def _check_stored_layer(name: str, module: nn.Module, parts: dict[str, Tensor]) -> None:
    shapes = {part: tuple(tensor.shape) for part, tensor in parts.items()}
    if _is_plain_linear(module):
        width = linear_shape(module)[0]
        n_out = (shapes.get("weight") or (0,))[:1]
        if shapes != {"weight": (*n_out, width)} | ({"bias": n_out} if "bias" in parts else {}):
            raise AdapterError(
                f"the stored layer {name!r} has shapes {str(shapes):.200}, but the model's takes "
                f"{width} inputs: it belongs to another model"
            )
        return
    own = {part: tuple(tensor.shape) for part, tensor in module.state_dict().items()}
    if own != shapes:
        odd = sorted({*own.items()} ^ {*shapes.items()})[0]
        raise AdapterError(
            f"the stored layer {name!r} and the model's {type(module).__name__} differ, in "
            f"{odd[0]!r} of shape {odd[1]} for one: it belongs to another model"
        )


def _stored_layer(replaced: nn.Module, parts: dict[str, Tensor]) -> nn.Module:
    """A layer of the kind of the base's, with the adapter's numbers, trainable."""
    if not _is_plain_linear(replaced):
        layer = copy.deepcopy(replaced)
        layer.load_state_dict(parts)
        return layer.requires_grad_(True)
    n_out, n_in = parts["weight"].shape
    like = {"device": replaced.weight.device, "dtype": linear_dtype(replaced)}
    layer = nn.Linear(n_in, n_out, bias="bias" in parts, **like)
    layer.load_state_dict(parts)
    return layer


def _linear(modules: dict[str, nn.Module], name: str) -> nn.Module:
    if name not in modules or not is_linear_like(modules[name]):
        linear = [other for other, module in modules.items() if is_linear_like(module)]
        raise AdapterError(
            f"model has no linear layer {name!r}: the adapter belongs to another model; its "
            f"linear layers are {', '.join(linear[:8])}{', …' if len(linear) > 8 else ''}"
        )
    return modules[name]
