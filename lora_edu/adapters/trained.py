"""What a model has learned besides A and B, so that saving an adapter loses nothing.

An adapter goes back onto the base that it came from. Whatever else makes the model differ from
that base has to be in the file too, or the model that is loaded is another one. Two things tell:
what is trainable now, and what `base.remember_base` kept when LoRA was put on the model.
"""

from __future__ import annotations

from torch import Tensor, nn

from lora_edu import base
from lora_edu.adapters.adapter import AdapterError
from lora_edu.adapters.layers import REPLACED_HEADS, adapted_layers
from lora_edu.adapters.tensors import is_inside
from lora_edu.targets import has_own_forward


def stored_whole(model: nn.Module) -> dict[str, nn.Module]:
    """The layers besides A and B that an adapter of this model has to hold.

    They are the linear layers that are trainable or have changed since LoRA was put on the model,
    modules whose buffers have moved (BatchNorm's statistics), and those that an attached adapter
    brought along.

    Raises:
        AdapterError: something else is trainable or has changed, or nobody can know.
    """
    replaced = getattr(base.unwrapped(model), REPLACED_HEADS, {})
    modules, adapted = base.base_modules(model), adapted_layers(model)
    changes = base.tensor_changes(model)
    _check_bases(adapted, changes)
    _check_that_it_shows(adapted, modules, changes, replaced)
    kinds = base.recorded_kinds(model)
    found = {name: modules[name] for name in replaced}
    lost: list[str] = []
    for name, module in modules.items():
        if name in adapted or any(is_inside(name, head) for head in replaced):
            continue
        own = base.own_tensors(module)
        changed = {part for part in own if changes[f"{name}.{part}" if name else part]}
        trained = {part for part, tensor in own.items() if tensor.requires_grad}
        moved = changed.intersection(dict(module.named_buffers(recurse=False)))
        if isinstance(module, nn.Linear) and "weight" in own and (changed or trained == set(own)):
            _check_kind(name, module, kinds)
            found[name] = module
        elif moved and not trained and not any(module.children()):
            found[name] = module
        else:
            lost += [
                f"{name}.{part}" if name else part for part in own if part in changed | trained
            ]
    if lost:
        raise AdapterError(
            f"{len(lost)} tensors of the base are trainable or have changed, {lost[0]!r} for one, "
            "and an adapter does not hold them: call freeze(model) before "
            "replace_linear_with_lora or attach; where they were meant to learn, save the whole "
            "model"
        )
    return found


def _check_bases(adapted: dict[str, nn.Module], changes: dict[str, bool | None]) -> None:
    """Refuses where a layer below A and B is not the base's any more."""
    for name, layer in adapted.items():
        for part, tensor in base.own_tensors(layer.linear).items():
            if tensor.requires_grad:
                raise AdapterError(
                    f"the base's own {name + '.linear.' + part!r} is trainable, and an adapter "
                    "does not hold it: call freeze(model) before replace_linear_with_lora or attach"
                )
            if changes[f"{name}.{part}"]:
                raise AdapterError(
                    f"the base's own {name + '.linear.' + part!r} has changed since LoRA was put "
                    "on the model, and an adapter does not hold it: load or change a base before "
                    "replace_linear_with_lora or attach, or save the whole model"
                )


def _check_that_it_shows(
    adapted: dict[str, nn.Module],
    modules: dict[str, nn.Module],
    changes: dict[str, bool | None],
    replaced: dict[str, nn.Module],
) -> None:
    """Refuses where all is frozen and nothing was kept: a trained head would look like the base."""
    if any(p.requires_grad for layer in adapted.values() for p in layer.lora.parameters()):
        return
    for name, module in modules.items():
        known = name in adapted or any(is_inside(name, head) for head in replaced)
        if isinstance(module, nn.Linear) and not known and changes.get(f"{name}.weight") is None:
            raise AdapterError(
                f"A and B are frozen, so nothing shows whether {name!r} was trained too: call "
                "requires_grad_(True) on A and B, and on each layer that was trained, then save"
            )


def _check_kind(name: str, module: nn.Module, kinds: dict[str, str]) -> None:
    """Refuses a layer of another class than the base's: a file holds its numbers only."""
    kind = base.kind_of(module)
    before = kinds.get(name, kind)
    if before != kind and (has_own_forward(module) or not before.startswith("torch.nn.")):
        raise AdapterError(
            f"{name!r} is a {kind} where the base has a {before}, and an adapter holds its numbers "
            "only: put such a layer into the base before replace_linear_with_lora, or save the "
            "whole model"
        )


def named_parts(module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a layer that is stored whole, by their names in it."""
    return dict(module.state_dict(keep_vars=True))
