"""The base inside a model: its modules by their plain names, and what its tensors were.

`torch.compile`, `DataParallel` and others put a module around a model, and a part into every name
below it: `_orig_mod.blocks.0`. LoRA puts one around a layer: `blocks.0.linear`. An adapter must
know neither, since it goes onto a plain base.

Nothing on a model says what was changed since it was loaded. So `remember_base` keeps a sample of
each tensor, and `tensor_changes` compares. All numbers of a small tensor are kept, `SAMPLE` of a
large one: an optimizer moves all of those, but a change of a few numbers by hand may escape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from lora_edu.targets import is_wrapped

# The name of the one child of compiled, sharded (FSDP) and checkpointed modules.
INNER_NAMES = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
AROUND_A_MODEL = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)
RECORD = "base_record"  # the model's attribute that `remember_base` writes
SAMPLE = 1024


def unwrapped(module: nn.Module) -> nn.Module:
    """The module inside what torch puts around one; a plain module itself.

    Example:
        >>> linear = nn.Linear(2, 2)
        >>> unwrapped(nn.DataParallel(linear)) is linear
        True
    """
    while True:
        if isinstance(module, AROUND_A_MODEL):
            module = module.module
        elif inner := [name for name in INNER_NAMES if name in module._modules]:
            module = module._modules[inner[0]]
        else:
            return module


def plain_modules(model: nn.Module) -> dict[str, nn.Module]:
    """All modules by the names that they have where nothing is put around any; see `unwrapped`.

    A module that is used in two places has the first name, as in `named_modules`.

    Example:
        >>> model = nn.Sequential(nn.DataParallel(nn.Sequential(nn.Linear(2, 2))))
        >>> list(plain_modules(model))
        ['', '0', '0.0']
    """
    found: dict[nn.Module, str] = {}

    def walk(module: nn.Module, name: str) -> None:
        module = unwrapped(module)
        if module not in found:
            found[module] = name
            for child, inner in module.named_children():
                walk(inner, f"{name}.{child}" if name else child)

    walk(model, "")
    return {name: module for module, name in found.items()}


def base_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The modules of a model by plain name, as they are without LoRA: each linear layer itself."""
    modules = plain_modules(model)
    wrapped = {name: module for name, module in modules.items() if _has_lora(module)}
    inside = tuple(f"{name}." if name else "" for name in wrapped)
    plain = {n: m for n, m in modules.items() if n in wrapped or not n.startswith(inside)}
    return plain | {name: module.linear for name, module in wrapped.items()}


def own_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The parameters and the buffers of a module itself, as far as a state dict holds them."""
    buffers = dict(module.named_buffers(recurse=False))
    for name in module._non_persistent_buffers_set:
        buffers.pop(name, None)
    return dict(module.named_parameters(recurse=False)) | buffers


class Sample(NamedTuple):
    """Some numbers of a tensor, or all of them, and its shape."""

    shape: torch.Size
    numbers: Tensor


@dataclass(frozen=True)
class BaseRecord:
    """What a model was when LoRA was put on it.

    Args:
        kinds: Plain name of a module → the class it had.
        samples: Plain name of a tensor → some of its numbers; None where they were not at hand.
    """

    kinds: dict[str, str]
    samples: dict[str, Sample | None]


def remember_base(model: nn.Module) -> None:
    """Keeps on the model what its modules and tensors are, before the first LoRA layer comes."""
    model = unwrapped(model)
    adapted = any(_has_lora(module) for module in plain_modules(model).values())
    if not adapted or RECORD not in vars(model):
        kinds = {name: kind_of(module) for name, module in base_modules(model).items()}
        samples = {name: _sample(tensor) for name, tensor in _base_tensors(model)}
        setattr(model, RECORD, BaseRecord(kinds, samples))


def forget_base(model: nn.Module) -> None:
    """Drops what was kept, on the model and on all inside: it is a base of its own from now on."""
    for module in plain_modules(model).values():
        vars(module).pop(RECORD, None)


def recorded_kinds(model: nn.Module) -> dict[str, str]:
    """The classes that modules had, by plain name."""
    return {
        _joined(at, name): kind
        for at, record in _records(model)
        for name, kind in record.kinds.items()
    }


def tensor_changes(model: nn.Module) -> dict[str, bool | None]:
    """Says of each tensor of the base, by plain name, whether it has changed since LoRA came.

    True where it has other numbers, another shape, or was not there; None where nobody knows. To
    move to another type or device is no change, as far as the new type holds the numbers.
    """
    then = {
        _joined(at, name): sample
        for at, record in _records(model)
        for name, sample in record.samples.items()
    }
    seen = tuple(f"{at}." if at else "" for at, _ in _records(model))
    return {
        name: _differs(_sample(tensor), then[name])
        if name in then
        else name.startswith(seen) or None
        for name, tensor in _base_tensors(model)
    }


def kind_of(module: nn.Module) -> str:
    """The full name of a module's class."""
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _records(model: nn.Module) -> list[tuple[str, BaseRecord]]:
    """All records on a model and inside; the outermost last, so that it counts."""
    found = [(n, vars(m)[RECORD]) for n, m in plain_modules(model).items() if RECORD in vars(m)]
    return found[::-1]


def _base_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, module in base_modules(model).items():
        for part, tensor in own_tensors(module).items():
            yield _joined(name, part), tensor
    for name, layer in plain_modules(model).items():
        if _has_lora(layer) and getattr(layer, "merged", False):  # its own weight is kept aside
            state = layer.state_dict()
            yield _joined(name, "weight"), state["linear.weight"]


def _has_lora(module: nn.Module) -> bool:
    return "linear" in module._modules and is_wrapped(module)  # PEFT's has a `base_layer`


def _joined(name: str, part: str) -> str:
    return f"{name}.{part}" if name else part


def _sample(tensor: Tensor) -> Sample | None:
    """All of a small tensor, evenly spread numbers of a large one; None where there are none."""
    lazy = nn.parameter.is_lazy(tensor)  # no shape yet
    if lazy or tensor.is_meta or type(tensor.data) is not Tensor:  # no numbers, or packed ones
        return None
    flat = tensor.detach().reshape(-1)
    stride = max(-(-flat.numel() // SAMPLE), 1) | 1  # odd: not one column again and again
    return Sample(tensor.shape, flat[::stride].clone())


def _differs(now: Sample | None, then: Sample | None) -> bool | None:
    if now is None or then is None:
        return None
    same = now.shape == then.shape and torch.equal(now.numbers, then.numbers.to(now.numbers))
    return not same
