"""Runs the comparison: `python -m benchmarks`, or `make bench`.

python -m benchmarks                                # what the record does not hold yet
python -m benchmarks --rows step_peft_B epoch_B     # these rows, again
python -m benchmarks --quick                        # does everything run? Keeps nothing
python -m benchmarks --list
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from benchmarks.machine import machine, versions
from benchmarks.protocol import LEAST_ROUNDS
from benchmarks.record import Record
from benchmarks.report import results, verdict
from benchmarks.rows import RACES, ROWS
from benchmarks.run import measure
from lora_edu.files import atomic_write

FOLDER = Path(__file__).parent


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split(":")[0])
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), metavar="NAME", default=None)
    parser.add_argument("--rounds", type=int, help="of every race, in place of its own number")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="two rounds; keeps nothing")
    parser.add_argument("--again", action="store_true", help="rows that the record holds, too")
    parser.add_argument("--record", type=Path, default=FOLDER / "record.json")
    parser.add_argument("--list", action="store_true", help="name the rows and stop")
    return parser.parse_args(arguments)


def main() -> None:
    """Measures, records after each race, and writes `RESULTS.md` beside the record."""
    options = parse()
    if options.list:
        for name, row in ROWS.items():
            print(f"{name:20} {row.what}")
        return
    torch.set_num_threads(options.threads)
    here, used = machine(), versions()
    record = Record(None if options.quick else options.record)
    asked = {name: _rounds(name, options.rounds) for name in options.rows or ROWS}
    if options.rows is None and not options.again:
        asked = {n: rounds for n, rounds in asked.items() if not record.has(n, here, used, rounds)}
    begun = time.perf_counter()
    for name, outcome, seconds in measure(asked, rounds=options.rounds, quick=options.quick):
        record.add(name, outcome, here, used, asked[name])
        value = "–" if outcome.value is None else f"{outcome.value:.3f}{ROWS[name].unit}"
        each = ", ".join(f"{who} {spent:.4g} s" for who, spent in outcome.seconds.items())
        said = verdict(ROWS[name], outcome)
        print(f"{name:20} {value:>10}  {said}  [{seconds:.0f} s]  {each}", flush=True)
    print(f"{len(asked)} rows in {(time.perf_counter() - begun) / 60:.1f} minutes")
    if record.path is not None:
        grown = record.path.with_name("growth.json")
        growth = json.loads(grown.read_text(encoding="utf-8")) if grown.exists() else None
        with atomic_write(record.path.with_name("RESULTS.md")) as temporary:
            temporary.write_text(results(record, growth), encoding="utf-8")


def _rounds(name: str, override: int | None) -> int:
    row = ROWS[name]
    if not row.race:
        return LEAST_ROUNDS
    return override or RACES[row.race].rounds.wanted


if __name__ == "__main__":
    main()
