"""Answers to the exercise on replacing layers in a whole model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import nn

from lora_edu.lora import LinearWithLoRA, LoRALayer, replace_linear_with_lora
from samples import Samples


def _replace(
    put: Callable[[nn.Module, str, nn.Module], None] = setattr,
    inside: Callable[[nn.Module], nn.Module] = lambda child: child,
    chosen: Callable[[str, Collection[str]], bool] = lambda name, targets: name in targets,
    recursive: bool = True,
    go_on: bool = False,
    hand_on: bool = True,
    kinds: type | tuple[type, ...] = nn.Linear,
    wrap: Callable[..., nn.Module] = LinearWithLoRA,
    **choices: str,
) -> Callable[..., None]:
    """Makes a replace function with one thing different."""

    def answer(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
        for name, child in module.named_children():
            is_target = isinstance(child, kinds) and chosen(name, targets)
            if is_target:
                put(module, name, wrap(inside(child), rank, alpha, **choices))
            if recursive and (go_on or not is_target):
                below = getattr(module, name) if go_on else child
                answer(below, *((rank, alpha) if hand_on else (4, 1.0)), targets)

    return answer


def _forgets_the_first_block(
    module: nn.Module, rank: int, alpha: float, targets: Collection[str]
) -> None:
    blocks = getattr(module, "blocks", None)
    _replace()(module if blocks is None else blocks[1:], rank, alpha, targets)


def _returns_in_the_loop(
    module: nn.Module, rank: int, alpha: float, targets: Collection[str]
) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and name in targets:
            setattr(module, name, LinearWithLoRA(child, rank, alpha))
        else:
            return _returns_in_the_loop(child, rank, alpha, targets)
    return None


def _does_not_look_into_groups(
    module: nn.Module, rank: int, alpha: float, targets: Collection[str]
) -> None:
    for name, child in module.named_children():
        if name not in targets:
            _does_not_look_into_groups(child, rank, alpha, targets)
        elif isinstance(child, nn.Linear):
            setattr(module, name, LinearWithLoRA(child, rank, alpha))


def _named_name(module: nn.Module, name: str, child: nn.Module) -> None:
    """What `module.name = LinearWithLoRA(child, ...)` does."""
    module.name = child


def _as_a_dict(module: nn.Module, name: str, child: nn.Module) -> None:
    module[name] = child  # type: ignore[index]


def _from_a_dict(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
    for name, _ in module.named_children():
        _replace()(module[name], rank, alpha, targets)  # type: ignore[index]


def _wraps_twice(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
    _replace()(module, rank, alpha, targets)
    _replace(chosen=lambda name, _: name == "linear")(module, rank, alpha, targets)


def _on_a_copy(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> nn.Module:
    changed = copy.deepcopy(module)
    _replace()(changed, rank, alpha, targets)
    return changed


def _on_a_copy_alone(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
    _on_a_copy(module, rank, alpha, targets)


def _stores_what_it_returns(
    module: nn.Module, rank: int, alpha: float, targets: Collection[str]
) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and name in targets:
            setattr(module, name, LinearWithLoRA(child, rank, alpha))
        else:
            setattr(module, name, _stores_what_it_returns(child, rank, alpha, targets))


def _by_paths(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
    for path, layer in list(module.named_modules()):
        if isinstance(layer, nn.Linear) and path.rpartition(".")[2] in targets:
            setattr(module, path, LinearWithLoRA(layer, rank, alpha))


def _on_the_model(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
    for path, layer in module.named_modules():
        if isinstance(layer, nn.Linear) and (name := path.rpartition(".")[2]) in targets:
            setattr(module, name, LinearWithLoRA(layer, rank, alpha))


def _all_on_the_model(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
    for path, layer in list(module.named_modules()):
        if isinstance(layer, nn.Linear) and (name := path.rpartition(".")[2]) in targets:
            setattr(module, name, LinearWithLoRA(layer, rank, alpha))


def _on_itself(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and name in targets:
            setattr(module, name, LinearWithLoRA(child, rank, alpha))
        else:
            _on_itself(module, rank, alpha, targets)


def _by_parents(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
    """All at once, each layer by the parent that it is found in."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if name in targets and isinstance(child, nn.Linear):
                setattr(parent, name, LinearWithLoRA(child, rank, alpha))


