"""How two programs are compared: in turns, in pairs, with an interval and a control.

A machine's speed drifts by more than the differences in question. So contenders take turns, round
after round; each round gives one ratio, of two times that are close together; the median of the
ratios is reported with a bootstrap interval. The control is one contender that runs twice a round,
as two separate copies. The interval of its ratio to itself must hold 1.00, and must lie within
1 ± `CONTROL_BOUND`: a wide interval holds 1.00 too, but of a machine that noisy says nothing. Else
the row does not count, and says so.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BOOTSTRAPS = 10_000
LEAST_ROUNDS = 20  # of a row that counts
CONTROL_BOUND = 0.05  # how far from 1 the interval of a control may reach
AGAIN = " (again)"  # behind the name of the contender that runs twice


@dataclass(frozen=True)
class Contender:
    """A program, and how much of the whole it does in one call.

    Args:
        call: Does the work of one round, whose number it is given.
        weight: What the time of a call is multiplied by.
    """

    call: Callable[[int], object]
    weight: float = 1.0


@dataclass(frozen=True)
class Rounds:
    """How often to measure.

    Args:
        wanted: Rounds, if the box holds so many.
        box_seconds: No round starts later than this.
        warmup: Rounds beforehand that are not counted.
    """

    wanted: int
    box_seconds: float = 240.0
    warmup: int = 2


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios, and the bounds of its 95 % bootstrap interval."""

    median: float
    low: float
    high: float

    def holds_one(self) -> bool:
        """Says whether the interval, written with two decimals, contains 1.00."""
        return round(self.low, 2) <= 1.0 <= round(self.high, 2)

    def is_narrow(self) -> bool:
        """Says whether the interval lies within 1 ± `CONTROL_BOUND`."""
        return self.low >= 1 - CONTROL_BOUND and self.high <= 1 + CONTROL_BOUND


def interleaved(
    contenders: Mapping[str, Contender],
    rounds: Rounds,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Times contenders in turns: seconds of each, one for every round.

    Who begins moves on by one each round, and every other round runs backwards, so that nobody
    always follows the same neighbour. Garbage is collected between rounds, not during them.
    """
    names = list(contenders)
    for number in range(rounds.warmup):
        for name in names:
            contenders[name].call(number)
    times: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.freeze()  # what is there already need not be looked through again every round
    begun = clock()
    try:
        for number in range(rounds.wanted):
            if number and clock() - begun > rounds.box_seconds:
                break
            gc.collect()
            gc.disable()
            for name in turn(names, number):
                start = clock()
                contenders[name].call(number)
                times[name].append((clock() - start) * contenders[name].weight)
            gc.enable()
    finally:
        gc.enable()
        gc.unfreeze()
    return times


def turn(names: Sequence[str], number: int) -> list[str]:
    """Returns the order of a round."""
    first = (number // 2) % len(names)
    order = [*names[first:], *names[:first]]
    return order if number % 2 == 0 else order[::-1]


def paired_ratio(top: Sequence[float], bottom: Sequence[float], *, seed: int = 0) -> Ratio:
    """Computes the median of top / bottom, round by round, and its 95 % bootstrap interval.

    Raises:
        ValueError: no rounds, or not the same number for both.
    """
    if not top or len(top) != len(bottom):
        raise ValueError(f"top has {len(top)} rounds and bottom {len(bottom)}; give equally many")
    ratios = np.asarray(top) / np.asarray(bottom)
    return Ratio(float(np.median(ratios)), *median_interval(ratios, seed=seed))


def median_interval(values: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """Computes the 95 % bootstrap interval of the median."""
    values = np.asarray(values)
    drawn = np.random.default_rng(seed).integers(len(values), size=(BOOTSTRAPS, len(values)))
    low, high = np.quantile(np.median(values[drawn], axis=1), [0.025, 0.975])
    return float(low), float(high)


def mean_interval(values: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """Computes the 95 % bootstrap interval of a mean, both dimensions drawn anew.

    Args:
        values: (seeds, messages), or whatever else there is luck in.
        seed: Of the drawing.
    """
    dice, (rows, columns) = np.random.default_rng(seed), values.shape
    drawn = [
        values[dice.integers(rows, size=rows)][:, dice.integers(columns, size=columns)].mean()
        for _ in range(BOOTSTRAPS)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
