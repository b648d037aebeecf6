"""Right and known wrong answers to the exercises of notebook 07; tests run the checkers on them."""

from __future__ import annotations

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]

# 07.bytes

RIGHT_BYTES = (
    lambda base, adapter, n: base + n * adapter,
    lambda base, adapter, n: sum([base, *([adapter] * n)]),
)
WRONG_BYTES = (
    lambda base, adapter, n: n * (base + adapter),
    lambda base, adapter, n: n * base,
    lambda base, adapter, n: n * adapter,
    lambda base, adapter, n: base + adapter,
    lambda base, adapter, n: base + n + adapter,
)

# 07.mistakes

MISTAKES = {
    "A and B are right, but the classes are guessed": "head lost",
    "at strength 0 the outputs are still not the base's": "merged twice",
    "outputs equal the base's, bit for bit": "not loaded",
}
_GUESSED, _TWICE, _BASE = MISTAKES
WRONG_MISTAKES = (
    MISTAKES | {_BASE: "head lost"},
    MISTAKES | {_BASE: "merged twice"},
    MISTAKES | {_GUESSED: "not loaded"},
    MISTAKES | {_GUESSED: "merged twice"},
    MISTAKES | {_TWICE: "not loaded"},
    MISTAKES | {_TWICE: "strength 1"},
    {_BASE: "not loaded"},
)

# 07.merge


def _in_place(weight: Tensor, a: Tensor, b: Tensor, multiplier: float) -> Tensor:
    weight += multiplier * (a @ b).T
    return weight


RIGHT_MERGES = (
    lambda weight, a, b, multiplier: weight + multiplier * (a @ b).T,
    lambda weight, a, b, multiplier: weight + multiplier * (b.T @ a.T),
    lambda weight, a, b, multiplier: weight + (multiplier * a @ b).T,
)
WRONG_MERGES = (
    lambda weight, a, b, multiplier: weight + multiplier * (a @ b),
    lambda weight, a, b, multiplier: weight + (a @ b).T,
    lambda weight, a, b, multiplier: multiplier * (a @ b).T,
    lambda weight, a, b, multiplier: weight - multiplier * (a @ b).T,
    lambda weight, a, b, multiplier: multiplier * (weight + (a @ b).T),
    _in_place,
    lambda weight, a, b, multiplier: weight + 2 * multiplier * (a @ b).T,
    lambda weight, a, b, multiplier: weight,
    lambda weight, a, b, multiplier: weight + multiplier * (b @ a),
    lambda weight, a, b, multiplier: weight + multiplier / a.shape[1] * (a @ b).T,
    lambda weight, a, b, multiplier: weight + multiplier * a * b,
)

# 07.blend


def _by_svd(first: Pair, second: Pair) -> Pair:
    """The average as one matrix, factored again: another pair, the same product."""
    u, s, v = torch.linalg.svd((first[0] @ first[1] + second[0] @ second[1]) / 2)
    rank = first[0].shape[1] + second[0].shape[1]
    rank = min(rank, len(s))
    return u[:, :rank] * s[:rank], v[:rank]


RIGHT_BLENDS = (
    lambda first, second: (
        torch.cat([first[0], second[0]], dim=1),
        torch.cat([first[1], second[1]], dim=0) / 2,
    ),
    lambda first, second: (
        torch.cat([0.5 * first[0], 0.5 * second[0]], dim=1),
        torch.cat([first[1], second[1]]),
    ),
    _by_svd,
)
WRONG_BLENDS = (
    lambda first, second: ((first[0] + second[0]) / 2, (first[1] + second[1]) / 2),
    lambda first, second: (first[0] + second[0], first[1] + second[1]),
    lambda first, second: (torch.cat([first[0], second[0]], 1), torch.cat([first[1], second[1]])),
    lambda first, second: (
        torch.cat([first[0], second[0]], dim=1) / 2,
        torch.cat([first[1], second[1]]) / 2,
    ),
    lambda first, second: (
        torch.cat([first[0], second[0]], dim=1),
        torch.cat([second[1], first[1]]) / 2,
    ),
    lambda first, second: (first[0] @ first[1] + second[0] @ second[1]) / 2,
    lambda first, second: (
        torch.cat([first[0], second[0]]),
        torch.cat([first[1], second[1]]) / 2,
    ),
    lambda first, second: (first[0], first[1] / 2),
    lambda first, second: ((first[0] + second[0]) / 2, first[1] + second[1]),
    lambda first, second: ((first[0] @ first[1] + second[0] @ second[1]) / 2, torch.eye(7)),
)
