"""Exercises on what learns and what stays: the order of the calls, a proof, the backward pass."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from lora_edu.exercises.comparing import numbers
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.statements import choices, statements

_LEARNS = {
    "freeze, replace": "A and B",
    "replace, freeze": "nothing",
    "replace only": "everything",
}


@exercise("03.order", praise="`fit` refuses one of the two wrong orders and warns of the other.")
def order(answer: Any) -> None:
    """Judges what learns after each of three orders of freezing and replacing."""
    answer = choices(answer, _LEARNS, _LEARNS.values())
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
    praise="Without the copy, any proof would be worthless: it could not fail.",
)
def snapshot(answer: Any) -> None:
    """Judges a function model → {name: a copy of each tensor}."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.BatchNorm1d(3))
    model[1].weight = model[0].weight  # tied, as the head of the GPT is
    model[0].requires_grad_(False)
    old = copy.deepcopy(model.state_dict())
    taken = answer(model)
    if not isinstance(taken, dict):
        raise Wrong("Return a dict of names and tensors, so that each can be compared by name.")
    missing = [name for name in old if name not in taken]
    if missing and not set(missing) & {name for name, _ in model.named_parameters()}:
        raise Wrong(
            "named_parameters() leaves out tensors: one that two layers share is listed once, and "
            "a buffer, which is no parameter, not at all. Use model.state_dict(). Of a small test "
            f"model {missing[0]} is missing."
        )
    if missing:
        raise Wrong(
            f"Of a small test model {missing[0]} is missing. The frozen tensors are the ones to "
            "watch: take all of model.state_dict()."
        )
    if not all(isinstance(taken[name], Tensor) for name in old):
        raise Wrong("Keep tensors: `changed`, below, compares tensors.")
    if not all(taken[name].shape == old[name].shape for name in old):
        raise Wrong(
            "Keep whole tensors. A sum or a mean can stay the same while the entries change."
        )
    if not all(taken[name].dtype == old[name].dtype for name in old):
        raise Wrong(
            "Keep the type of each tensor: bits are compared later, and the same number in another "
            "precision has others. Copy it with .clone() alone."
        )
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.add_(1)
    if all(torch.equal(taken[name], new) for name, new in model.state_dict().items()):
        raise Wrong(
            "When the model changed, your snapshot changed with it: it holds the model's own "
            "memory. Nothing would ever look different. Copy each tensor with .clone()."
        )
    if not all(torch.equal(taken[name], old[name]) for name in old):
        raise Wrong("The copies are not equal to the tensors they were made from.")


@exercise(
    "03.backward",
    praise="From the loss down to the lowest adapter, through every frozen layer on the way.",
)
def backward(answer: Any) -> None:
    """Judges (blocks with an adapter, n_layer) → the blocks that the gradient enters."""
    for adapted, n_layer in (([1, 4], 6), ([2], 6), ([0], 3), ([5], 6), ([4, 1], 6)):
        found = sorted(numbers(answer(list(adapted), n_layer), "List the blocks, all of them."))
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
        if found == list(range(min(adapted), max(adapted) + 1)):
            raise Wrong(
                f"{case} you leave out the blocks above the highest: the gradient starts at the "
                "loss and must cross them first."
            )
        if found == list(range(adapted[0], n_layer)):
            raise Wrong(f"{case} you start at the first of the list; it need not be the lowest.")
        if found == list(range(max(adapted), n_layer)):
            raise Wrong(f"{case} you stop at the highest adapter; the lower ones get nothing.")
        raise Wrong(f"{case} the gradient enters {wanted}, you listed {[*map(int, found)]}.")


@exercise("06.forgot", praise="Whatever LoRA forgets, it forgets in a file of its own.")
def forgot(answer: dict[str, bool]) -> None:
    """Judges which of four models tells stories exactly as the base does."""
    answer = statements(answer, ("adapter on", "adapter off", "merged", "full"))
    if not answer["adapter off"]:
        raise Wrong(
            "With the adapter off nothing is left of it: the weights below were frozen, so the "
            "outputs are the base's, bit for bit."
        )
    if answer["adapter on"]:
        raise Wrong(
            "With the adapter on, its update is added to every text, a story too. An adapter does "
            "not know what it is asked for."
        )
    if answer["merged"]:
        raise Wrong(
            "Merging writes the update into the weights: the model is the one with the adapter on."
        )
    if answer["full"]:
        raise Wrong("Full fine-tuning changes the only weights there are.")
