"""Answers to the exercises on counting the numbers in A and B."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import torch

from lora_edu.budget import break_even_rank
from lora_edu.budget.parameters import layer_parameters
from samples import Samples

Layers = list[tuple[int, int, int]]


def _without_the_last(layers: Layers, rank: int) -> int:
    layers.pop()
    return sum(rank * (m + n) * copies for m, n, copies in layers)


def _in_a_loop(layers: Layers, rank: int) -> int:
    total = 0
    for m, n, copies in layers:
        total += rank * (m + n) * copies
    return total


def _block(width: int, narrow: int, hidden: int, rank: int) -> int:
    return rank * (2 * 2 * width + 2 * (width + narrow) + 3 * (width + hidden))


def _by_shapes(width: int, narrow: int, hidden: int, rank: int) -> int:
    shapes = [(width, width)] * 2 + [(width, narrow)] * 2
    shapes += [(width, hidden)] * 2 + [(hidden, width)]
    return sum(torch.empty(m + n, rank).numel() for m, n in shapes)


SAMPLES = {
    "04.break_even": Samples(
        right=[
            break_even_rank,
            lambda m, n: 1 / (1 / m + 1 / n),
            lambda m, n: torch.tensor(m * n) / torch.tensor(m + n),
            lambda m, n: Fraction(m * n, m + n),
            lambda m, n: np.float32(m) * n / (m + n),
        ],
        wrong=[
            (lambda m, n: min(m, n), "outgrown W"),
            (lambda m, n: min(m, n) / 2, "square layers alone"),
            (lambda m, n: m / 2, "square layers alone"),
            (lambda m, n: m * n, "That is the size of W"),
            (lambda m, n: (m + n) / 2, "the mean of the sides"),
            (lambda m, n: m * n / m + n, "put in_dim + out_dim in parentheses"),
            (lambda m, n: m * n // (m + n), "dropped the fraction"),
            (lambda m, n: math.sqrt(m * n) / 2, "Solve the equation given for r, with"),
            (lambda m, n: 384.0, "768 → 768, whatever the layer"),
            (lambda m, n: 22.5, "for 60 inputs and 36 outputs only"),
            (lambda m, n: str(break_even_rank(m, n)), "without quotation marks"),
        ],
    ),
    "04.model": Samples(
        right=[
            lambda layers, rank: sum(rank * (m + n) * copies for m, n, copies in layers),
            lambda layers, rank: sum(layer_parameters(m, n, rank) * c for m, n, c in layers),
            lambda layers, rank: rank * (np.array(layers) @ [[1, 0], [1, 0], [0, 1]]).prod(1).sum(),
            lambda layers, rank: rank * torch.tensor([(m + n) * c for m, n, c in layers]).sum(),
            _in_a_loop,
        ],
        wrong=[
            (lambda layers, rank: sum(rank * (m + n) for m, n, _ in layers), "by its copies"),
            (
                lambda layers, rank: sum(m * n * copies for m, n, copies in layers),
                "Those are the frozen weights",
            ),
            (
                lambda layers, rank: sum(2 * rank * m * copies for m, n, copies in layers),
                "took every layer for square",
            ),
            (
                lambda layers, rank: [rank * (m + n) * copies for m, n, copies in layers],
                "a count for each kind of layer",
            ),
            (
                lambda layers, rank: rank * (layers[0][0] + layers[0][1]) * layers[0][2],
                "the first kind of layer alone",
            ),
            (_without_the_last, "changes the `layers` that"),
            (lambda layers, rank: str(_in_a_loop(layers, rank)), "without quotation marks"),
            (lambda layers, rank: rank * _in_a_loop(layers, rank), "Sum rank · (in + out)"),
            (lambda layers, rank: 940, "right for one model only"),
        ],
    ),
    "04.explorer": Samples(
        right=[32, 31, 32.0, torch.tensor(32), np.int64(31), Fraction(32)],
        wrong=[
            (16, "At rank 16 the share is 0.52 %"),
            (30, "At rank 30 the share is 0.98 %"),
            (30.6, "A rank is a whole number"),
            (33, "a smaller rank is above 1 %"),
            (64, "one to four of the seven kinds missing"),
            (128, "Some layers are not ticked"),
            (512, "a smaller rank is above 1 %"),
            ("32", "without quotation marks"),
            (256, "Some layers are not ticked"),
            (8, "At rank 8 the share is 0.26 %"),
            (0, "A rank is 1 at least"),
            ([32, 64], "yours is a list"),
        ],
    ),
    "08.count": Samples(
        right=[
            _block,
            _by_shapes,
            lambda w, k, h, r: torch.tensor(r) * (9 * w + 2 * k + 3 * h),
            lambda w, k, h, r: np.dot([9, 2, 3], [w, k, h]) * r,
            lambda w, k, h, r: Fraction(r) * (2 * (w + w) + 2 * (w + k) + 3 * (w + h)),
        ],
        wrong=[
            (lambda w, k, h, r: r * (8 * w + 3 * (w + h)), "took key and value for square"),
            (lambda w, k, h, r: _block(w, k, h, r) - r * (w + h), "three matrices here"),
            (lambda w, k, h, r: r * (6 * w + 2 * k), "attention alone"),
            (lambda w, k, h, r: 3 * r * (w + h), "the MLP alone"),
            (lambda w, k, h, r: r * (7 * w + 2 * k + 3 * h), "count two of them"),
            (lambda w, k, h, r: 2 * w * w + 2 * w * k + 3 * w * h, "the frozen weights"),
            (lambda w, k, h, r: _block(w, k, h, 1), "right for rank 1 alone"),
            (lambda w, k, h, r: 30 * _block(w, k, h, r), "the whole model"),
            (lambda w, k, h, r: 81_408, "use the arguments"),
            (lambda w, k, h, r: 1180, "for one block only"),
            (lambda w, k, h, r: r * w * h, "over the seven layers"),
        ],
    ),
}