def _keep_nothing(module: nn.Module, name: str, child: nn.Module) -> None:
    """What `child = LinearWithLoRA(child, ...)` in the loop does for the module."""


def _new_linear(child: Any) -> nn.Linear:
    return nn.Linear(child.in_features, child.out_features)


def _without_bias(child: Any) -> nn.Linear:
    child.bias = None
    return child


class _OfTheNotebook(nn.Module):
    """Notebook 03's class, which has fewer attributes than the package's."""

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.linear, self.lora = linear, _UpdateOfTheNotebook(linear, rank, alpha)


class _UpdateOfTheNotebook(nn.Module):
    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        drawn = nn.init.kaiming_uniform_(torch.empty(linear.in_features, rank), a=5**0.5)
        self.A, self.alpha = nn.Parameter(drawn), alpha
        self.B = nn.Parameter(torch.zeros(rank, linear.out_features))


def _update_alone(child: Any, rank: int, alpha: float) -> nn.Module:
    return LoRALayer(child.in_features, child.out_features, rank, alpha)


SAMPLES = {
    "03.replace": Samples(
        right=[
            _replace(),
            lambda module, rank, alpha, targets: replace_linear_with_lora(
                module, rank, alpha, targets=sorted(targets)
            ),
            _replace(chosen=lambda name, targets: name in set(targets)),
            _replace(put=lambda module, name, child: module._modules.update({name: child})),
            _by_parents,
            _replace(wrap=_OfTheNotebook),
        ],
        wrong=[
            (_replace(recursive=False), "call the function again on that child"),
            (_replace(put=_keep_nothing), "setattr(module, name, ...)"),
            (_on_a_copy, "You changed a copy"),
            (_on_a_copy_alone, "You changed a copy"),
            (_stores_what_it_returns, "Your call returned None"),
            (_replace(chosen=lambda name, targets: True), "it also wrapped fc_in"),
            (_replace(chosen=lambda name, targets: True, go_on=True), "It never ends"),
            (_wraps_twice, "a wrapper inside a wrapper"),
            (_forgets_the_first_block, "10 layers are wrapped, 12 should be"),
            (_replace(inside=_new_linear), "the pretrained weights are lost"),
            (_replace(hand_on=False), "also in the recursive call"),
            (_replace(hand_on=False, wrap=_OfTheNotebook), "also in the recursive call"),
            (_replace(scaling="alpha/rank"), "You kept scaling= from the example"),
            (
                _replace(chosen=lambda name, targets: name in {"query", "value"}),
                "with targets {'key'} it wrapped query",
            ),
            (_replace(kinds=nn.Module), "only if it is an nn.Linear"),
            (
                _replace(chosen=lambda name, targets: any(t in name for t in targets)),
                "'key' is not 'key_norm'",
            ),
            (_does_not_look_into_groups, "in a group named key is missed"),
            (_returns_in_the_loop, "`return` inside the loop"),
            (_replace(put=_named_name), "an attribute called “name”"),
            (_replace(put=_as_a_dict), "A module is no dict"),
            (_from_a_dict, "A module is no dict"),
            (_by_paths, "takes a name, not a path"),
            (_on_the_model, "now hang on the model itself"),
            (_all_on_the_model, "now hang on the model itself"),
            (_on_itself, "calls itself on the same module"),
            (_replace(init="peft"), "You kept init="),
            (_replace(inside=copy.deepcopy), "is a copy"),
            (_replace(inside=_without_bias), "The bias of the layer is gone"),
            (_replace(inside=lambda child: child.requires_grad_(False)), "Your function freezes"),
            (_replace(wrap=_update_alone), "The update is in the layer's place"),
            (_replace(wrap=_UpdateOfTheNotebook), "The update is in the layer's place"),
            (
                _replace(chosen=lambda name, targets: any(name.endswith(t) for t in targets)),
                "'key' is not 'sub_key'",
            ),
            (_replace(kinds=(nn.Linear, nn.LayerNorm)), "only if it is an nn.Linear"),
        ],
    ),
}
