"""Answers to the exercises on the factors A and B."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from samples import Samples, judged

Losses = dict[int, float]


def _merge_into_a_leaf(linear: nn.Linear, lora: Any) -> Tensor:
    weight = linear.weight
    weight += lora.alpha * (lora.A @ lora.B).T
    return weight


def _merge_in_place(linear: nn.Linear, lora: Any) -> Tensor:
    with torch.no_grad():
        linear.weight += lora.alpha * (lora.A @ lora.B).T
    return linear.weight


def _by_random_matrix(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Mixes the columns of A; some random matrices are nearly singular, so their inverse rounds."""
    M = torch.randn(3, 3)
    return A @ M, torch.linalg.inv(M) @ B


def _within(share: float) -> Callable[[Losses], int]:
    return lambda losses: next(
        r for r in sorted(losses) if losses[r] <= share * min(losses.values())
    )


def _largest_gain(losses: Losses) -> int:
    ranks = list(losses)
    return ranks[
        1 + max(range(len(ranks) - 1), key=lambda i: losses[ranks[i]] - losses[ranks[i + 1]])
    ]


def _no_gain_next(times: float) -> Callable[[Losses], int]:
    """The first rank whose next gains little, which a fall that begins slowly leads astray."""

    def find(losses: Losses) -> int:
        steps = pairwise([*losses, max(losses)])
        return next(r for r, after in steps if losses[r] < times * losses[after])

    return find


def _largest_ratio(losses: Losses) -> int:
    """Returns the rank that divides the loss by most, a rule that always finds a fall."""
    ranks = sorted(losses)
    return max(ranks[1:], key=lambda rank: losses[ranks[ranks.index(rank) - 1]] / losses[rank])


def _fixed_margin(margin: float) -> Callable[[Losses], int]:
    return lambda losses: next(
        r for r in sorted(losses) if losses[r] < min(losses.values()) + margin
    )


def _sharpest_bend(losses: Losses) -> int:
    """Returns the rank where the slope changes by most, which leaves out the last directions."""
    ranks = sorted(losses)
    slopes = {
        after: (losses[after] - losses[before]) / (after - before)
        for before, after in zip(ranks, ranks[1:], strict=False)
    }
    bends = {a: slopes[b] - slopes[a] for a, b in zip(ranks[1:], ranks[2:], strict=False)}
    return max(bends, key=bends.__getitem__)


def _second_difference(losses: Losses) -> int:
    ranks = sorted(losses)
    return ranks[1 + int(np.diff([losses[rank] for rank in ranks], n=2).argmax())]


def _merged_layer(linear: nn.Linear, lora: Any) -> nn.Linear:
    merged = copy.deepcopy(linear)
    merged.weight.data += lora.alpha * (lora.A @ lora.B).T
    return merged


def _emptied(losses: Losses) -> int:
    good = _within(1.5)(losses)
    losses.clear()
    return good


def _good(losses: Losses) -> np.ndarray:
    values = np.array([losses[rank] for rank in sorted(losses)])
    return values < 1.5 * values.min()


