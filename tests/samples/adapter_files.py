"""Answers to the exercises on adapters as files."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from samples import Samples, chosen, judged

Pair = tuple[Tensor, Tensor]

MISTAKES = {
    "each time it is loaded, the same messages get other labels": "head lost",
    "at strength 0 the outputs are still not the base's": "there twice",
    "outputs equal the base's, bit for bit": "not loaded",
}
_CHANGING, _TWICE, _BASE = MISTAKES


def merged(weight: Tensor, a: Tensor, b: Tensor, multiplier: float) -> Tensor:
    """Returns the weight of an nn.Linear with the update in it."""
    return weight + multiplier * (a @ b).T


def _in_place(weight: Tensor, a: Tensor, b: Tensor, multiplier: float) -> Tensor:
    weight += multiplier * (a @ b).T
    return weight


def _beside(first: Pair, second: Pair) -> Tensor:
    return torch.cat([first[0], second[0]], dim=1)


def _below(first: Pair, second: Pair) -> Tensor:
    return torch.cat([first[1], second[1]], dim=0)


def _average(first: Pair, second: Pair) -> Tensor:
    return (first[0] @ first[1] + second[0] @ second[1]) / 2


def _by_svd(first: Pair, second: Pair) -> Pair:
    """The average as one matrix, factored again: another pair, the same product."""
    u, s, v = torch.linalg.svd(_average(first, second))
    rank = min(first[0].shape[1] + second[0].shape[1], len(s))
    return u[:, :rank] * s[:rank], v[:rank]


TIED = {"beside": False, "merged": True, "untied": True}


SAMPLES = {
    "07.mistakes": Samples(
        right=chosen(MISTAKES),
        wrong=[
            (MISTAKES | {_BASE: "head lost"}, "no A and no B takes part"),
            (MISTAKES | {_BASE: "there twice"}, "in it twice"),
            (MISTAKES | {_CHANGING: "not loaded"}, "What else was trained for the labels"),
            (MISTAKES | {_CHANGING: "there twice"}, "the same harm at every load"),
            (
                MISTAKES | {_TWICE: "not loaded"},
                "an update must be in the weights themselves",
            ),
            (MISTAKES | {_TWICE: "strength 1"}, "'strength 1' is not among them."),
            ({_BASE: "not loaded"}, "Keep the dict"),
            (MISTAKES | {"too slow": "not loaded"}, "Keep the dict"),
        ],
    ),
    "07.merge": Samples(
        right=[
            merged,
            lambda weight, a, b, multiplier: weight + multiplier * (b.T @ a.T),
            lambda weight, a, b, multiplier: weight + (multiplier * a @ b).T,
            lambda weight, a, b, multiplier: weight.double() + multiplier * (a @ b).T,
            lambda weight, a, b, multiplier: merged(
                weight.double(), a.double(), b.double(), multiplier
            ),
        ],
        wrong=[
            (
                lambda weight, a, b, multiplier: weight + multiplier * (a @ b),
                "stores its weight as (out, in), here (3, 5)",
            ),
            (
                lambda weight, a, b, multiplier: weight + (a @ b).T,
                "The multiplier is missing",
            ),
            (lambda weight, a, b, multiplier: multiplier * (a @ b).T, "the update alone"),
            (lambda weight, a, b, multiplier: weight - multiplier * (a @ b).T, "You subtracted"),
            (
                lambda weight, a, b, multiplier: multiplier * (weight + (a @ b).T),
                "the weight keeps its size",
            ),
            (_in_place, "changes the `weight` that"),
            (
                lambda weight, a, b, multiplier: merged(weight, a, b, 3.0),
                "does not compute x W + multiplier",
            ),
            (
                lambda weight, a, b, multiplier: merged(weight, a, b, multiplier).numpy(),
                "yours is a ndarray",
            ),
            (lambda weight, a, b, multiplier: weight + 2 * multiplier * (a @ b).T, "in it twice"),
            (lambda weight, a, b, multiplier: weight, "no update is in it"),
            (
                lambda weight, a, b, multiplier: weight + multiplier * (b @ a),
                "they meet at the rank",
            ),
            (
                lambda weight, a, b, multiplier: weight + multiplier / a.shape[1] * (a @ b).T,
                "You divided by the rank",
            ),
            (
                lambda weight, a, b, multiplier: weight + multiplier * a * b,
                "`*` multiplies entry by entry",
            ),
        ],
    ),
    "07.bytes": Samples(
        right=[
            lambda base, adapter, n: base + n * adapter,
            lambda base, adapter, n: sum([base, *([adapter] * n)]),
            lambda base, adapter, n: torch.tensor(base) + n * adapter,
            lambda base, adapter, n: np.dot([1, n], [base, adapter]),
            lambda base, adapter, n: base * (1 + n * adapter / base),
        ],
        wrong=[
            (lambda base, adapter, n: n * (base + adapter), "store the base again"),
            (lambda base, adapter, n: n * base, "a whole model for every task"),
            (lambda base, adapter, n: n * adapter, "the base is missing"),
            (lambda base, adapter, n: base + adapter, "one adapter, whatever the number"),
            (lambda base, adapter, n: base + n + adapter, "yours gives 1013"),
            (lambda base, adapter, n: (base, n * adapter), "yours is a tuple"),
            (lambda base, adapter, n: 1030, "yours gives 1030"),
            (lambda base, adapter, n: str(base + n * adapter), "without quotation marks"),
        ],
    ),
    "07.blend": Samples(
        right=[
            lambda first, second: (_beside(first, second), _below(first, second) / 2),
            lambda first, second: (0.5 * _beside(first, second), _below(first, second)),
            _by_svd,
            lambda first, second: tuple(part.double() for part in _by_svd(first, second)),
            lambda first, second: [-_beside(second, first) / 2, -_below(second, first)],
        ],
        wrong=[
            (
                lambda first, second: ((first[0] + second[0]) / 2, (first[1] + second[1]) / 2),
                "is not averaging the updates",
            ),
            (
                lambda first, second: (first[0] + second[0], first[1] + second[1]),
                "is not the sum of the updates",
            ),
            (
                lambda first, second: (_beside(first, second), _below(first, second)),
                "the sum of the two updates",
            ),
            (
                lambda first, second: (_beside(first, second) / 2, _below(first, second) / 2),
                "halved both A and B",
            ),
            (
                lambda first, second: (_beside(first, second), _below(second, first) / 2),
                "Each A must meet its own B",
            ),
            (
                lambda first, second: (_beside(first, second).numpy(), _below(first, second)),
                "yours is a ndarray",
            ),
            (lambda first, second: first[0].mul_(0), "changes the `first` that"),
            (
                lambda first, second: (
                    torch.hstack([first[0], second[0]]),
                    torch.vstack([first[1][:2], second[1][:2]]) / 2,
                ),
                "do not map 6 numbers",
            ),
            (_average, "one matrix of 42 numbers"),
            (
                lambda first, second: (
                    torch.cat([first[0], second[0]]),
                    _below(first, second) / 2,
                ),
                "it is the rank that grows",
            ),
            (lambda first, second: (first[0], first[1] / 2), "takes no part"),
            (
                lambda first, second: ((first[0] + second[0]) / 2, first[1] + second[1]),
                "Half the sum of the A",
            ),
            (
                lambda first, second: (_average(first, second), torch.eye(7)),
                "A has 7 columns. Ranks add up",
            ),
            (lambda first, second: torch.linalg.qr(_average(first, second)), "A has 6 columns"),
        ],
    ),
    "08.tied": Samples(
        right=judged(TIED),
        wrong=[
            (TIED | {"beside": True}, "embedding looks rows up in W, and W is as it was"),
            (dict.fromkeys(TIED, True), "embedding looks rows up in W, and W is as it was"),
            (TIED | {"merged": False}, "every word would be read differently"),
            (dict.fromkeys(TIED, False), "every word would be read differently"),
            (TIED | {"untied": False}, "a matrix each"),
            ({"beside": False}, "Keep the dict"),
            (list(TIED.values()), "Keep the dict"),
            (TIED | {"untied": "yes"}, "without quotation marks"),
        ],
    ),
}
