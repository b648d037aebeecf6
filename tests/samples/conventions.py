"""Answers to the exercises on the factor before A B."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from samples import Samples

Rule = Callable[[float, int], float]


def _scale(over_rank: Rule, over_root: Rule) -> Callable[[float, int, str], float]:
    rules = {"alpha": lambda alpha, rank: alpha, "alpha/rank": over_rank}
    return lambda alpha, rank, scaling: rules.get(scaling, over_root)(alpha, rank)


def _divided(alpha: float, rank: int) -> float:
    return alpha / rank


def _in_float32(alpha: float, rank: int) -> Tensor:
    return torch.tensor(alpha) / torch.tensor(rank)


def _by_root(alpha: float, rank: int) -> float:
    return alpha / math.sqrt(rank)


SAMPLES = {
    "10.scaling": Samples(
        right=[
            _scale(_divided, _by_root),
            _scale(_divided, lambda alpha, rank: alpha * rank**-0.5),
            _scale(_divided, lambda alpha, rank: alpha / torch.sqrt(torch.tensor(rank))),
            _scale(_in_float32, lambda alpha, rank: alpha / torch.tensor(float(rank)) ** 0.5),
            _scale(Fraction, lambda alpha, rank: alpha / np.sqrt(np.float32(rank))),
        ],
        wrong=[
            (_scale(lambda alpha, rank: alpha, _by_root), "the paper divides it by the rank"),
            (_scale(_by_root, _divided), "You swapped two"),
            (_scale(lambda alpha, rank: alpha * rank, _by_root), "You multiplied by the rank"),
            (_scale(lambda alpha, rank: rank / alpha, _by_root), "Upside down"),
            (_scale(lambda alpha, rank: alpha - rank, _by_root), "alpha 24 and rank 4 give 6."),
            (_scale(_divided, _divided), "by the square root of the rank"),
            (
                _scale(_divided, lambda alpha, rank: math.sqrt(alpha / rank)),
                "of the rank alone, not of alpha / rank",
            ),
            (
                _scale(_divided, lambda alpha, rank: alpha * math.sqrt(rank)),
                "You multiplied by the root of the rank",
            ),
            (
                _scale(_divided, lambda alpha, rank: alpha - math.sqrt(rank)),
                "alpha 24 and rank 4 give 12",
            ),
            (
                _scale(lambda alpha, rank: alpha // rank, _by_root),
                "alpha 16 and rank 10 it must be 1.6",
            ),
            (lambda alpha, rank, scaling: alpha / rank, "alpha itself, whatever the rank"),
            (
                _scale(_divided, lambda alpha, rank: alpha / (rank**1 / 2)),
                "where half the rank is its root",
            ),
            (_scale(lambda alpha, rank: f"{alpha / rank:g}", _by_root), "without quotation marks"),
        ],
    ),
    "10.translate": Samples(
        right=[1.5, Fraction(24, 16), torch.tensor(1.5), np.float32(1.5), np.array([1.5])[0]],
        wrong=[
            (24, "16 times too strong"),
            (384, "from your class to PEFT"),
            (24 / math.sqrt(16), "rsLoRA's rule"),
            (16, "by itself"),
            ("1.5", "without quotation marks"),
            ([1.5], "yours is a list"),
            (1, "by itself"),
            (16 / 24, "by itself"),
        ],
    ),
}
