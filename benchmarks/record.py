"""The measured rows as data: one entry a row, written after each, so that a run can go on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

from lora_edu.files import atomic_write


@dataclass(frozen=True)
class Outcome:
    """What was measured for a row.

    Args:
        value: The ratio, or the figure; None if the row was not measured, and `note` says why.
        interval: Its 95 % interval, where there is one.
        rounds: Rounds, or repeats.
        control: Median, low and high of a contender against itself.
        seconds: Median time a call of each contender.
        figures: Whatever else was measured, by name.
        note: What a reader must know.
        doubt: Why the value does not count, where it does not.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    rounds: int = 1
    control: tuple[float, float, float] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    note: str = ""
    doubt: str = ""


class Record:
    """A JSON file: for each machine the rows that were measured on it, last measured last.

    Args:
        path: The file; it need not exist. None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        exists = path is not None and path.exists()
        self.entries: list[dict] = json.loads(path.read_text()) if exists else []

    def machines(self) -> list[dict]:
        """Returns the machines that rows were measured on, in the order of their coming."""
        found = [entry["machine"] for entry in self.entries]
        return [one for i, one in enumerate(found) if one not in found[:i]]

    def rows(self, machine: dict) -> dict[str, dict]:
        """Returns a machine's entries by row."""
        return {e["row"]: e for e in self.entries if e["machine"] == machine}

    def has(self, row: str, machine: dict, versions: dict, rounds: int) -> bool:
        """Says whether a row was measured here, with these versions and at least so many rounds."""
        entry = self.rows(machine).get(row)
        return (
            entry is not None and entry["versions"] == versions and entry["asked_rounds"] >= rounds
        )

    def add(self, row: str, outcome: Outcome, machine: dict, versions: dict, rounds: int) -> None:
        """Puts a row in, in place of an older one of the same machine, and writes the file."""
        old = self.rows(machine).get(row)
        self.entries = [entry for entry in self.entries if entry is not old]
        self.entries.append(
            {
                "row": row,
                "outcome": asdict(outcome),
                "machine": machine,
                "versions": versions,
                "asked_rounds": rounds,
                "date": date.today().isoformat(),
            }
        )
        if self.path is not None:
            with atomic_write(self.path) as temporary:
                temporary.write_text(json.dumps(self.entries, indent=1) + "\n")


def read_outcome(entry: dict) -> Outcome:
    """Returns the outcome in an entry."""
    stored = dict(entry["outcome"])
    for name in ("interval", "control"):
        stored[name] = None if stored[name] is None else tuple(stored[name])
    return Outcome(**stored)
