"""Answers to the exercises on rank."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lora_edu.spectra import energy_kept, truncate
from samples import Samples, judged

Pair = tuple[Tensor, Tensor]
TRUTH = {"closest": True, "task": False, "factorised": False, "unique": False}


def _pair(a: list[float], b: list[float]) -> Pair:
    return torch.tensor(a)[:, None], torch.tensor(b)[None, :]


def _svd(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.linalg.svd(matrix, full_matrices=False)


def _cut(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = _svd(matrix)
    return u[:, :rank] @ torch.diag(s[:rank]) @ vh[:rank, :]


def _by_projection(matrix: Tensor, rank: int) -> Tensor:
    u = _svd(matrix)[0][:, :rank]
    return u @ u.T @ matrix


def _in_numpy(matrix: np.ndarray, rank: int) -> np.ndarray:
    u, s, vh = np.linalg.svd(matrix, full_matrices=False)
    return u[:, :rank] * s[:rank] @ vh[:rank]


def _zeroed_in_place(matrix: Tensor, rank: int) -> Tensor:
    return matrix.copy_(_cut(matrix, rank))


def _unscaled(matrix: Tensor, rank: int) -> Tensor:
    u, _, vh = _svd(matrix)
    return u[:, :rank] @ vh[:rank]


def _rooted(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = _svd(matrix)
    return u[:, :rank] * s[:rank].sqrt() @ vh[:rank]


def _roots_in_both(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = _svd(matrix)
    root = s[:rank].sqrt()
    return (u[:, :rank] * root) @ (root[:, None] * vh[:rank])


def _strengths_in_both(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = _svd(matrix)
    return (u[:, :rank] * s[:rank]) @ (s[:rank, None] * vh[:rank])


def _rows_of_u(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = _svd(matrix)
    return (u[:rank] * s[:rank]) @ vh[:rank]


def _strengths_as_a_vector(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = _svd(matrix)
    return u[:, :rank] @ s[:rank] @ vh[:rank]


def _smallest(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = _svd(matrix)
    return (u[:, -rank:] * s[-rank:]) @ vh[-rank:]


def _columns_of_vh(matrix: Tensor, rank: int) -> Tensor:
    u, s, vh = _svd(matrix)
    return (u[:, :rank] * s[:rank]) @ vh[:, :rank].T


def _columns(matrix: Tensor, rank: int) -> Tensor:
    kept = torch.zeros_like(matrix)
    kept[:, :rank] = matrix[:, :rank]
    return kept


def _energy(values: Tensor, rank: int) -> Tensor:
    return (values[:rank] ** 2).sum() / (values**2).sum()


SAMPLES = {
    "01.make_update": Samples(
        right=[
            _pair([1.0, 0.0], [0.0, 2.0]),
            _pair([2.0, 0.0], [0.0, 1.0]),
            _pair([-4.0, 0.0], [0.0, -0.5]),
            [torch.tensor([[1], [0]]), torch.tensor([[0, 2]])],
            _pair([0.1, 0.0], [0.0, 20.0]),
            tuple(factor.double() for factor in _pair([3.0, 0.0], [0.0, 2 / 3])),
        ],
        wrong=[
            (_pair([0.0, 2.0], [1.0, 0.0]), "swapped"),
            (_pair([1.0, 0.0], [2.0, 0.0]), "moved along the first axis"),
            (_pair([1.0, 0.0], [0.0, 1.0]), "moves by 1 instead of 2"),
            (_pair([1.0, 1.0], [0.0, 2.0]), "also moves (0, 1)"),
            ((torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])), "must be a column"),
            (([[1.0], [0.0]], [[0.0, 2.0]]), "Make tensors of the lists"),
            ((np.ones((2, 1)), np.ones((1, 2))), "Make tensors of the lists"),
            (_pair([1.0, 0.0], [0.0, -2.0]), "The sign is wrong"),
            (_pair([3.0, 0.0], [0.0, 3.0]), "yours is (0, 9)"),
            (_pair([0.0, 1.0], [0.0, 2.0]), "A sees the wrong axis"),
        ],
    ),
    "01.cut": Samples(
        right=[
            truncate,
            _cut,
            lambda matrix, rank: truncate(matrix.double(), rank),
            lambda matrix, rank: _cut(matrix.double(), rank),
            _roots_in_both,
            _by_projection,
            lambda matrix, rank: torch.as_tensor(_in_numpy(matrix.numpy(), rank)),
        ],
        wrong=[
            (_unscaled, "The strengths are missing"),
            (_rooted, "the roots of the strengths"),
            (_strengths_in_both, "The strengths count twice"),
            (_rows_of_u, "The shapes do not fit"),
            (_strengths_as_a_vector, "The shapes do not fit"),
            (_smallest, "the weakest directions"),
            (_columns_of_vh, "You took columns of Vh"),
            (lambda matrix, rank: matrix - truncate(matrix, rank), "That is the residual"),
            (_columns, "You kept columns of the matrix"),
            (lambda matrix, rank: matrix, "Nothing was cut"),
            (lambda matrix, rank: _svd(matrix)[0][:, :rank], "Take the first `rank` of each"),
            (lambda matrix, rank: tuple(_svd(matrix)), "back into one matrix"),
            (lambda matrix, rank: _unscaled(matrix, rank) @ matrix, "The shapes do not fit"),
            (lambda matrix, rank: 0 * matrix, "Take the first `rank` of each"),
            (lambda matrix, rank: _cut(matrix, 2), "right for rank 2 alone"),
            (lambda matrix, rank: _cut(matrix, rank).numpy(), "yours is a ndarray"),
            (lambda matrix, rank: _cut(matrix, rank).tolist(), "yours is a list"),
            (_zeroed_in_place, "changes the `matrix` that"),
        ],
    ),
    "01.energy": Samples(
        right=[
            _energy,
            lambda values, rank: energy_kept(values)[rank - 1],
            lambda values, rank: _energy(values.numpy(), rank),
            lambda values, rank: _energy(values.double(), rank).item(),
            lambda values, rank: 1 - (values[rank:] ** 2).sum() / (values**2).sum(),
            lambda values, rank: (values[:rank].norm() / values.norm()) ** 2,
            lambda values, rank: sum(v**2 for v in values[:rank]) / sum(v**2 for v in values),
        ],
        wrong=[
            (lambda s, rank: s[:rank].sum() / s.sum(), "Energy adds their squares"),
            (lambda s, rank: rank / len(s), "not equally strong"),
            (lambda s, rank: (s[rank:] ** 2).sum() / (s**2).sum(), "what the cut throws away"),
            (lambda s, rank: (s[:rank] ** 2).sum(), "divide by all of it"),
            (lambda s, rank: _energy(s, rank) ** 0.5, "the share of the norm"),
            (lambda s, rank: _energy(s, rank + 1), "one piece too many"),
            (lambda s, rank: s[rank - 1] ** 2 / (s**2).sum(), "one piece alone"),
            (lambda s, rank: s[:rank] ** 2 / (s**2).sum(), "a share for each piece"),
            (lambda s, rank: energy_kept(s), "added up already"),
            (lambda s, rank: 100 * _energy(s, rank), "in per cent"),
            (lambda s, rank: s[:rank].sum() ** 2 / (s**2).sum(), "If you squared a sum"),
            (lambda s, rank: (s[:rank].sum() / s.sum()) ** 2, "You squared sums"),
            (lambda s, rank: (s[:-rank] ** 2).sum() / (s**2).sum(), "You dropped the last"),
            (lambda s, rank: 1 - (s[-rank:] ** 2).sum() / (s**2).sum(), "You dropped the last"),
            (lambda s, rank: _energy(s, len(s) // 2), "one piece too many"),
            (lambda s, rank: _energy(s.mul_(2), rank), "changes the `s`"),
            (lambda s, rank: _energy(s, 2), "right for rank 2 alone"),
            (lambda s, rank: round(float(_energy(s, rank)), 2), "the share is 20 / 27"),
            (lambda s, rank: str(float(_energy(s, rank))), "without quotation marks"),
        ],
    ),
    "01.true_or_false": Samples(
        right=judged(TRUTH),
        wrong=[
            (TRUTH | {"closest": False}, "Eckart and Young do promise"),
            (TRUTH | {"task": True}, "nobody asked the task"),
            (TRUTH | {"factorised": True}, "W is not factorised"),
            (TRUTH | {"unique": True}, "only the product is identified"),
            (dict.fromkeys(TRUTH, True), "nobody asked the task"),
            ({"closest": True}, "Keep the dict"),
            (TRUTH | {"rank": True}, "Keep the dict"),
            (TRUTH | {"task": "False"}, "without quotation marks"),
        ],
    ),
}
