"""When a claim holds here, when it does not, and when nobody can tell: the rules of the verdicts.

A trial compares a claim with an interval, from `low` to `high`, of what was measured. The interval
is of 95 % where runs with several seeds were compared, and a single point where something was
counted. Every rule has three answers, because an interval may leave a question open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from lora_edu.evaluation import mean_difference

HOLDS, FAILS, OPEN = "holds here", "does not hold here", "cannot tell"
LEAST_SEEDS = 3  # two that agree by luck have an interval near 0, which would decide anything

Run = Mapping[str, Any]


class Trial(NamedTuple):
    """One test of a claim.

    Args:
        found: What was compared, and the figure.
        verdict: `HOLDS`, `FAILS` or `OPEN`.
        low: Where the interval that decides begins; not a number where nothing was measured.
        high: Where it ends.
    """

    found: str
    verdict: str
    low: float = math.nan
    high: float = math.nan

    @property
    def parts(self) -> tuple[str, str]:
        """What was compared, and the figure.

        Example:
            >>> Trial("menus, loss, rank 1 − 32: +0.257 ± 0.017 nats, 5 seeds", FAILS).parts
            ('menus, loss, rank 1 − 32', '+0.257 ± 0.017 nats, 5 seeds')
        """
        what, _, figure = self.found.partition(": ")
        return what, figure

    @property
    def distance(self) -> float:
        """How far the middle of the interval is from 0, in halves of the interval.

        Example:
            >>> Trial("", HOLDS, low=1, high=3).distance
            2.0
        """
        half = (self.high - self.low) / 2
        return abs(self.low + self.high) / 2 / half if half else math.inf


class Claim(NamedTuple):
    """A published claim and its trials.

    Args:
        said: The claim, in a plain sentence.
        source: Who says so and where, in Markdown.
        trials: Its tests.
        told: The numbers of the notebooks that tell it in full, such as "06", or "below".
        records: The names of the records that were tried, in `data/results`.
    """

    said: str
    source: str
    trials: Sequence[Trial]
    told: Sequence[str]
    records: Sequence[str] = ()

    @property
    def verdict(self) -> str:
        """One trial against a general claim is enough, and all must hold for it to hold.

        Example:
            >>> Claim("", "", [Trial("", HOLDS), Trial("", OPEN)], []).verdict
            'cannot tell'
        """
        found = {trial.verdict for trial in self.trials}
        return FAILS if FAILS in found else HOLDS if found == {HOLDS} else OPEN

    @property
    def decisive(self) -> Trial:
        """The trial that the verdict rests on.

        It is the one farthest from 0 of those against the claim. If all are for it, it is the one
        nearest to 0, and otherwise the first that leaves it open.

        Example:
            >>> near, far = (Trial(f"{low}", FAILS, low, low + 1) for low in (1, 5))
            >>> Claim("", "", [near, far], []).decisive.found
            '5'
        """
        found = [trial for trial in self.trials if trial.verdict == self.verdict]
        if self.verdict == OPEN:
            return found[0]
        chosen = max if self.verdict == FAILS else min
        return chosen(found, key=lambda trial: trial.distance)


class Unit(NamedTuple):
    """How a difference is written, and below which size it is called none."""

    name: str
    factor: float
    digits: int
    margin: float

    def signed(self, value: float, half: float) -> str:
        """A difference with half of its interval.

        Example:
            >>> NATS.signed(-0.0124, 0.056)
            '−0.012 ± 0.056 nats'
        """
        sign = "−" if value < 0 else "+"
        numbers = (f"{self.factor * each:.{self.digits}f}" for each in (abs(value), half))
        return f"{sign}{' ± '.join(numbers)} {self.name}"


NATS = Unit("nats", 1, 3, 0.01)
STORY_NATS = NATS._replace(digits=2)
POINTS = Unit("points", 100, 1, 0.01)
LAYERS = Unit("layers", 1, 1, 1)


def above_zero(low: float, high: float) -> str:
    """Whether a difference is above 0: open where the interval holds 0.

    Example:
        >>> above_zero(0.1, 0.3), above_zero(-0.1, 0.3), above_zero(-0.3, -0.1)
        ('holds here', 'cannot tell', 'does not hold here')
    """
    return HOLDS if low > 0 else FAILS if high < 0 else OPEN


def no_difference(low: float, high: float, margin: float) -> str:
    """Whether there is none: it is small if it is within ± margin, and there if 0 is left out.

    Args:
        low: Where the interval begins.
        high: Where it ends.
        margin: A difference of this size would not matter.

    Example:
        >>> no_difference(-0.1, 0.1, 0.2), no_difference(-1, 1, 0.2), no_difference(0.1, 0.3, 0.2)
        ('holds here', 'cannot tell', 'does not hold here')
    """
    if -margin <= low and high <= margin:
        return HOLDS
    return FAILS if low > 0 or high < 0 else OPEN


def within(low: float, high: float, least: float, most: float) -> str:
    """Whether a number is from `least` to `most`: open where the interval is only in part.

    Example:
        >>> within(5, 10, 5, 20), within(3, 10, 5, 20), within(2, 3, 5, 20)
        ('holds here', 'cannot tell', 'does not hold here')
    """
    if least <= low and high <= most:
        return HOLDS
    return FAILS if high < least or low > most else OPEN


def same(what: str, first: Sequence[Run], second: Sequence[Run], measure: str, unit: Unit) -> Trial:
    """The trial of a claim that two methods come out the same, seed by seed.

    Raises:
        ValueError: the runs are not of the same seeds, or there is one seed alone.
    """
    found, low, high = _difference(what, first, second, measure, unit)
    return _decided(Trial(found, no_difference(low, high, unit.margin), low, high), first)


def more(what: str, first: Sequence[Run], second: Sequence[Run], measure: str, unit: Unit) -> Trial:
    """The trial of a claim that the first method comes out higher, seed by seed.

    Raises:
        ValueError: the runs are not of the same seeds, or there is one seed alone.
    """
    found, low, high = _difference(what, first, second, measure, unit)
    return _decided(Trial(found, above_zero(low, high), low, high), first)


def less(what: str, first: Sequence[Run], second: Sequence[Run], measure: str, unit: Unit) -> Trial:
    """The trial of a claim that the first method comes out lower, seed by seed.

    Raises:
        ValueError: the runs are not of the same seeds, or there is one seed alone.
    """
    found, low, high = _difference(what, first, second, measure, unit)
    return _decided(Trial(found, above_zero(-high, -low), low, high), first)


def _decided(trial: Trial, runs: Sequence[Run]) -> Trial:
    return trial if len(runs) >= LEAST_SEEDS else trial._replace(verdict=OPEN)


def _difference(
    what: str, first: Sequence[Run], second: Sequence[Run], measure: str, unit: Unit
) -> tuple[str, float, float]:
    """The first minus the second, in words, and the ends of its interval."""
    seeds = [[run["key"]["seed"] for run in runs] for runs in (first, second)]
    if seeds[0] != seeds[1]:
        raise ValueError(f"{what}: both must have the same seeds, got {seeds[0]} and {seeds[1]}")
    one, other = (
        torch.tensor([run[measure] for run in runs], dtype=torch.double) for runs in (first, second)
    )
    mean, half = mean_difference(one, other)
    return f"{what}: {unit.signed(mean, half)}, {len(one)} seeds", mean - half, mean + half
