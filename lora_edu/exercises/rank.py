"""Exercises on rank: a made update, a cut by singular values, its energy, and what it promises."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lora_edu.exercises.comparing import close, number, same, tensor
from lora_edu.exercises.core import Wrong, exercise
from lora_edu.exercises.statements import judge_statements
from lora_edu.spectra import truncate

_TARGET = torch.tensor([[0.0, 2.0], [0.0, 0.0]])


@exercise(
    "01.make_update",
    praise="A names the direction that is read, B the direction that is written.",
)
def make_update(answer: Any) -> None:
    """Judges a pair (A, B) that moves (1, 0) by (0, 2) and leaves (0, 1) alone."""
    a, b = answer
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        raise Wrong("Make tensors of the lists: A = torch.tensor(…), B = torch.tensor(…).")
    if a.shape != (2, 1) or b.shape != (1, 2):
        raise Wrong("A must be a column, (2, 1), and B a row, (1, 2): mind the brackets.")
    made = a.float() @ b.float()
    if torch.equal(made, _TARGET.T):
        raise Wrong("The roles are swapped: here (0, 1) is moved. x @ A reads, @ B writes.")
    if made[1].any() and not made[0].any():
        raise Wrong("(0, 1) is moved and (1, 0) is not: A sees the wrong axis. Swap its numbers.")
    if made[1].any():
        raise Wrong("This also moves (0, 1). A must not see it: its second number must be 0.")
    if made[0, 0]:
        raise Wrong("(1, 0) is moved along the first axis. B says where it goes: (0, something).")
    if made[0, 1] == -2:
        raise Wrong("The sign is wrong: (1, 0) moves by (0, -2). Two minus signs would cancel.")
    if made[0, 1] == 1:
        raise Wrong("The direction is right, the strength is not: (1, 0) moves by 1 instead of 2.")
    if not torch.allclose(made, _TARGET):
        raise Wrong(
            f"Compute x @ A @ B for x = (1, 0): it must be (0, 2), yours is (0, {made[0, 1]:g})."
        )


def _svd(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.linalg.svd(matrix, full_matrices=False)


def _unscaled(matrix: Tensor, rank: int) -> Tensor:
    u, _, vh = _svd(matrix)
    return u[:, :rank] @ vh[:rank]


def _rooted(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = _svd(matrix)
    return (u[:, :rank] * s[:rank].sqrt()) @ vh[:rank]


def _squared(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = _svd(matrix)
    return (u[:, :rank] * s[:rank] ** 2) @ vh[:rank]


def _smallest(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = _svd(matrix)
    return (u[:, -rank:] * s[-rank:]) @ vh[-rank:]


def _columns_of_vh(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = _svd(matrix)
    return (u[:, :rank] * s[:rank]) @ vh[:, :rank].T


def _dropped(matrix: Tensor, rank: int) -> Tensor:
    return matrix - truncate(matrix, rank)


def _columns(matrix: Tensor, rank: int) -> Tensor:
    kept = torch.zeros_like(matrix)
    kept[:, :rank] = matrix[:, :rank]
    return kept


_MISFITS = ("shapes cannot be multiplied", "size of tensor", "size mismatch", "inconsistent tensor")
_SHAPES = (
    "The shapes do not fit: take the first `rank` columns of U, U[:, :rank], but rows of Vh, "
    "which is transposed already. S is a list of numbers: U * S multiplies column i by S[i]."
)


@exercise("01.cut", praise="Three factors, cut to r columns, r strengths and r rows.")
def cut(answer: Any) -> None:
    """Judges a function (matrix, rank) → the closest matrix of that rank."""
    matrix = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    try:
        found = answer(matrix, 2)
    except RuntimeError as error:
        if any(part in str(error) for part in _MISFITS):
            raise Wrong(_SHAPES) from None
        raise
    if isinstance(found, (tuple, list)) and isinstance(found[0], Tensor):
        raise Wrong("Multiply the three cut factors back into one matrix, and return that.")
    found = tensor(found)
    for expected, misconception in (
        (matrix, "Nothing was cut: take the first `rank` columns of U and rows of Vh."),
        (_unscaled(matrix, 2), "The strengths are missing: multiply column i of U by S[i]."),
        (_rooted(matrix, 2), "You took the roots of the strengths. Those would be needed in U and "
         "in Vh; in one alone, it is S itself."),
        (_squared(matrix, 2), "The strengths count twice: multiply U or Vh by S, not both."),
        (_smallest(matrix, 2), "You kept the weakest directions; S comes largest first."),
        (_columns_of_vh(matrix, 2), "You took columns of Vh. It is transposed already: its "
         "directions are its rows."),
        (_dropped(matrix, 2), "That is the residual, what the cut throws away."),
        (_columns(matrix, 2), "You kept columns of the matrix. Its strongest directions need not "
         "be columns: cut U, S and Vh."),
    ):  # fmt: skip
        if close(found, expected):
            raise Wrong(misconception)
    if not close(found, truncate(matrix, 2)):
        raise Wrong("Take the first `rank` of each factor: columns of U, numbers of S, rows of Vh.")
    if not close(answer(matrix.T.contiguous(), 3), truncate(matrix.T, 3)):
        raise Wrong("It is right for rank 2 alone: use the `rank` that is given.")


@exercise("01.energy", praise="Squares add up, as in Pythagoras: the pieces are perpendicular.")
def energy(answer: Any) -> None:
    """Judges a function (singular values, rank) → share of energy kept."""
    found = answer(torch.tensor([4.0, 2.0, 2.0, 1.0, 1.0, 1.0]), 2)
    if isinstance(found, Tensor) and found.numel() > 1:
        first = found.flatten()[:2].double()
        if close(first, torch.tensor([16 / 27, 20 / 27]).double()):
            raise Wrong(
                "These are the shares of one piece, of two, and so on, added up already. Return "
                "the one for `rank` pieces; counting starts at 0."
            )
        raise Wrong("That is a share for each piece. Add up those that the cut keeps.")
    found = number(found)
    for wrong, misconception in (
        (6 / 11, "You added the strengths themselves. Energy adds their squares."),
        (2 / 6, "That is the share of directions kept. They are not equally strong."),
        (7 / 27, "That is what the cut throws away: the squares behind the rank."),
        (20, "That is the energy kept; divide by all of it to get a share."),
        ((20 / 27) ** 0.5, "That is the share of the norm. Energy is the norm squared: no root."),
        (24 / 27, "That is one piece too many: the first `rank` pieces end before index `rank`."),
        (4 / 27, "That is the share of one piece alone. The cut keeps all up to the rank."),
        (2000 / 27, "That is in per cent; a share lies between 0 and 1."),
        (
            36 / 27,
            "That is more than all. If you squared a sum, square each strength first, then add. If "
            "you added running sums, take one of them: each is a sum already.",
        ),
        (36 / 121, "You squared sums. Square each strength first, then add."),
        (25 / 27, "You dropped the last `rank` pieces. The cut keeps the first `rank`."),
    ):
        if same(found, wrong):
            raise Wrong(misconception)
    if not same(found, 20 / 27):
        raise Wrong("For σ = (4, 2, 2, 1, 1, 1) and rank 2 the share is 20 / 27.")
    if not same(answer(torch.tensor([3.0, 2.0, 1.0, 1.0]), 3), 14 / 15):
        raise Wrong("It is right for rank 2 alone: for σ = (3, 2, 1, 1) and rank 3 it is 14 / 15.")


_TRUTH = {"closest": True, "task": False, "factorised": False, "unique": False}
_MISCONCEPTIONS = {
    "closest": "that much Eckart and Young do promise: no matrix of that rank is closer",
    "task": "closest in norm need not be best for the task: nobody asked the task",
    "factorised": "LoRA never computes ΔW first. A and B are learned, W is not factorised",
    "unique": "A · 2 and B / 2 give the same product: only the product is identified",
}


@exercise(
    "01.true_or_false",
    praise="Closest in energy says nothing of the task. And 2 A and B / 2 have the same product.",
)
def true_or_false(answer: Any) -> None:
    """Judges four statements about rank."""
    judge_statements(answer, _TRUTH, _MISCONCEPTIONS)
