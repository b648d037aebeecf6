"""The exercise on preparing a classifier: what is frozen, what is added, and in which order."""

from __future__ import annotations

from typing import Any

from torch import nn

from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.trials import NotesCopies
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import LinearWithLoRA
from lora_edu.targets import is_wrapped

_SMALL = GPTConfig(vocab_size=11, context_length=4, n_layer=2, n_head=2, n_embd=16)
_RANK, _MULTIPLIER, _CLASSES = 8, 2.0, 2


@exercise("05.prepare", praise="Three lines, and the same for any task.", in_place=True)
def prepare(answer: Any) -> None:
    """Judges a function of a GPT that makes it a classifier with LoRA, in place."""
    model = NotesCopies(_SMALL)
    before, learning = dict(model.named_modules()), _learning(model)
    returned = answer(model)
    if dict(model.named_modules()) == before and _learning(model) == learning:
        raise Wrong(_as_before(returned, model))
    _judge_layers(model, before)
    _judge_head(model, before)
    _judge_learning(model)


def _learning(model: nn.Module) -> list[str]:
    """Names the parameters that learn."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def _as_before(returned: Any, model: NotesCopies) -> str:
    """Says why a model is as it was, with the same layers, of which the same learn."""
    if isinstance(returned, nn.Module) and returned is not model or model.copied:
        return (
            "You prepared another model, and the one given is as before. Change `model` itself, "
            "since the notebook goes on with it."
        )
    return "The model is as before: nothing is frozen, added or replaced."


def _judge_layers(model: GPT, before: dict[str, nn.Module]) -> None:
    """Judges which layers have LoRA beside them, and of what rank and strength."""
    wrapped = {name: layer for name, layer in model.named_modules() if is_wrapped(layer)}
    if not wrapped:
        raise Wrong("No layer has A and B beside it. `replace_linear_with_lora` puts them there.")
    if any(not isinstance(layer, LinearWithLoRA) for layer in wrapped.values()):
        raise Wrong(
            "Your layers are of a class of your own, and later cells need the course's: call "
            "`replace_linear_with_lora`."
        )
    if any(name.endswith(".linear") for name in wrapped):
        raise Wrong("Some layers have A and B twice, the second inside the first: once is enough.")
    wanted = [
        name
        for name, layer in before.items()
        if isinstance(layer, nn.Linear) and name.startswith("blocks.")
    ]
    if missing := [name for name in wanted if name not in wrapped]:
        raise Wrong(_told_missing(missing))
    if any(wrapped[name].linear is not before[name] for name in wanted):
        raise Wrong(
            "The layers beside A and B are new or copies. Keep those of the model, with what they "
            "have learnt."
        )
    for name in wanted:
        _judge_update(wrapped[name])


def _told_missing(missing: list[str]) -> str:
    """Names the kinds of layers without LoRA, and whether they are so in every block."""
    kinds = list(dict.fromkeys(name.rpartition(".")[2] for name in missing))
    named = " and ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
    if len(missing) < _SMALL.n_layer * len(kinds):
        return f"In some blocks there is no LoRA beside {named}: every block gets it."
    return f"There is no LoRA beside {named}: all six kinds in `layers` get it."


def _judge_update(layer: LinearWithLoRA) -> None:
    """Judges the rank, the multiplier and the random start of one update."""
    lora = layer.lora
    if lora.rank != _RANK:
        raise Wrong(f"The rank is {lora.rank}, and should be {_RANK}.")
    if lora.multiplier == 16:
        raise Wrong(
            "The multiplier is 16, alpha itself. It should be 2: give alpha 2, or divide 16 by the "
            'rank with `scaling="alpha/rank"`.'
        )
    if lora.multiplier != _MULTIPLIER:
        raise Wrong(f"The multiplier is {lora.multiplier:g}, and should be 2: give alpha 2.")
    if lora.init != "peft":
        raise Wrong(
            'A is drawn from another range than in our recorded runs: give `init="peft"`, too.'
        )


def _judge_head(model: GPT, before: dict[str, nn.Module]) -> None:
    """Judges whether the model ends in a new linear layer of the right shape."""
    head, width = getattr(model, "head", None), _SMALL.n_embd
    if head is before["head"] or (is_wrapped(head) and head.linear is before["head"]):
        raise Wrong(_old_head(model, before))
    if is_wrapped(head):
        raise Wrong(
            "The new head got A and B, too. It is trained in full: name `layers` as targets, or "
            "put the head in after replacing."
        )
    if not isinstance(head, nn.Linear):
        raise Wrong(f"The head is of the type {type(head).__name__}; one `nn.Linear` is enough.")
    shape = head.in_features, head.out_features
    if shape == (_CLASSES, width):
        raise Wrong("The head's sizes are the wrong way round: `nn.Linear(inputs, outputs)`.")
    if head.in_features != width:
        raise Wrong(
            f"The head takes {head.in_features} inputs, and the small model that was tried has "
            f"{width}: take the number from `model.config.n_embd`."
        )
    if head.out_features != _CLASSES:
        raise Wrong(
            f"The head should have two outputs, for ham and spam, and has {head.out_features}."
        )
    if head.bias is None:
        raise Wrong("The head has no bias. `nn.Linear` has one if you do not switch it off.")


def _old_head(model: GPT, before: dict[str, nn.Module]) -> str:
    """Says that the model still has its old head, and where a new one went instead."""
    for name, child in model.named_children():
        if name not in before and isinstance(child, nn.Linear):
            return f"You put a new layer in `model.{name}`, but the model calls `model.head`."
    return "The old head still scores next tokens: put a new layer in `model.head`."


def _judge_learning(model: GPT) -> None:
    """Judges whether A, B and the head learn, and nothing else; all of them are there."""
    learning, every = set(_learning(model)), {name for name, _ in model.named_parameters()}
    updates = {name for name in every if name.endswith((".lora.A", ".lora.B"))}
    head = {name for name in every if name.startswith("head.")}
    base = every - updates - head
    if not learning:
        raise Wrong(
            "Nothing learns. `freeze` stops all that is there when it is called, and it was called "
            "last."
        )
    if base <= learning:
        raise Wrong("Nothing of the base is frozen, so all of it would learn. Call `freeze` first.")
    if others := [name for name in every if name in base & learning]:
        raise Wrong(f"Not only A, B and the head learn: {min(others)} does, too.")
    if not updates & learning:
        raise Wrong(
            "A and B are frozen, too: `freeze` was called after they were put in. Call it before."
        )
    if not head & learning:
        raise Wrong("The new head is frozen, too: put it in after `freeze`.")
    if stopped := (updates | head) - learning:
        raise Wrong(f"{min(stopped)} is frozen; A, B and the whole head should learn.")
