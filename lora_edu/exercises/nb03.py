"""The exercises of notebook 03, "LoRA in a small GPT"."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from lora_edu.exercises import nb03_answers as answers
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.targets import find_targets, is_wrapped

TINY = GPTConfig(vocab_size=11, context_length=4, n_layer=6, n_head=2, n_embd=4)


@exercise(
    "03.targets",
    right=answers.RIGHT_TARGETS,
    wrong=answers.WRONG_TARGETS,
    praise="8 layers: four projections in each of the last two blocks.",
)
def targets(answer: Any) -> None:
    """Judges targets for the four attention projections of the last two of six blocks."""
    model = GPT(TINY)
    wanted = find_targets(model, "blocks.[45].attention.*")
    try:
        found = find_targets(model, answer)
    except ValueError:
        if "(" in str(answer) or "\\" in str(answer):
            raise Wrong(
                "That is a regular expression. Shell patterns know *, ? and [45] only."
            ) from None
        raise Wrong(
            "One of these matches no layer. A target is a whole name, its last part, or a pattern; "
            "'attention' is a group of layers, so the layers in it are 'attention.*'."
        ) from None
    blocks = sorted({name.split(".")[1] for name in found if name.startswith("blocks")})
    if any("mlp" in name or name == "head" for name in found):
        raise Wrong(
            f"{len(found)} layers match, and not all of them belong to attention: the MLP's do not."
        )
    if set(blocks) - {"4", "5"}:
        raise Wrong(
            f"This matches in the blocks {', '.join(blocks)}. Only the last two are asked for, "
            "numbers 4 and 5, since counting starts at 0."
        )
    if blocks != ["4", "5"]:
        raise Wrong(f"This matches in block {blocks[0]} only; [45] in a pattern means 4 or 5.")
    if found != wanted:
        raise Wrong(
            f"{len(found)} layers match, 8 are asked for: query, key, value and out, in two blocks."
        )


@exercise(
    "03.replace",
    right=answers.RIGHT_REPLACES,
    wrong=answers.WRONG_REPLACES,
    praise="A dozen lines for any model made of nn.Linear layers.",
    in_place=True,
)
def replace(answer: Any) -> None:
    """Judges a function (module, rank, alpha, targets) that wraps by last name, in place."""
    wanted = {"query", "value"}
    block, model = GPT(TINY).blocks[0].attention, GPT(TINY)
    before = dict(model.named_modules())
    try:
        returned = answer(model, 2, 3.0, wanted)
        answer(block, 2, 3.0, wanted)
    except RecursionError:
        raise Wrong(
            "It never ends: it wraps the layer inside each wrapper again. A layer that you have "
            "just wrapped is done; do not go into it."
        ) from None
    wrapped = {name: layer for name, layer in model.named_modules() if is_wrapped(layer)}
    if not wrapped:
        raise Wrong(_nothing_replaced(returned, is_wrapped(block.query)))
    if twice := [name for name in wrapped if name.endswith(".linear")]:
        raise Wrong(f"{twice[0]} is a wrapper inside a wrapper; each layer is wrapped once.")
    last_names = {name.rpartition(".")[2] for name in wrapped}
    if last_names - wanted:
        raise Wrong(
            f"With targets {{'query', 'value'}} it also wrapped {min(last_names - wanted)}: "
            "compare the child's name with the targets before you wrap."
        )
    if len(wrapped) != 2 * TINY.n_layer:
        raise Wrong(f"{len(wrapped)} layers are wrapped, 12 should be: two in each of six blocks.")
    for name, layer in wrapped.items():
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


def _nothing_replaced(returned: Any, works_on_direct_children: bool) -> str:
    if works_on_direct_children:
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


@exercise(
    "03.order",
    right=[answers.ORDER],
    wrong=answers.WRONG_ORDERS,
    praise="`fit` warns of the two wrong orders.",
)
def order(answer: Any) -> None:
    """Judges what learns after each of three orders of freezing and replacing."""
    allowed = set(answers.ORDER.values())
    if not isinstance(answer, dict) or answer.keys() != answers.ORDER.keys():
        raise Wrong(f"Keep the dict with the three keys {', '.join(answers.ORDER)}.")
    if strange := [value for value in answer.values() if value not in allowed]:
        raise Wrong(f"Choose among {', '.join(sorted(allowed))}; {strange[0]!r} is none of them.")
    if answer["replace only"] != "everything":
        raise Wrong(
            "replace_linear_with_lora freezes nothing: without freeze the base learns as well, "
            "which is full fine-tuning with extra parameters."
        )
    if answer["replace, freeze"] != "nothing":
        raise Wrong(
            "freeze stops every parameter that is there when it is called. After replacing, A and "
            "B are there too."
        )
    if answer["freeze, replace"] != "A and B":
        raise Wrong("A and B are made after the freezing, so they learn, and only they do.")


@exercise(
    "03.snapshot",
    right=answers.RIGHT_SNAPSHOTS,
    wrong=answers.WRONG_SNAPSHOTS,
    praise="Without the copy, any proof would be worthless: it could not fail.",
)
def snapshot(answer: Any) -> None:
    """Judges a function model → {name: a copy of each tensor}."""
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    old = copy.deepcopy(model.state_dict())
    taken = answer(model)
    if not isinstance(taken, dict):
        raise Wrong("Return a dict of names and tensors, so that each can be compared by name.")
    if missing := [name for name in old if name not in taken]:
        raise Wrong(
            f"{missing[0]} is missing. The frozen tensors are the ones to watch: take all of "
            "model.state_dict()."
        )
    if not all(isinstance(taken[n], Tensor) and taken[n].shape == old[n].shape for n in old):
        raise Wrong(
            "Keep whole tensors. A sum or a mean can stay the same while the entries change."
        )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    if all(torch.equal(taken[name], new) for name, new in model.state_dict().items()):
        raise Wrong(
            "When the model changed, your snapshot changed with it: it holds the model's own "
            "memory. Nothing would ever look different. Copy each tensor with .clone()."
        )
    if not all(torch.equal(taken[name], old[name]) for name in old):
        raise Wrong("The copies are not equal to the tensors they were made from.")


@exercise(
    "03.backward",
    right=answers.RIGHT_PASSED,
    wrong=answers.WRONG_PASSED,
    praise="From the loss down to the lowest adapter, through every frozen layer on the way.",
)
def backward(answer: Any) -> None:
    """Judges (blocks with an adapter, n_layer) → the blocks that the gradient enters."""
    for adapted, n_layer in (([2], 6), ([1, 4], 6), ([0], 3), ([5], 6)):
        found = sorted(answer(list(adapted), n_layer))
        wanted = list(range(min(adapted), n_layer))
        if found == wanted:
            continue
        case = f"With adapters in blocks {adapted} of {n_layer}"
        if found == sorted(adapted):
            raise Wrong(
                f"{case} you list the adapted blocks alone. Frozen does not mean that no gradient "
                "passes: on its way from the loss it must cross every block above."
            )
        if found == list(range(n_layer)):
            raise Wrong(f"{case} you list all. Below the lowest adapter nothing asks for it.")
        if found == list(range(max(adapted) + 1)):
            raise Wrong(
                f"{case} you go from the input upwards. The backward pass starts at the loss, "
                "behind the last block."
            )
        if found == list(range(min(adapted) + 1, n_layer)):
            raise Wrong(f"{case} the lowest adapted block is missing: its A and B wait for it.")
        if found == list(range(max(adapted), n_layer)):
            raise Wrong(f"{case} you stop at the highest adapter; the lower ones get nothing.")
        raise Wrong(f"{case} the gradient enters {wanted}, you listed {found}.")
