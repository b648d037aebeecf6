"""Exercises on the memory of training: weights, gradients and Adam, and the activations."""

from __future__ import annotations

from typing import Any

from lora_edu.exercises.comparing import number, same
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.statements import judge_statements


@exercise("04.fixed_bytes", praise="Frozen weights cost 2 bytes each, trained ones 12.")
def fixed_bytes(answer: Any) -> None:
    """Judges a function (total, trained) → bytes of weights, gradients and Adam's states."""
    total, trained = 1000, 10
    found = number(answer(total, trained))
    if same(found, 12 * total):
        raise Wrong("That is full fine-tuning. Only trained weights have a gradient and Adam's.")
    if any(same(found, size * total) for size in (4, 6, 8, 10)):
        raise Wrong(
            "You charge every weight for all of it. Ask of each kind of number whether a frozen "
            "weight has it, too; if not, count it for `trained`."
        )
    if same(found, 12 * trained):
        raise Wrong("You left out the frozen weights. They are not trained, but they are there.")
    if same(found, 2 * total + 8 * trained):
        raise Wrong(
            "2 bytes are missing for each trained weight: it has its own number, a gradient, and "
            "Adam's two."
        )
    if same(found, 2 * total + 12 * trained):
        raise Wrong(
            "That is 2 bytes too many for each trained weight. `total` includes the adapters "
            "already, and a gradient takes 2 bytes."
        )
    if same(found, 2 * total + 6 * trained):
        raise Wrong(
            "4 bytes are missing for each trained weight: Adam keeps two numbers of 4 bytes each."
        )
    if same(found, 2 * total + 2 * trained):
        raise Wrong("You have weights and gradients. Adam's two numbers, 4 bytes each, are left.")
    if same(found, 10 * total + 2 * trained):
        raise Wrong("Frozen weights have no state of Adam's: it keeps two numbers for each trained "
                    "weight alone.")  # fmt: skip
    if same(found, 4 * total + 8 * trained):
        raise Wrong("A frozen weight has no gradient: count 2 bytes for each trained one alone.")
    if same(found, 10 * trained):
        raise Wrong("You have gradients and Adam's states. The weights themselves are left.")
    if not same(found, 2 * total + 10 * trained):
        raise Wrong(
            "Add up three sums: the weights, their gradients, and Adam's numbers. For each, ask "
            "how many bytes one takes, and whether all weights have it or the trained ones alone."
        )
    if not same(answer(5000, 700), 17_000):
        raise Wrong("It is right for one model only: use total and trained.")


_TRUTH = {"no_backward": False, "last_block": True, "share": False, "checkpointing": True}
_MISCONCEPTIONS = {
    "no_backward": "a frozen layer gets no gradient of its own, but it passes the error on to the "
    "layers below it: their adapters need it. So most activations stay",
    "last_block": "the error has to come back only as far as the lowest adapter; below it nothing "
    "is computed in the backward pass, and nothing is kept for it",
    "share": "the weights alone are 2 of full fine-tuning's 12 bytes a parameter, and they stay: "
    "without activations LoRA saves 83 % at most, with them less",
    "checkpointing": "with checkpointing a block's activations are computed a second time, about "
    "one more forward pass: it buys memory with time",
}


@exercise(
    "04.true_or_false",
    praise="Frozen layers stay in memory and, after an adapter, in the backward pass.",
)
def true_or_false(answer: Any) -> None:
    """Judges four statements about memory."""
    judge_statements(answer, _TRUTH, _MISCONCEPTIONS)
