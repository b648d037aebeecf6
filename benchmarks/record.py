"""The measured rows as data: one entry a row, written after each, so that a run can go on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
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
    """

    value: float | None
    interval: tuple[float, float] | None = None
    rounds: int = 1
    control: tuple[float, float, float] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    note: str = ""


class Record:
    """A JSON file: name of a row → its outcome, machine and versions.

    Args:
        path: The file; it need not exist. None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        exists = path is not None and path.exists()
        self.entries: dict[str, dict] = json.loads(path.read_text()) if exists else {}

    def has(self, row: str, machine: dict, versions: dict, rounds: int) -> bool:
        """Says whether a row was measured here, with these versions and at least so many rounds."""
        entry = self.entries.get(row)
        return (
            entry is not None
            and entry["machine"] == machine
            and entry["versions"] == versions
            and entry["asked_rounds"] >= rounds
        )

    def add(self, row: str, outcome: Outcome, machine: dict, versions: dict, rounds: int) -> None:
        """Puts a row in, in place of an older one, and writes the file."""
        self.entries[row] = {
            "outcome": asdict(outcome),
            "machine": machine,
            "versions": versions,
            "asked_rounds": rounds,
        }
        if self.path is not None:
            with atomic_write(self.path) as temporary:
                temporary.write_text(json.dumps(self.entries, indent=1) + "\n")

    def outcome(self, row: str) -> Outcome:
        """Returns a row's outcome."""
        stored = dict(self.entries[row]["outcome"])
        for name in ("interval", "control"):
            stored[name] = None if stored[name] is None else tuple(stored[name])
        return Outcome(**stored)
