"""Which outputs a learner's notebook keeps back, so that a prediction stays one.

A notebook is read before it is run, on GitHub for instance: a stored output below a question would
answer it. So from a `predict` to its `reveal` a learner's notebook stores neither outputs nor
counts, nor in a cell with the tag "withheld", whose output tells an answer elsewhere. The solution
stores all of them, and there they are compared with a new run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nbformat import NotebookNode

WITHHELD_TAG = "withheld"
_ASKED = re.compile(r"^(\w+) = predict\(", flags=re.MULTILINE)
_TOLD = re.compile(r"\breveal\(\s*(\w+)")


def questions(cells: Sequence[NotebookNode]) -> list[tuple[str, int, int | None]]:
    """Returns each prediction's name, and the places of the cells that ask it and that reveal it.

    None where the answer is never revealed.
    """
    found: list[tuple[str, int, int | None]] = []
    open_since: dict[str, int] = {}
    for place, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        open_since |= dict.fromkeys(_ASKED.findall(cell.source), place)
        for name in _TOLD.findall(cell.source):
            if name in open_since:
                found.append((name, open_since.pop(name), place))
    return found + [(name, place, None) for name, place in open_since.items()]


def withheld(cells: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Returns the code cells whose outputs a learner's notebook does not store."""
    inside = {
        place
        for _, first, last in questions(cells)
        for place in range(first, (first if last is None else last) + 1)
    }
    return [
        cell
        for place, cell in enumerate(cells)
        if cell.cell_type == "code"
        and (place in inside or WITHHELD_TAG in cell.metadata.get("tags", []))
    ]


def withhold(cells: Sequence[NotebookNode]) -> None:
    """Takes outputs and counts out of these cells, in place."""
    for cell in withheld(cells):
        cell.outputs, cell.execution_count = [], None
