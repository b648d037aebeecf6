"""What a line of the table consists of, and what its contenders need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf

from benchmarks.protocol import Contender, Rounds
from benchmarks.record import Outcome


@dataclass(frozen=True)
class Target:
    """Where a value should lie; without bounds, anywhere."""

    low: float = -inf
    high: float = inf

    def __str__(self) -> str:
        if self.low == -inf:
            return "–" if self.high == inf else f"≤ {self.high:.12g}"
        return f"≥ {self.low:.12g}" if self.high == inf else f"{self.low:g} … {self.high:g}"

    def is_met(self, value: float) -> bool:
        """Says whether a value lies there."""
        return self.low <= value <= self.high


ANYWHERE = Target()


@dataclass(frozen=True)
class Race:
    """Contenders that take turns.

    Args:
        build: Names → contenders, after a check that they compute the same.
        rounds: How often.
        control: Who runs twice; by default the first row's upper one.
        precision: "bf16" is measured only where the processor is faster in it.
        note: Says what a reader must know.
        doubt: Says why the rows do not count, or nothing where they do.
    """

    build: Callable[[Iterable[str]], dict[str, Contender]]
    rounds: Rounds
    control: str | None = None
    precision: str = "fp32"
    note: Callable[[], str] = str
    doubt: Callable[[], str] = str


@dataclass(frozen=True)
class Row:
    """A line of the table: the time of `top` over that of `bottom`, or what `measure` returns.

    Args:
        what: Is measured.
        limit: What the arithmetic allows, as text.
        target: Of the project.
        peers: Distributions whose versions matter.
        race: Key of `RACES`; or give `measure`.
        top: The contender above the line.
        bottom: The contender below it.
        measure: (quick) → outcome; quick is for trying it out.
        unit: Behind the value.
        fp32: Of a row in bf16, the row that measures the same in fp32.
        least_rounds: Fewer do not count; a race needs `LEAST_ROUNDS`.
    """

    what: str
    limit: str
    target: Target
    peers: tuple[str, ...] = ()
    race: str = ""
    top: str = ""
    bottom: str = ""
    measure: Callable[[bool], Outcome] | None = None
    unit: str = ""
    fp32: str = ""
    least_rounds: int = 1


def paired(
    race: str,
    top: str,
    bottom: str,
    what: str,
    limit: str = "–",
    target: Target = ANYWHERE,
    peers: tuple[str, ...] = (),
    fp32: str = "",
) -> Row:
    """Returns the row of one contender's time over another's."""
    return Row(what, limit, target, peers, race, top, bottom, fp32=fp32)
