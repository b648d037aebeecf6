"""The exercise on replacing layers in a whole model."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.trials import TINY, NotesCopies, same_numbers
from lora_edu.gpt import GPT
from lora_edu.targets import is_wrapped

_NAMED_NAME = (
    "`module.name` means an attribute called “name”; use setattr(module, name, ...), which takes "
    "the variable's value."
)
_AS_A_DICT = (
    "A module is no dict, so `module[name]` does not work. getattr(module, name) reads its child "
    "of that name, and setattr(module, name, ...) puts another in its place."
)
_NO_ITEMS = re.compile(r"'(\w+)' object (is not subscriptable|does not support item assignment)")
_PATH_AS_NAME = (
    "setattr takes a name, not a path: a child called 'blocks.0.attention.query' now hangs on the "
    "model itself, and the layer in the block is as before. Go through named_children(), and call "
    "replace(child, ...) for what lies below."
)
_ON_THE_MODEL = (
    "The layers now hang on the model itself, and those in the blocks are as before: setattr needs "
    "a layer's own parent. Go through named_children(), and call replace(child, ...) for what lies "
    "below."
)
_WRAPS_WRAPPERS = (
    "It never ends: it wraps the layer inside each wrapper again. A layer that you have just "
    "wrapped is done; do not go into it."
)
_CALLS_ITSELF = (
    "It never ends: it calls itself on the same module again. Loop over "
    "named_children() (named_modules() lists the module itself first) and hand on the child."
)
_STORES_NONE = (
    "Your call returned None, and you stored it in the parent, so the child is gone. "
    "replace(child, ...) changes the child in place: call it, and store nothing."
)


@exercise("03.replace", praise="A few lines for any model made of nn.Linear layers.", in_place=True)
def replace(answer: Any) -> None:
    """Judges a function (module, rank, alpha, targets) that wraps by last name, in place."""
    wanted = {"query", "value"}
    block, model = GPT(TINY).blocks[0].attention, NotesCopies(TINY)
    before = dict(model.named_modules())
    learning = {id(p): p.requires_grad for p in model.parameters()}
    try:
        returned = answer(model, 2, 3.0, wanted)
        answer(block, 2, 3.0, wanted)
    except RecursionError:
        nested = any(".linear.linear" in name for name, _ in model.named_modules())
        raise Wrong(_WRAPS_WRAPPERS if nested else _CALLS_ITSELF) from None
    except TypeError as error:
        found = _NO_ITEMS.match(str(error))
        if found and found[1] in {type(each).__name__ for each in model.modules()}:
            raise Wrong(_AS_A_DICT) from None
        raise
    except RuntimeError as error:
        if "during iteration" not in str(error):
            raise
        names = {name for name, _ in model.named_children()}
        paths = any("." in name for name in names)
        by_name = _ON_THE_MODEL if wanted & names else _NAMED_NAME
        raise Wrong(_PATH_AS_NAME if paths else by_name) from None
    wrapped = {name: layer for name, layer in model.named_modules() if is_wrapped(layer)}
    if any(None in module._modules.values() for module in model.modules()):
        raise Wrong(_STORES_NONE)
    if not wrapped:
        raise Wrong(_nothing_replaced(returned, block, model))
    if any("." in name for name, _ in model.named_children()):
        raise Wrong(_PATH_AS_NAME)
    if twice := [name for name in wrapped if name.endswith(".linear")]:
        raise Wrong(f"{twice[0]} is a wrapper inside a wrapper; each layer is wrapped once.")
    if wanted & wrapped.keys():
        raise Wrong(_ON_THE_MODEL)
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
        if layer.linear is not before[name] and same_numbers(layer.linear, before[name]):
            raise Wrong(
                "The layer inside the wrapper is a copy: two layers take memory, and who holds the "
                "first one misses yours. Give LinearWithLoRA the child itself."
            )
        if layer.linear is not before[name]:
            raise Wrong(
                "The layer inside the wrapper is a new one, so the pretrained weights are lost. "
                "Give LinearWithLoRA the child itself."
            )
        lora, rank = layer.lora, layer.lora.A.shape[1]
        if (rank, lora.alpha) != (2, 3.0):
            raise Wrong(
                f"Asked for rank 2 and alpha 3, the layers have rank {rank} and alpha "
                f"{lora.alpha:g}: hand both on, also in the recursive call."
            )
        if getattr(lora, "multiplier", lora.alpha) != 3.0:  # the notebook's class has none
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


def _nothing_replaced(returned: Any, attention: nn.Module, model: NotesCopies) -> str:
    """Says why no layer of a model is wrapped; `attention` was given to the answer, too."""
    if any(hasattr(layer, "A") and hasattr(layer, "B") for layer in model.modules()):
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
            "The layers of a module on its own are replaced, but not those that lie deeper, as in "
            "a GPT's blocks. For a child that is no target, call the function again on that child. "
            "If you loop over named_modules(): its names are whole paths, which equal no target."
        )
    if isinstance(returned, nn.Module) or model.copied:
        return "You changed a copy and left the model as it was. Change the model itself."
    return (
        "The model is as before. A new value for the loop's variable changes that variable only: "
        "the parent needs setattr(module, name, ...)."
    )
