"""Answers to the exercises of a first look at adapters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from samples import Samples

TRUTH = {"forgotten": False, "inside": False, "zero": True, "free": False}


def _rounds_up(base_bytes: int, adapter_bytes: int) -> int:
    return -(-base_bytes // adapter_bytes)


def _first_flip(strengths: Sequence[float], holds: Callable[[float], bool]) -> float:
    return next(s for s in sorted(strengths) if holds(s))


def _index_of_flip(strengths: Sequence[float], holds: Callable[[float], bool]) -> int:
    return next(i for i, s in enumerate(strengths) if holds(s))


def _last_holding(strengths: Sequence[float], holds: Callable[[float], bool]) -> float:
    return next(s for s in reversed(strengths) if holds(s))


def _last_not_holding(strengths: Sequence[float], holds: Callable[[float], bool]) -> float:
    return next(s for s in reversed(strengths) if not holds(s))


def _first_not_holding(strengths: Sequence[float], holds: Callable[[float], bool]) -> float:
    return next(s for s in strengths if not holds(s))


def _needs_a_change(strengths: Sequence[float], holds: Callable[[float], bool]) -> float | None:
    for before, after in zip(strengths, strengths[1:]):
        if holds(after) and not holds(before):
            return after
    return None


def _in_equal_steps(strengths: Sequence[float], holds: Callable[[float], bool]) -> float:
    strength, step = strengths[0], strengths[1] - strengths[0]
    while not holds(strength):
        strength += step
    return strength


SAMPLES = {
    "00.first": Samples(
        right=[8, 8.0, torch.tensor(8)],
        wrong=[
            (16, "That is alpha"),
            (36, "how many layers have an update"),
            (192, "width of the base"),
            ("8", "without quotation marks"),
            (5, "Read it off the two shapes"),
        ],
    ),
    "00.flip": Samples(
        right=[_first_flip],
        wrong=[
            (_index_of_flip, "the position in the list"),
            (_last_holding, "the last strength at which it holds"),
            (_first_not_holding, "condition reversed"),
            (_last_not_holding, "the last strength before it holds"),
            (lambda strengths, holds: [s for s in strengths if holds(s)], "all strengths"),
            (lambda strengths, holds: 0.5, "half the strength"),
            (lambda strengths, holds: 0.75, "then again at 1.25"),
            (lambda strengths, holds: strengths[0], "condition reversed"),
            (_needs_a_change, "it may hold from the first on"),
            (
                lambda strengths, holds: _first_flip(strengths[1:], holds),
                "it may hold from the first on",
            ),
            (
                lambda strengths, holds: next(s for s in strengths if s and holds(s)),
                "where it holds from 0 on",
            ),
            (
                lambda strengths, holds: next(s for s in strengths if s >= 0 and holds(s)),
                "it may hold from the first on",
            ),
            (_in_equal_steps, "where it holds from 0 on"),
        ],
    ),
    "00.fit": Samples(
        right=[
            lambda base_bytes, adapter_bytes: base_bytes // adapter_bytes,
            lambda base_bytes, adapter_bytes: int(base_bytes / adapter_bytes),
        ],
        wrong=[
            (lambda base_bytes, adapter_bytes: adapter_bytes / base_bytes, "divided the adapter"),
            (lambda base_bytes, adapter_bytes: base_bytes / adapter_bytes, "a fraction"),
            (_rounds_up, "rounded up"),
            (
                lambda base_bytes, adapter_bytes: (base_bytes - adapter_bytes) // adapter_bytes,
                "one adapter away",
            ),
            (lambda base_bytes, adapter_bytes: 18, "for 1200 it is 4"),
            (lambda base_bytes, adapter_bytes: round(base_bytes / adapter_bytes), "the nearest"),
            (
                lambda base_bytes, adapter_bytes: str(base_bytes // adapter_bytes),
                "without quotation marks",
            ),
        ],
    ),
    "00.true_or_false": Samples(
        right=[TRUTH],
        wrong=[
            (TRUTH | {"forgotten": True}, "the base has not forgotten"),
            (TRUTH | {"inside": True}, "holds no copy of the base"),
            (TRUTH | {"zero": False}, "adding 0 changes no bit"),
            (TRUTH | {"free": True}, "only merged"),
            ({"forgotten": False}, "Keep the dict"),
            (TRUTH | {"free": "False"}, "without quotation marks"),
        ],
    ),
}