SAMPLES = {
    "02.gradient_at_start": Samples(
        right=judged({"W": False, "A": True, "B": False}),
        wrong=[
            ({"W": True, "A": True, "B": True}, "W is frozen"),
            ({"W": False, "A": True, "B": True}, "Not both"),
            ({"W": False, "A": False, "B": True}, "That is the usual start"),
            ({"W": False, "A": False, "B": False}, "nothing would ever move"),
            ({"W": True, "A": False, "B": False}, "W is frozen"),
            ({"A": True, "B": False}, "Keep the dict"),
            (["A"], "Keep the dict"),
            ({"W": "False", "A": "True", "B": "False"}, "without quotation marks"),
            ({"W": None, "A": True, "B": False}, "None is what `.grad` holds"),
            ({"W": 0.5, "A": True, "B": False}, '"W" must be True or False, and 0.5 is neither'),
        ],
    ),
    "02.merge": Samples(
        right=[
            lambda linear, lora: linear.weight + lora.alpha * (lora.A @ lora.B).T,
            lambda linear, lora: linear.weight.detach() + lora.alpha * lora.B.T @ lora.A.T,
            lambda linear, lora: (linear.weight.T + lora.A @ (lora.alpha * lora.B)).T,
            lambda linear, lora: (
                linear.weight.double() + lora.alpha * (lora.A.double() @ lora.B.double()).T
            ),
            lambda linear, lora: linear.weight + lora(torch.eye(linear.in_features)).T,
            lambda linear, lora: nn.Parameter(linear.weight + lora.alpha * (lora.A @ lora.B).T),
        ],
        wrong=[
            (
                lambda linear, lora: linear.weight + lora.alpha * (lora.A @ lora.B),
                "A transpose is missing",
            ),
            (lambda linear, lora: linear.weight + (lora.A @ lora.B).T, "The multiplier is missing"),
            (lambda linear, lora: linear.weight + lora.A @ lora.B, "Two things are missing"),
            (lambda linear, lora: lora.alpha * (lora.A @ lora.B).T, "the update alone"),
            (
                lambda linear, lora: copy.deepcopy(linear.weight),
                "A layer with your weight must do",
            ),
            (
                lambda linear, lora: linear.weight + lora.alpha / 2 * (lora.A @ lora.B).T,  # rank 2
                "You divided by the rank",
            ),
            (
                lambda linear, lora: (linear.weight + lora.alpha * (lora.A @ lora.B).T).T,
                "Return it shaped like linear.weight",
            ),
            (_merge_in_place, "changes the `linear` that"),
            (_merge_into_a_leaf, "Return a new tensor"),
            (
                lambda linear, lora: linear.weight + lora.alpha * (lora.A.T @ lora.B.T),
                "(A @ B).T is B.T @ A.T",
            ),
            (
                lambda linear, lora: linear.weight + 3.0 * (lora.A @ lora.B).T,
                "A layer with your weight must do",
            ),
            (
                lambda linear, lora: (
                    (linear.weight + lora.alpha * (lora.A @ lora.B).T).detach().numpy()
                ),
                "yours is a ndarray",
            ),
            (_merged_layer, "you return a whole Linear: return its `.weight`"),
        ],
    ),
    "10.another_pair": Samples(
        right=[
            _by_random_matrix,
            lambda A, B: [2 * A, B / 2],
            lambda A, B: (2 * A, B / 2),
            lambda A, B: (-A, -B),
            lambda A, B: (A.flip(1), B.flip(0)),
            lambda A, B: (A @ (M := torch.eye(3) + torch.ones(3, 3)), torch.linalg.inv(M) @ B),
        ],
        wrong=[
            (lambda A, B: (A, B), "the same A and B"),
            (lambda A, B: (2 * A, 2 * B), "The product changed"),
            (lambda A, B: (A @ B, torch.eye(5)), "Keep the shapes"),
            (lambda A, B: A @ B, "Return two"),
            (lambda A, B: (A.numpy() * 2, B.numpy() / 2), "yours is a ndarray"),
            (lambda A, B: (2 * A, B), "The product changed"),
            (lambda A, B: (B.T, A.T), "Keep the shapes"),
            (lambda A, B: (A.mul_(2), B.div_(2)), "changes the `A` that"),
        ],
    ),
    "02.elbow": Samples(
        right=[
            _within(1.05),
            _within(1.5),
            _within(2.0),
            lambda losses: np.array(sorted(losses))[_good(losses)].min(),
            lambda losses: torch.tensor(sorted(losses))[torch.tensor(_good(losses))][0],
        ],
        wrong=[
            (lambda losses: min(losses, key=losses.get), "the lowest loss"),
            (_largest_gain, "the largest single gain"),
            (lambda losses: list(losses).index(_within(1.5)(losses)), "a position in the list"),
            (_sharpest_bend, "You take the sharpest bend"),
            (_second_difference, "You take the sharpest bend"),
            (
                lambda losses: max(r for r in losses if losses[r] < 1.5 * min(losses.values())),
                "the largest of the good ranks",
            ),
            (
                lambda losses: max(r for r in losses if losses[r] < 1.1 * min(losses.values())),
                "the largest of the good ranks",
            ),
            (_largest_ratio, "it is the answer. You found 3"),
            *((_no_gain_next(of), "You stop at the first small step") for of in (1.05, 1.1, 1.2)),
            (_fixed_margin(0.005), "take a ratio to the lowest instead"),
            (_within(10), "8.0 times the lowest"),
            (
                lambda losses: next(r for r, loss in losses.items() if loss <= 1.5 * min(losses)),
                "`min(losses)` is the smallest rank",
            ),
            (_within(3), "2.6 times the lowest"),
            (_fixed_margin(0.05), "4.0 times the lowest"),
            (_fixed_margin(0.5), "If it is a fixed difference, take a ratio"),
            (lambda losses: min(losses), "as `min(losses)` does"),
            (lambda losses: [_within(1.5)(losses)], "yours is a list"),
            (lambda losses: min(losses.values()), "a loss is none"),
            (lambda losses: str(_within(1.5)(losses)), "without quotation marks"),
            (lambda losses: _emptied(losses), "changes the `losses` that"),
            (
                lambda losses: next(rank for rank, loss in losses.items() if loss < 0.02),
                "takes none of them",
            ),
            (lambda losses: 6, "You return 6 for every curve"),
            (lambda losses: _within(1.5)(losses) + 1, "the loss stops falling at rank 4, you f"),
        ],
    ),
}
