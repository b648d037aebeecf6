"""Right and known wrong answers to the exercises of notebook 03; tests run the checkers on them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any

from torch import nn

from lora_edu.gpt import GPTConfig
from lora_edu.lora import LinearWithLoRA, replace_linear_with_lora

TINY = GPTConfig(vocab_size=11, context_length=4, n_layer=6, n_head=2, n_embd=4)

# 03.targets

RIGHT_TARGETS = (
    "blocks.[45].attention.*",
    ["blocks.4.attention.*", "blocks.5.attention.*"],
    [f"blocks.{i}.attention.{name}" for i in (4, 5) for name in ("query", "key", "value", "out")],
)
WRONG_TARGETS = (
    "attention",
    "blocks.(4|5).attention.*",
    "blocks.[45].*",
    "attention.*",
    "blocks.5.attention.*",
    ["blocks.[45].attention.query", "blocks.[45].attention.value"],
    ["blocks.4.attention.*", "block.5.attention.*"],
    "blocks.[56].attention.*",
    ["blocks.5.attention.*", "blocks.6.attention.*"],
    "blocks.{4,5}.attention.*",
)

# 03.replace


def _replace(
    put: Callable[[nn.Module, str, nn.Module], None] = setattr,
    inside: Callable[[nn.Module], nn.Module] = lambda child: child,
    chosen: Callable[[str, Collection[str]], bool] = lambda name, targets: name in targets,
    recursive: bool = True,
    go_on: bool = False,
    hand_on: bool = True,
    kinds: type | tuple[type, ...] = nn.Linear,
    **scaling: str,
) -> Callable[..., None]:
    """Makes a replace function with one thing different."""

    def answer(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
        for name, child in module.named_children():
            is_target = isinstance(child, kinds) and chosen(name, targets)
            if is_target:
                put(module, name, LinearWithLoRA(inside(child), rank, alpha, **scaling))
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


def _wraps_twice(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
    _replace()(module, rank, alpha, targets)
    _replace(chosen=lambda name, _: name == "linear")(module, rank, alpha, targets)


def _on_a_copy(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> nn.Module:
    changed = copy.deepcopy(module)
    _replace()(changed, rank, alpha, targets)
    return changed


def _by_paths(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
    for path, layer in list(module.named_modules()):
        if isinstance(layer, nn.Linear) and path.rpartition(".")[2] in targets:
            setattr(module, path, LinearWithLoRA(layer, rank, alpha))


def _on_itself(module: nn.Module, rank: int, alpha: float, targets: Collection[str]) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and name in targets:
            setattr(module, name, LinearWithLoRA(child, rank, alpha))
        else:
            _on_itself(module, rank, alpha, targets)


def _keep_nothing(module: nn.Module, name: str, child: nn.Module) -> None:
    """What `child = LinearWithLoRA(child, ...)` in the loop does for the module."""


def _new_linear(child: Any) -> nn.Linear:
    return nn.Linear(child.in_features, child.out_features)


RIGHT_REPLACES = (
    _replace(),
    lambda module, rank, alpha, targets: replace_linear_with_lora(
        module, rank, alpha, targets=sorted(targets)
    ),
)
WRONG_REPLACES = (
    _replace(recursive=False),
    _replace(put=_keep_nothing),
    _on_a_copy,
    _replace(chosen=lambda name, targets: True),
    _replace(chosen=lambda name, targets: True, go_on=True),
    _wraps_twice,
    _forgets_the_first_block,
    _replace(inside=_new_linear),
    _replace(hand_on=False),
    _replace(scaling="alpha/rank"),
    _replace(chosen=lambda name, targets: name in {"query", "value"}),
    _replace(kinds=nn.Module),
    _replace(chosen=lambda name, targets: any(target in name for target in targets)),
    _does_not_look_into_groups,
    _returns_in_the_loop,
    _replace(put=_named_name),
    _by_paths,
    _on_itself,
)

# 03.order

ORDER = {"freeze, replace": "A and B", "replace, freeze": "nothing", "replace only": "everything"}
WRONG_ORDERS = (
    ORDER | {"replace only": "A and B"},
    ORDER | {"replace, freeze": "A and B"},
    ORDER | {"freeze, replace": "nothing"},
    ORDER | {"freeze, replace": "only A"},
    {"freeze, replace": "A and B"},
)

# 03.snapshot

RIGHT_SNAPSHOTS = (
    lambda model: {name: tensor.clone() for name, tensor in model.state_dict().items()},
    lambda model: copy.deepcopy(model.state_dict()),
)
WRONG_SNAPSHOTS = (
    lambda model: model.state_dict(),
    lambda model: [tensor.clone() for tensor in model.state_dict().values()],
    lambda model: {n: p.clone() for n, p in model.named_parameters() if p.requires_grad},
    lambda model: {n: p.detach().clone() for n, p in model.named_parameters()},
    lambda model: {n: tensor.tolist() for n, tensor in model.state_dict().items()},
    lambda model: {name: tensor.sum() for name, tensor in model.state_dict().items()},
    lambda model: {name: tensor.half() * 0 for name, tensor in model.state_dict().items()},
)

# 03.backward

RIGHT_PASSED = (
    lambda adapted, n_layer: list(range(min(adapted), n_layer)),
    lambda adapted, n_layer: {block for block in range(n_layer) if block >= min(adapted)},
)
WRONG_PASSED = (
    lambda adapted, n_layer: adapted,
    lambda adapted, n_layer: list(range(n_layer)),
    lambda adapted, n_layer: list(range(max(adapted) + 1)),
    lambda adapted, n_layer: list(range(min(adapted) + 1, n_layer)),
    lambda adapted, n_layer: list(range(max(adapted), n_layer)),
    lambda adapted, n_layer: list(range(min(adapted), max(adapted) + 1)),
    lambda adapted, n_layer: list(range(adapted[0], n_layer)),
    lambda adapted, n_layer: [0],
)
