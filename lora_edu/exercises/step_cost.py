"""Exercises on the work of a training step, in forward passes and in operations."""

from __future__ import annotations

from collections.abc import Callable

from lora_edu.exercises.comparing import number, same
from lora_edu.exercises.core import Wrong, exercise

THREE_STAGES = "A and B have three stages too: forward, gradient backwards, gradients of weights."
NO_BACKWARD = (
    "Frozen does not mean no backward pass. A and B sit in every block, so the gradient must "
    "travel back through all frozen layers to reach the first of them."
)


@exercise("05.work", praise="So LoRA saves about a third of the arithmetic, not 95 %.")
def work(answer: dict[str, float]) -> None:
    """Judges the work of one step of each method, in forward passes."""
    if not isinstance(answer, dict) or answer.keys() != {"full", "lora", "head"}:
        raise Wrong("Keep the dict with the names full, lora, head.")
    answer = {method: number(work) for method, work in answer.items()}
    if answer["full"] == 2:
        raise Wrong(
            "The backward pass does two things in each layer: the error of the layer's input, "
            "and the gradient of its weight. Each costs as much as the forward pass."
        )
    if answer["full"] != 3:
        raise Wrong("For full fine-tuning: forward 1, error backwards 1, gradients of weights 1.")
    if answer["lora"] == 1:
        raise Wrong(NO_BACKWARD)
    if answer["lora"] == 3:
        raise Wrong(
            "One third is saved: the gradient of a frozen weight is never computed; that of A "
            "and B costs next to nothing."
        )
    if answer["lora"] != 2:
        raise Wrong(
            "The work does not shrink with the number of trainable parameters. Ask of each of "
            "the three stages whether LoRA still needs it."
        )
    if answer["head"] == 0:
        raise Wrong(
            "Without cached features each step still needs the forward pass to get to the head."
        )
    if answer["head"] != 1:
        raise Wrong(
            "Nothing before the head is trainable, so the error need not travel back at all."
        )


WIDTH, RANK = 192, 8


def _share(width: int, rank: int, wide: float = 2 / 3, thin: float = 1.5) -> float:
    return wide + thin * rank / width


@exercise(
    "05.share",
    praise="It reaches 1 at r = 2 d / 9: from there on LoRA is more work than full fine-tuning.",
)
def share(answer: Callable[[int, int], float]) -> None:
    """Judges a function (width, rank) → LoRA's share of a full step's operations in a block."""
    d, r = WIDTH, RANK
    found, expected = number(answer(d, r)), _share(d, r)
    messages = {
        2 / 3: "That leaves out the thin products with A and B; they grow with the rank.",
        1.5 * r / d: "That is the share of the trained numbers. " + NO_BACKWARD,
        _share(d, r, thin=2): "That is right for a layer of d inputs and d outputs. The MLP's two "
        "have a side of 4 d: add up in × out and in + out over all six layers, then divide.",
        _share(d, r, thin=3): "You counted A and B twice: rank · (in + out) is both already.",
        _share(d, r, thin=1): "Your thin products come to two thirds of what they are. Either they "
        f"lack a stage: {THREE_STAGES} Or in + out lacks the MLP's side of 4 d: over six layers it "
        "is 18 d.",
        _share(d, r, thin=0.5): THREE_STAGES,
        _share(d, r, wide=1 / 3): "You counted one wide product, LoRA needs two. " + NO_BACKWARD,
        _share(d, r, wide=1): "You counted three wide products. The third is the gradient of the "
        "frozen weight, which nobody needs.",
        0: "Your share comes to 0. Does it round down? `//` does, `/` does not.",
        1 / expected: "That is a full step over a LoRA step; turn the fraction round.",
        100 * expected: "That is in per cent; give a share.",
    }
    for value, message in messages.items():
        if same(found, value):
            raise Wrong(message)
    if not same(found, expected):
        raise Wrong(
            "Over the six layers in × out adds up to 12 d² and in + out to 18 d. LoRA has two "
            "wide products and three thin ones, full fine-tuning three wide ones."
        )
    if not same(answer(4 * d, 2 * r), _share(4 * d, 2 * r)):
        raise Wrong("It is right for width 192 and rank 8 alone: use the arguments.")
