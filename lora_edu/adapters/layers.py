"""Which layers of a model an adapter changes: whether it fits them, and what takes their place."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from lora_edu.adapters.adapter import Adapter, AdapterError
from lora_edu.adapters.tensors import matches
from lora_edu.lora import LinearWithLoRA, lora_layers
from lora_edu.targets import is_linear_like, linear_dtype, linear_shape, refusal

# The model's attribute that remembers which heads an attached adapter replaced.
REPLACED_HEADS = "replaced_heads"


def base_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The modules of a model by name, as they are without the adapter that may be on it."""
    layers = lora_layers(model)
    inside = tuple(f"{name}." for name in layers)
    modules = {n: m for n, m in model.named_modules() if not n.startswith(inside)}
    modules |= {name: layer.linear for name, layer in layers.items()}
    return modules | getattr(model, REPLACED_HEADS, {})


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
            layer = LinearWithLoRA(
                modules[name], adapter.rank, adapter.alpha, scaling=adapter.scaling
            )
            with torch.no_grad():
                layer.lora.A.copy_(a)
                layer.lora.B.copy_(b)
            new[name] = layer
        for name, parts in adapter.heads.items():
            n_out, n_in = parts["weight"].shape
            replaced = modules[name]
            head = nn.Linear(n_in, n_out, bias="bias" in parts).to(
                replaced.weight.device, linear_dtype(replaced)
            )
            head.load_state_dict(parts)
            new[name] = head
    return {name: layer.train(modules[name].training) for name, layer in new.items()}


def swap_modules(model: nn.Module, swaps: Mapping[nn.Module, nn.Module]) -> None:
    """Puts other modules in place of some, in place; in every place that uses one."""
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module in swaps:
            model.set_submodule(name, swaps[module])


def check_fits(modules: dict[str, nn.Module], adapter: Adapter) -> None:
    """Refuses an adapter that does not fit a base, before anything is changed.

    Args:
        modules: The base's, see `base_modules`.
        adapter: What shall be put on it.

    Raises:
        AdapterError: the base lacks a layer, a shape differs, or the adapter is incomplete.
    """
    for name, (a, b) in sorted(adapter.matrices.items()):
        if a.dim() != 2 or b.dim() != 2:
            raise AdapterError(
                f"layer {name!r}: A and B must be matrices, got shapes {tuple(a.shape)} and "
                f"{tuple(b.shape)}"
            )
        wanted = (a.shape[0], b.shape[1])
        if (a.shape[1], b.shape[0]) != (adapter.rank, adapter.rank):
            raise AdapterError(
                f"layer {name!r}: the adapter says rank {adapter.rank}, but A has {a.shape[1]} "
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
    for name, parts in adapter.heads.items():
        width = linear_shape(_linear(modules, name))[0]
        n_out, n_in = parts["weight"].shape
        if n_in != width or parts.get("bias", parts["weight"][:, 0]).shape != (n_out,):
            raise AdapterError(
                f"the stored layer {name!r} has shapes "
                f"{ {part: tuple(tensor.shape) for part, tensor in parts.items()} }, but the "
                f"model's takes {width} inputs: it belongs to another model"
            )
    for name, module in modules.items():
        asked = adapter.targets and matches(name, adapter.targets) and is_linear_like(module)
        if asked and name not in adapter.matrices:
            raise AdapterError(
                f"the adapter asks for {name!r} but has no matrices for it; its file is incomplete"
            )


def _linear(modules: dict[str, nn.Module], name: str) -> nn.Module:
    if name not in modules or not is_linear_like(modules[name]):
        linear = [other for other, module in modules.items() if is_linear_like(module)]
        raise AdapterError(
            f"model has no linear layer {name!r}: the adapter belongs to another model; its "
            f"linear layers are {', '.join(linear[:8])}{', …' if len(linear) > 8 else ''}"
        )
    return modules[name]
