"""Which layers of a model LoRA adapts: what is linear, what exists, what a name matches.

A model is a tree of named modules; `blocks.0.attention.query` is a path in it. Targets are given
as whole names, as their last parts, or as shell patterns.

LoRA adds to x W + b. A layer that computes something else, or whose weight is not simply stored
as numbers, would be adapted wrongly without a word, so `refusal` says why it cannot be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import torch
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

Targets = str | Iterable[str] | None
FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


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
    """Says whether a module is a linear layer with an update beside it, as `LinearWithLoRA` is.

    It is known by its parts, `linear` and a `lora` with A and B, so that a class of your own
    counts too. Layers that PEFT has wrapped count as well.
    """
    lora = getattr(module, "lora", None)
    ours = hasattr(module, "linear") and hasattr(lora, "A") and hasattr(lora, "B")
    return ours or is_pefts(module)


def is_pefts(module: nn.Module) -> bool:
    """Says whether PEFT has put a module in place of one of the model's, known by its looks."""
    inner = hasattr(module, "base_layer") or hasattr(module, "original_module")
    return inner and hasattr(module, "active_adapters")


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


def refusal(module: nn.Module) -> str | None:
    """Says why a module cannot get an update beside it; None where it can.

    A class of its own, or a `forward` of its own, is no reason: such a layer is asked with a few
    numbers whether it computes x W + b. Nothing is drawn at random, and nothing is changed.

    Example:
        >>> refusal(nn.Linear(3, 2)) is None
        True
        >>> refusal(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)))
        "its weight is computed from other tensors (pruning, weight norm or another \
parametrization); make the result its weight first, with torch's `remove` for it"
    """
    if is_wrapped(module):
        return "it is wrapped already; choose other targets, or a fresh model"
    if not is_linear_like(module):
        kind = type(module).__name__
        return f"{kind} is no nn.Linear or Conv1D; wrap the linear layers inside it, each once"
    stored = module._parameters.get("weight")
    if stored is None:
        return (
            "its weight is computed from other tensors (pruning, weight norm or another "
            "parametrization); make the result its weight first, with torch's `remove` for it"
        )
    if nn.parameter.is_lazy(stored):
        return "its shape is not known yet; run a batch through the model first"
    if stored.dtype not in FLOATS:
        return f"its weight is quantized ({stored.dtype}); load the model in floating point"
    if type(stored.data).__module__.partition(".")[0] != "torch":
        return f"its weight is a {type(stored.data).__name__}; load the model in floating point"
    named = tuple(getattr(module, name, None) for name in ("in_features", "out_features"))
    if not is_conv1d(module) and linear_shape(module) != named:
        return (
            f"its weight of shape {tuple(stored.shape)} does not fit {named[0]} inputs and "
            f"{named[1]} outputs; is it packed or sharded? Load the model whole"
        )
    if has_own_forward(module) and not _computes_x_w_plus_b(module):
        return (
            f"{type(module).__name__} does not compute x W + b, or its weight is not at hand "
            f"(device {stored.device}); choose other targets, or load the model whole"
        )
    return None


def check_adaptable(layers: Mapping[str, nn.Module]) -> None:
    """Makes sure that each of these layers, given by name, can have an update beside it.

    Raises:
        ValueError: one cannot; the message names it and says why, see `refusal`.
    """
    for name, layer in layers.items():
        if reason := refusal(layer):
            raise ValueError(f"{name!r} cannot be adapted: {reason}")


def has_own_forward(module: nn.Module) -> bool:
    """Says whether a linear-like layer computes in another way than `nn.Linear` or `Conv1D`.

    So do subclasses with a `forward` of their own, and layers whose `forward` was exchanged, as
    accelerate does to move weights about.
    """
    inherited = is_conv1d(module) or type(module).forward is nn.Linear.forward
    return not inherited or "forward" in vars(module)


@torch.no_grad()
def _computes_x_w_plus_b(module: nn.Module) -> bool:
    weight, n_in = module.weight, linear_shape(module)[0]
    if weight.is_meta:
        return False
    x = torch.linspace(-1, 1, 2 * n_in, dtype=linear_dtype(module), device=weight.device)
    x = x.view(2, n_in)
    upright = weight.T if is_conv1d(module) else weight
    bias = None if module.bias is None else module.bias.to(x.dtype)
    wanted = nn.functional.linear(x, upright.to(x.dtype), bias)
    try:
        with torch.autocast(weight.device.type, enabled=False):
            found = module(x)
        torch.testing.assert_close(found, wanted)
    except Exception:  # whatever a class of its own may raise, and a difference
        return False
    return True


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


def find_targets(model: nn.Module, targets: Targets = None) -> list[str]:
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
        pattern: [name for name in names if _is_meant(name, pattern)] for pattern in patterns
    }
    unmatched = [pattern for pattern in patterns if not matches[pattern]]
    if unmatched or not patterns:
        raise ValueError(_no_match_message(model, names, unmatched))
    wanted = set().union(*matches.values())
    return [name for name in names if name in wanted]


def adaptable_layers(model: nn.Module, targets: Targets = None) -> dict[str, nn.Module]:
    """Finds the linear layers that `targets` mean, each of which can be adapted.

    Args:
        model: Any module that contains linear layers.
        targets: As for `find_targets`.

    Raises:
        ValueError: as `find_targets`; or a layer or the model cannot be adapted, see `refusal` and
            `model_refusal`.
    """
    layers = {name: model.get_submodule(name) for name in find_targets(model, targets)}
    check_adaptable(layers)
    if reason := model_refusal(dict(model.named_modules())):
        raise ValueError(reason)
    return layers


def model_refusal(modules: Mapping[str, nn.Module]) -> str | None:
    """Says why a model, given as its modules by name, cannot be adapted; None where it can."""
    for name, module in modules.items():
        if is_pefts(module):
            return f"model has an adapter by PEFT on {name!r}; take it off first"
        if hasattr(module, "layers_are_rescaled") and module.config.rescale_every:
            return (
                f"model divides weights of {type(module).__name__} in place for inference, which "
                "would leave their updates as they are; load it anew with rescale_every=0"
            )
    return None


def _is_meant(name: str, pattern: str) -> bool:
    """A name that is given as it is counts before what its characters mean in a pattern."""
    by_name = name == pattern or name.endswith(f".{pattern}")
    return by_name or fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


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
