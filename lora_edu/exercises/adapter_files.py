"""Exercises on adapters as files: what can go wrong, merging, storing many, blending two."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lora_edu.exercises.comparing import close, number, same, tensor
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.statements import choices, judge_statements

_MISTAKES = {
    "each time it is loaded, the same messages get other labels": "head lost",
    "at strength 0 the outputs are still not the base's": "there twice",
    "outputs equal the base's, bit for bit": "not loaded",
}


@exercise(
    "07.mistakes",
    praise="Each of the three runs without an error. Only a comparison shows it.",
)
def mistakes(answer: Any) -> None:
    """Judges which mistake each symptom belongs to."""
    answer = choices(answer, _MISTAKES, _MISTAKES.values())
    changing, twice, equal_to_base = (answer[symptom] for symptom in _MISTAKES)
    if equal_to_base == "head lost":
        raise Wrong(
            "Without its head the adapter's A and B would still move every output a little. Equal "
            "bit for bit means that no A and no B takes part."
        )
    if equal_to_base == "there twice":
        raise Wrong("With the update in it twice, outputs differ from the base's, and too much.")
    if changing == "not loaded":
        raise Wrong(
            "Where no A and no B is loaded, every load gives the same outputs, the base's. What "
            "else was trained for the labels, and is random in a fresh model?"
        )
    if changing == "there twice":
        raise Wrong(
            "Too large an update does harm, but the same harm at every load. What is random is a "
            "new layer, the one that turns 192 numbers into two labels."
        )
    if twice != "there twice":
        raise Wrong(
            "Strength 0 takes away the update beside the weights. Where the outputs are still not "
            "the base's, an update must be in the weights themselves."
        )


@exercise("07.merge", praise="One addition, and inference costs what the base costs.")
def merge(answer: Any) -> None:
    """Judges (weight, A, B, multiplier) → the merged weight of an nn.Linear."""
    generator = torch.Generator().manual_seed(0)
    for n_in, n_out, rank, multiplier in ((5, 3, 2, 3.0), (4, 4, 3, 0.5)):
        a = torch.randn(n_in, rank, generator=generator)
        b = torch.randn(rank, n_out, generator=generator)
        weight = torch.randn(n_out, n_in, generator=generator)
        update = (a @ b).T
        try:
            found = tensor(answer(weight, a, b, multiplier))
        except RuntimeError as error:
            if f"({rank})" in str(error):
                raise Wrong(
                    "`*` multiplies entry by entry, and a product of matrices is written `@`. The "
                    "update is A @ B: both are in it."
                ) from None
            if "cannot be multiplied" in str(error):
                raise Wrong(
                    f"A is {tuple(a.shape)} and B is {tuple(b.shape)}: they meet at the rank, as "
                    "A @ B. The product is transposed, not its parts."
                ) from None
            if "must match the size" not in str(error):
                raise
            raise Wrong(
                f"The layer maps {n_in} numbers to {n_out}. A @ B has shape {tuple(update.T.shape)}"
                f", but nn.Linear stores its weight as (out, in), here {tuple(weight.shape)}."
            ) from None
        if found.shape != weight.shape:
            raise Wrong(f"Return a weight of shape {tuple(weight.shape)}, as the one given.")
        for wrong, words in (
            (weight, "That is the base's weight: no update is in it."),
            (weight + update, "The multiplier is missing: the update is multiplier · A B."),
            (multiplier * update, "That is the update alone; it is added to the weight."),
            (
                weight - multiplier * update,
                "You subtracted the update. That is how one takes it out again.",
            ),
            (
                multiplier * (weight + update),
                "The multiplier is the update's alone; the weight keeps its size.",
            ),
            (weight + 2 * multiplier * update, "The update is in it twice."),
            (
                weight + multiplier / rank * update,
                "You divided by the rank. The multiplier is the whole factor already.",
            ),
        ):
            if close(found, wrong):
                raise Wrong(words)
        if not close(found, weight + multiplier * update):
            raise Wrong("With it the layer does not compute x W + multiplier · x A B.")


@exercise("07.bytes", praise="The base is there once; each task adds its small file.")
def bytes_of_tasks(answer: Any) -> None:
    """Judges (base_bytes, adapter_bytes, n_tasks) → bytes of one base with n adapters."""
    for base, adapter, n in ((1000, 10, 3), (700, 9, 50), (700, 9, 1)):
        found, case = (
            number(answer(base, adapter, n)),
            f"A base of {base} bytes and {n} adapters of {adapter}",
        )
        wanted = base + n * adapter
        if same(found, wanted):
            continue
        for wrong, words in (
            (n * (base + adapter), "you store the base again with every task."),
            (n * base, "you count a whole model for every task: that is without adapters."),
            (n * adapter, "the base is missing: adapters alone say nothing."),
            (base + adapter, "you count one adapter, whatever the number of tasks."),
        ):
            if same(found, wrong):
                raise Wrong(f"{case}: {words}")
        raise Wrong(f"{case} take {wanted} bytes, yours gives {found:g}.")


@exercise("07.blend", praise="The ranks add up, and not a bit of either update is lost.")
def blend(answer: Any) -> None:
    """Judges ((A₁, B₁), (A₂, B₂)) → (A, B) with A B = (A₁ B₁ + A₂ B₂) / 2."""
    generator = torch.Generator().manual_seed(0)
    for rank, other in ((2, 2), (1, 3)):
        sizes = ((6, rank), (rank, 7), (6, other), (other, 7))
        _judge_blend(answer, *(torch.randn(*size, generator=generator) for size in sizes))


def _judge_blend(answer: Any, a1: Tensor, b1: Tensor, a2: Tensor, b2: Tensor) -> None:
    """Judges the blend of two adapters, from 6 numbers to 7."""
    ranks = a1.shape[1], a2.shape[1]
    try:
        pair = answer((a1, b1), (a2, b2))
    except RuntimeError as error:
        if ranks == (2, 2) or "must match" not in str(error):
            raise
        raise Wrong(
            "Two adapters need not have the same rank; with 1 and 3 yours fails. Put the A side by "
            "side and the B below each other."
        ) from None
    if isinstance(pair, Tensor):
        raise Wrong(
            f"You returned one matrix of {pair.numel()} numbers. An adapter is a pair: return A "
            "and B with that product."
        )
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise Wrong("Return two matrices, A and B.")
    a, b = map(tensor, pair)
    if a.shape[0] != 6 or b.shape[1] != 7 or a.shape[1] != b.shape[0]:
        raise Wrong(
            f"A of shape {tuple(a.shape)} and B of shape {tuple(b.shape)} do not map 6 numbers to "
            "7. Put the A side by side and the B below each other: it is the rank that grows."
        )
    product, wanted = a @ b, (a1 @ b1 + a2 @ b2) / 2
    if close(product, wanted) and a.shape[1] > sum(ranks):
        raise Wrong(
            f"The product is right, but A has {a.shape[1]} columns. Ranks add up, so "
            f"{ranks[0]} + {ranks[1]} are enough."
        )
    for wrong, words in _blends_mistaken(a1, b1, a2, b2):
        if close(product, wrong):
            raise Wrong(words)
    if not close(product, wanted):
        raise Wrong("A @ B is not the average of A₁ @ B₁ and A₂ @ B₂.")


def _blends_mistaken(a1: Tensor, b1: Tensor, a2: Tensor, b2: Tensor) -> list[tuple[Tensor, str]]:
    """Returns the products of mistaken blends, each with what to say to it."""
    total = a1 @ b1 + a2 @ b2
    mistaken = [
        (total, "That is the sum of the two updates, not their average."),
        (total / 4, "You halved both A and B, so the product is a quarter of the sum."),
        (a1 @ b1 / 2, "The second adapter takes no part."),
    ]
    if a1.shape != a2.shape:
        return mistaken
    crossed = (a1 + a2) @ (b1 + b2)
    return [
        *mistaken,
        ((a1 @ b2 + a2 @ b1) / 2, "Each A must meet its own B: keep the same order in both."),
        (
            crossed / 4,
            "Averaging the A and the B is not averaging the updates: (A₁ + A₂)(B₁ + B₂) also holds "
            "A₁ B₂ and A₂ B₁, which no task has learnt.",
        ),
        (
            crossed / 2,
            "Half the sum of the A times the sum of the B also holds A₁ B₂ and A₂ B₁, which no "
            "task has learnt.",
        ),
        (
            crossed,
            "The sum of the A times the sum of the B is not the sum of the updates: it also holds "
            "A₁ B₂ and A₂ B₁.",
        ),
    ]


_TIED = {"beside": False, "merged": True, "untied": True}


@exercise("08.tied", praise="One matrix with two jobs: an update merged for one reaches both.")
def tied(answer: Any) -> None:
    """Judges three statements about a head that shares its matrix with the embedding."""
    judge_statements(
        answer,
        _TIED,
        {
            "beside": "an update beside the head is added to the logits alone. The embedding "
            "looks rows up in W, and W is as it was",
            "merged": "after the merge W itself has the update, and the embedding looks up its "
            "rows there: every word would be read differently",
            "untied": "head and embedding then need a matrix each, and so does the file",
        },
    )
