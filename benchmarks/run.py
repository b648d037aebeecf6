"""Measures rows and puts each into the record."""

from __future__ import annotations

import gc
import statistics
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from benchmarks.machine import bf16_pays
from benchmarks.protocol import AGAIN, LEAST_ROUNDS, interleaved, paired_ratio
from benchmarks.record import Outcome
from benchmarks.rows import RACES, ROWS
from benchmarks.table import Race, Row
from benchmarks.trainer import UnequalLosses

QUICK_ROUNDS = 2


def measure(
    names: Iterable[str], *, rounds: int | None = None, quick: bool = False
) -> Iterator[tuple[str, Outcome, float]]:
    """Measures rows, those of one race together.

    Args:
        names: Of `ROWS`.
        rounds: Of every race, in place of its own number.
        quick: Two rounds and small repeats: to try whether everything runs.

    A row that cannot be measured has no value, and its note says why; the others go on.

    Yields:
        Name, outcome, and the seconds that its race took, checks and all.
    """
    wanted = list(names)
    rounds = QUICK_ROUNDS if quick else rounds
    for name in wanted:
        row = ROWS[name]
        if row.measure is not None:
            begun = time.perf_counter()
            outcome = _guarded(lambda row=row, name=name: {name: row.measure(quick)}, [name])[name]
            yield name, outcome, time.perf_counter() - begun
    for key, race in RACES.items():
        rows = {name: ROWS[name] for name in wanted if ROWS[name].race == key}
        if not rows:
            continue
        if rounds is not None:
            race = replace(race, rounds=replace(race.rounds, wanted=rounds))
        begun = time.perf_counter()
        outcomes = _guarded(lambda race=race, rows=rows: run_race(race, rows), rows)
        for name, outcome in outcomes.items():
            yield name, outcome, time.perf_counter() - begun
        gc.collect()


def _guarded(work: Callable[[], dict[str, Outcome]], names: Iterable[str]) -> dict[str, Outcome]:
    """What `work` finds, or outcomes that name the error: an hour's run shall not end with it."""
    try:
        return work()
    except Exception as error:
        if not isinstance(error, UnequalLosses):
            traceback.print_exc()
        note = f"**failed**: {type(error).__name__}: {error}"
        return dict.fromkeys(names, Outcome(None, rounds=0, note=" ".join(note.split())[:300]))


def run_race(race: Race, rows: dict[str, Row]) -> dict[str, Outcome]:
    """Lets the contenders of these rows take turns."""
    if race.precision == "bf16" and not bf16_pays():
        reason = "not measured: this processor is slower in bf16 than in fp32"
        return dict.fromkeys(rows, Outcome(None, rounds=0, note=reason))
    control = race.control or next(iter(rows.values())).top
    names = dict.fromkeys(name for row in rows.values() for name in (row.top, row.bottom))
    times = interleaved(race.build([*names, control + AGAIN]), race.rounds)
    number = len(times[control])
    alike = paired_ratio(times[control + AGAIN], times[control])
    notes = [race.note()]
    if number < LEAST_ROUNDS:
        notes.append(f"only {number} rounds fitted into the time")
    outcomes = {}
    for name, row in rows.items():
        ratio = paired_ratio(times[row.top], times[row.bottom])
        outcomes[name] = Outcome(
            ratio.median,
            (ratio.low, ratio.high),
            number,
            (alike.median, alike.low, alike.high),
            {who: statistics.median(times[who]) for who in (row.top, row.bottom)},
            note="; ".join(filter(None, notes)),
            doubt=race.doubt(),
        )
    return outcomes
