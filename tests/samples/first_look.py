"""Answers to the exercises of a first look at adapters."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from samples import Samples, judged

TRUTH = {"forgotten": False, "inside": False, "zero": True, "free": False}


def _as_columns(x: Tensor, w: Tensor, a: Tensor, b: Tensor, strength: float) -> Tensor:
    return (w.T @ x.T + strength * (b.T @ (a.T @ x.T))).T


def _into_w(x: Tensor, w: Tensor, a: Tensor, b: Tensor, strength: float) -> Tensor:
    w += strength * a @ b
    return x @ w


def _row_by_row(x: Tensor, w: Tensor, a: Tensor, b: Tensor, strength: float) -> Tensor:
    return torch.stack([row @ w + strength * (row @ a) @ b for row in x])


def _never_negative(x: Tensor, w: Tensor, a: Tensor, b: Tensor, strength: float) -> Tensor:
    return x @ w + abs(strength) * (x @ a @ b)


SAMPLES = {
    "00.first": Samples(
        right=[8, 8.0, torch.tensor(8), np.int64(8), torch.tensor([8.0])],
        wrong=[
            (16, "That is alpha"),
            (36, "how many layers have an update"),
            (192, "width of the base"),
            ("8", "without quotation marks"),
            ((192, 8), "yours is a tuple"),
            (True, "True and False are no numbers"),
            (4, "Read it off the two shapes"),
            (5, "Read it off the two shapes"),
        ],
    ),
    "00.side_path": Samples(
        right=[
            lambda x, w, a, b, s: x @ w + s * (x @ a @ b),
            lambda x, w, a, b, s: x @ (w + s * a @ b),
            lambda x, w, a, b, s: torch.matmul(x, w) + (s * x) @ a @ b,
            lambda x, w, a, b, s: (
                (x.double() @ w.double()) + s * (x.double() @ a.double()) @ b.double()
            ),
            _as_columns,
            _row_by_row,
        ],
        wrong=[
            (lambda x, w, a, b, s: x @ w, "the base alone"),
            (lambda x, w, a, b, s: s * (x @ a @ b), "the update alone"),
            (lambda x, w, a, b, s: x @ a @ b, "x A B alone"),
            (lambda x, w, a, b, s: x @ w + x @ a @ b, "The scale is missing"),
            (lambda x, w, a, b, s: s * (x @ w + x @ a @ b), "scaled W's part"),
            (lambda x, w, a, b, s: s * x @ w + x @ a @ b, "The scale is at W"),
            (lambda x, w, a, b, s: x @ w - s * (x @ a @ b), "not subtracted"),
            (lambda x, w, a, b, s: x @ w + x @ (s * a) @ (s * b), "counts twice"),
            (lambda x, w, a, b, s: x @ w + x @ a @ b + s, "not one more summand"),
            (lambda x, w, a, b, s: x @ w + x @ a @ b / s, "divided by the scale"),
            (lambda x, w, a, b, s: (x @ w) * s * (x @ a @ b), "not multiplied"),
            (lambda x, w, a, b, s: (1 - s) * x @ w + s * (x @ a @ b), "You fade W out"),
            (lambda x, w, a, b, s: x @ w + s * 2 * (x @ a @ b), "counts 1.40 times"),
            (lambda x, w, a, b, s: x @ w + s / a.shape[1] * (x @ a @ b), "counts 0.35 times"),
            (lambda x, w, a, b, s: x @ w + 0.5 * (x @ a @ b), "counts 0.50 times"),
            (lambda x, w, a, b, s: x @ w + s * (x @ b @ a), "fit in x (4 × 5) @ B (2 × 3)"),
            (lambda x, w, a, b, s: x @ w @ a @ b, "fit in x @ W (4 × 3) @ A (5 × 2)"),
            (lambda x, w, a, b, s: x * w, "fit in x (4 × 5) * W (5 × 3). To multiply matrices"),
            (lambda x, w, a, b, s: w @ x, "fit in W (5 × 3) @ x (4 × 5)"),
            (lambda x, w, a, b, s: x @ w.T + s * (x @ a @ b), "fit in x (4 × 5) @ W.T (3 × 5)"),
            (lambda x, w, a, b, s: x @ w + a @ b, "x @ W (4 × 3) + A @ B (5 × 3). What is added"),
            (lambda x, w, a, b, s: x @ w + s * (a @ b), "x @ W (4 × 3) + a result (5 × 3)"),
            (lambda x, w, a, b, s: torch.matmul(a, x), "fit in A (5 × 2) @ x (4 × 5)"),
            (_into_w, "changes the `w` that"),
            (lambda x, w, a, b, s: x @ w + 0.7 * (x @ a @ b), "at -1 it is not"),
            (_never_negative, "at -1 it is not"),
            (lambda x, w, a, b, s: (x @ w + s * (x @ a @ b)).tolist(), "yours is a list"),
            (
                lambda x, w, a, b, s: (x @ w + s * (x @ a @ b)).numpy(),
                "yours is a ndarray",
            ),
            (lambda x, w, a, b, s: x @ w + s * (x @ a @ b).sum(), "Add two things"),
        ],
    ),
    "00.true_or_false": Samples(
        right=judged(TRUTH),
        wrong=[
            (TRUTH | {"forgotten": True}, "the base has not forgotten"),
            (TRUTH | {"inside": True}, "holds no copy of the base"),
            (TRUTH | {"zero": False}, "adding 0 changes no bit"),
            (TRUTH | {"free": True}, "only merged"),
            ({"forgotten": False}, "Keep the dict"),
            (dict.fromkeys(TRUTH, True), "the base has not forgotten"),
            (TRUTH | {"fast": True}, "Keep the dict"),
            (TRUTH | {"free": "False"}, "without quotation marks"),
        ],
    ),
}
