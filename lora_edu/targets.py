"""Which layers of a model LoRA adapts: what is linear, what exists, what a name matches.

A model is a tree of named modules; `blocks.0.attention.query` is a path in it. Targets are given
as whole names, as their last parts, or as shell patterns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase

import torch
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear


def is_conv1d(module: nn.Module) -> bool:
    """Says whether a module is Hugging Face's `Conv1D`: GPT-2's linear layer, stored transposed.

    It is known by its looks (class name, `nf`, a 2-D weight), so transformers is not imported.
    """
    weight = getattr(module, "weight", None)
    return type(module).__name__ == "Conv1D" and hasattr(module, "nf") and weight.ndim == 2


def is_linear_like(module: nn.Module) -> bool:
    """Says whether a module computes x W + b and can be wrapped.

    `nn.Linear` and Hugging Face's `Conv1D` do. The output projection of `nn.MultiheadAttention`
    does not count: its owner reads the weight and never calls the layer.

    Example:
        >>> is_linear_like(nn.Linear(3, 2)), is_linear_like(nn.Embedding(3, 2))
        (True, False)
    """
    if isinstance(module, nn.Linear):
        return not isinstance(module, NonDynamicallyQuantizableLinear)
    return is_conv1d(module)


def is_wrapped(module: nn.Module) -> bool:
    """Says whether a module is a linear layer with an update beside it, as `LinearWithLoRA` is."""
    return hasattr(module, "linear") and hasattr(module, "lora")


def linear_shape(module: nn.Module) -> tuple[int, int]:
    """Returns (in_dim, out_dim) of a linear-like layer, whichever way it stores its weight.

    Example:
        >>> linear_shape(nn.Linear(3, 2))
        (3, 2)
    """
    rows, columns = module.weight.shape
    return (rows, columns) if is_conv1d(module) else (columns, rows)


def linear_dtype(module: nn.Module) -> torch.dtype:
    """Returns the type in which a linear-like layer takes and gives numbers: its weight's.

    A layer whose weight is held narrower than that says so in `outer_dtype`.

    Example:
        >>> linear_dtype(nn.Linear(3, 2))
        torch.float32
    """
    return getattr(module, "outer_dtype", module.weight.dtype)


def linear_names(model: nn.Module) -> list[str]:
    """Names every linear-like layer below `model`, in the model's order.

    A layer that is wrapped already is named once, by its wrapper. A layer that the model uses in
    two places has two names. The root itself is not listed: nothing holds it, so nothing could
    replace it.
    """
    names: list[str] = []
    wrappers: tuple[str, ...] = ()
    for name, module in model.named_modules(remove_duplicate=False):
        if name.startswith(wrappers):
            continue  # inside a wrapper
        if is_wrapped(module):
            wrappers += (f"{name}." if name else "",)
        if name and (is_wrapped(module) or is_linear_like(module)):
            names.append(name)
    return names


def find_targets(model: nn.Module, targets: str | Iterable[str] | None = None) -> list[str]:
    """Finds the linear layers that `targets` mean.

    Args:
        model: Any module that contains linear layers.
        targets: One or several of: a name (`blocks.0.attention.query`), its last part or parts
            (`query`, `attention.query`), or a shell pattern over the whole name, where `*` is any
            text, `?` one character and `[45]` one of those (`blocks.[45].*`). None means all.

    Returns:
        The names, in the model's order, each once.

    Raises:
        ValueError: a target matches nothing; the message lists what exists.

    Example:
        >>> model = nn.ModuleDict({"query": nn.Linear(2, 2), "head": nn.Linear(2, 9)})
        >>> find_targets(model, targets=["query"])
        ['query']
    """
    names = linear_names(model)
    targets = "*" if targets is None else targets
    patterns = [targets] if isinstance(targets, str) else list(targets)
    matches = {
        pattern: [n for n in names if fnmatchcase(n, pattern) or fnmatchcase(n, f"*.{pattern}")]
        for pattern in patterns
    }
    unmatched = [pattern for pattern in patterns if not matches[pattern]]
    if unmatched or not patterns:
        raise ValueError(_no_match_message(model, names, unmatched))
    wanted = set().union(*matches.values())
    return [name for name in names if name in wanted]


def _no_match_message(model: nn.Module, names: list[str], unmatched: list[str]) -> str:
    """Says what matched nothing, and what there is instead."""
    kind = type(model).__name__
    if not names:
        return (
            f"{kind} contains no linear layer to replace; if it is one itself, wrap it: "
            "LinearWithLoRA(layer, rank, alpha)"
        )
    counts = Counter(name.rpartition(".")[2] for name in names)
    listed = ", ".join(f"{last} (×{count})" for last, count in counts.items())
    return (
        f"targets {unmatched} match no linear layer; give a name such as {names[0]!r}, its last "
        f"part, or a pattern. {kind} has {listed}"
    )
