"""Exercises on choosing layers by name, and on replacing them in a whole model."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lora_edu.exercises.core import Wrong, exercise
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import LoRALayer
from lora_edu.targets import find_targets, is_wrapped

TINY = GPTConfig(vocab_size=11, context_length=4, n_layer=6, n_head=2, n_embd=4)

_NAMED_NAME = (
    "`module.name` means an attribute called *name*; use setattr(module, name, ...), which takes "
    "the variable's value."
)
_PATH_AS_NAME = (
    "setattr takes a name, not a path: a child called 'blocks.0.attention.query' now hangs on the "
    "model itself, and the layer in the block is as before. Go through named_children(), and call "
    "replace(child, ...) for what lies below."
)
_WRAPS_WRAPPERS = (
    "It never ends: it wraps the layer inside each wrapper again. A layer that you have just "
    "wrapped is done; do not go into it."
)
_CALLS_ITSELF = (
    "It never ends, and wraps nothing twice: it calls itself on the same module again. Loop over "
    "named_children() (named_modules() lists the module itself first) and hand on the child."
)


@exercise("03.targets", praise="8 layers: four projections in each of the last two blocks.")
def targets(answer: Any) -> None:
    """Judges targets for the four attention projections of the last two of six blocks."""
    model = GPT(TINY)
    wanted = find_targets(model, "blocks.[45].attention.*")
    try:
        found = find_targets(model, answer)
    except ValueError:
        raise Wrong(_no_match(model, [answer] if isinstance(answer, str) else answer)) from None
    blocks = sorted({name.split(".")[1] for name in found if name.startswith("blocks")})
    if others := [name for name in found if "attention" not in name]:
        whose = "the head does" if others == ["head"] else "the MLP's do"
        raise Wrong(
            f"{len(found)} layers match, and not all of them belong to attention: {whose} not."
        )
    if set(blocks) - {"4", "5"}:
        raise Wrong(
            f"This matches in the blocks {', '.join(blocks)}. Only the last two are asked for, "
            "numbers 4 and 5, since counting starts at 0."
        )
    if blocks != ["4", "5"] and "6" in str(answer):
        raise Wrong("Counting starts at 0: there is no block 6, the last of six is number 5.")
    if blocks != ["4", "5"]:
        raise Wrong(f"This matches in block {blocks[0]} only; [45] in a pattern means 4 or 5.")
    if found != wanted:
        raise Wrong(
            f"{len(found)} layers match, 8 are asked for: query, key, value and out, in two blocks."
        )


def _no_match(model: nn.Module, patterns: list[str]) -> str:
    """Says what is wrong with the first pattern that matches nothing."""
    if any(mark in str(patterns) for mark in "(\\"):
        return "That is a regular expression. Shell patterns know *, ? and [45] only."
    unmatched = next((pattern for pattern in patterns if not _matches(model, pattern)), "")
    if unmatched.startswith("blocks.6"):
        return "There is no block 6: counting starts at 0, and the last of six is number 5."
    if "{" in unmatched:
        return "Braces are not known here. [45] in a pattern means 4 or 5."
    if unmatched.endswith("attention"):
        return (
            f"{unmatched!r} is a group of layers, no layer. A target is a whole name, its last "
            "part, or a pattern: the layers in a group 'mlp' are 'mlp.*'."
        )
    return (
        f"{unmatched!r} matches no layer. Compare it with 'blocks.0.attention.query': a target is "
        "a whole name, its last part, or a pattern."
    )


def _matches(model: nn.Module, pattern: str) -> bool:
    try:
        return bool(find_targets(model, pattern))
    except ValueError:
        return False


@exercise("03.replace", praise="Five lines for any model made of nn.Linear layers.", in_place=True)
def replace(answer: Any) -> None:
    """Judges a function (module, rank, alpha, targets) that wraps by last name, in place."""
    wanted = {"query", "value"}
    block, model = GPT(TINY).blocks[0].attention, GPT(TINY)
    before = dict(model.named_modules())
    learning = {id(p): p.requires_grad for p in model.parameters()}
    try:
        returned = answer(model, 2, 3.0, wanted)
        answer(block, 2, 3.0, wanted)
    except RecursionError:
        nested = any(".linear.linear" in name for name, _ in model.named_modules())
        raise Wrong(_WRAPS_WRAPPERS if nested else _CALLS_ITSELF) from None
    except RuntimeError as error:
        if "during iteration" not in str(error):
            raise
        paths = any("." in name for name, _ in model.named_children())
        raise Wrong(_PATH_AS_NAME if paths else _NAMED_NAME) from None
    wrapped = {name: layer for name, layer in model.named_modules() if is_wrapped(layer)}
    if not wrapped:
        raise Wrong(_nothing_replaced(returned, block, model))
    if any("." in name for name, _ in model.named_children()):
        raise Wrong(_PATH_AS_NAME)
    if twice := [name for name in wrapped if name.endswith(".linear")]:
        raise Wrong(f"{twice[0]} is a wrapper inside a wrapper; each layer is wrapped once.")
    last_names = {name.rpartition(".")[2] for name in wrapped}
    if "name" in last_names:
        raise Wrong(_NAMED_NAME)
    if last_names - wanted:
        raise Wrong(
            f"With targets {{'query', 'value'}} it also wrapped {min(last_names - wanted)}: "
            "compare the child's name with the targets before you wrap."
        )
    if len(wrapped) != 2 * TINY.n_layer:
        raise Wrong(f"{len(wrapped)} layers are wrapped, 12 should be: two in each of six blocks.")
    for name, layer in wrapped.items():
        if layer.linear is not before[name] and _same_numbers(layer.linear, before[name]):
            raise Wrong(
                "The layer inside the wrapper is a copy: two layers take memory, and who holds the "
                "first one misses yours. Give LinearWithLoRA the child itself."
            )
        if layer.linear is not before[name]:
            raise Wrong(
                "The layer inside the wrapper is a new one, so the pretrained weights are lost. "
                "Give LinearWithLoRA the child itself."
            )
        if (layer.lora.rank, layer.lora.alpha) != (2, 3.0):
            raise Wrong(
                f"Asked for rank 2 and alpha 3, the layers have rank {layer.lora.rank} and alpha "
                f"{layer.lora.alpha:g}: hand both on, also in the recursive call."
            )
        if layer.lora.multiplier != 3.0:
            raise Wrong(
                "You kept scaling= from the example; call LinearWithLoRA(child, rank, alpha)."
            )
    if any(p.requires_grad != learning.get(id(p), True) for p in model.parameters()):
        raise Wrong(
            "Your function freezes, too. Replacing leaves that to a call of its own, `freeze`, so "
            "that whoever calls it can choose."
        )
    _judge_other_names(answer)


def _judge_other_names(answer: Any) -> None:
    """Judges the function on a model with a group, and a longer name, like the target's."""
    group = nn.ModuleDict({"key": nn.Linear(256, 4)})
    others = {name: nn.Linear(4, 4) for name in ("key_norm", "sub_key", "query")}
    norms = nn.ModuleDict({"key": nn.LayerNorm(4)})
    probe = nn.ModuleDict({"key": group, "norms": norms, **others})
    bias = group["key"].bias
    try:
        answer(probe, 4, 3.0, {"key"})
    except (ValueError, TypeError, AttributeError):
        raise Wrong(
            "Wrap a child only if it is an nn.Linear; a group or a norm may have a target's name."
        ) from None
    wrapped = {name for name, layer in probe.named_modules() if is_wrapped(layer)}
    if "query" in wrapped:
        raise Wrong("Use the `targets` given: with targets {'key'} it wrapped query.")
    if longer := wrapped & {"key_norm", "sub_key"}:
        raise Wrong(f"Compare whole names: 'key' is not {max(longer, key=len)!r}.")
    if wrapped != {"key.key"}:
        raise Wrong(
            "With targets {'key'}, a layer named key in a group named key is missed. Use the "
            "`targets` given, and look into every child that is no layer to wrap."
        )
    layer = group["key"]
    if layer.linear.bias is not bias:
        raise Wrong("The bias of the layer is gone. Give LinearWithLoRA the child as it is.")
    if layer.lora.A.abs().max() < 0.4:  # within ±1/√4 = 0.5, where PEFT's is within ±1/√256
        raise Wrong("You kept init= from elsewhere; call LinearWithLoRA(child, rank, alpha).")


def _same_numbers(found: Any, given: Any) -> bool:
    return torch.equal(found.weight, given.weight)


def _nothing_replaced(returned: Any, attention: nn.Module, model: nn.Module) -> str:
    """Says why no layer of a model is wrapped; `attention` was given to the answer, too."""
    if any(isinstance(layer, LoRALayer) for layer in model.modules()):
        return (
            "The update is in the layer's place, so the layer is lost. LinearWithLoRA keeps the "
            "child and puts the update beside it."
        )
    if is_wrapped(attention.query) and not is_wrapped(attention.value):
        return (
            "A `return` inside the loop ends it at the first child. Call replace(child, ...) "
            "without `return`, so that the loop goes on."
        )
    if is_wrapped(attention.query):
        return (
            "Only the children of the module itself are looked at, and a GPT's are embeddings and "
            "blocks. For a child that is no target, call the function again on that child."
        )
    if isinstance(returned, nn.Module):
        return "You returned a changed copy and left the model as it was. Change it in place."
    return (
        "The model is as before. A new value for the loop's variable changes that variable only: "
        "the parent needs setattr(module, name, ...)."
    )
