"""Should I use LoRA, and with what? The course's answer, shown where a learner asks."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from IPython.display import display

from lora_edu.plots import sentence_table

_INSIDE = Path(__file__).resolve().parents[1] / "data" / "choosing.md"  # of an installed wheel
_CHECKOUT = Path(__file__).resolve().parents[2] / "docs" / "choosing.md"


class DecisionTables:
    """The tables of `docs/choosing.md`, shown when a cell ends in them.

    The document is the one source; a notebook shows what it says today.
    """

    @property
    def text(self) -> str:
        """The document in Markdown, below a notebook's own heading and beside other notebooks."""
        file = _INSIDE if _INSIDE.is_file() else _CHECKOUT
        _, _, tables = file.read_text(encoding="utf-8").partition("\n\n")  # its title is above
        return tables.replace("](../notebooks/", "](").replace("## ", "### ").rstrip()

    def __repr__(self) -> str:
        """Returns the Markdown, for readers of plain text."""
        return self.text

    def _ipython_display_(self) -> None:
        for is_table, lines in groupby(self.text.split("\n"), lambda line: line.startswith("|")):
            part = "\n".join(lines).strip()
            page = {"text/html": _page(part)} if is_table else {"text/markdown": part}
            if part:
                display({**page, "text/plain": part}, raw=True)


def _page(table: str) -> str:
    """A table of Markdown as HTML, with cards where it is narrow: Markdown knows no width."""
    columns, _, *rows = [line.strip("| ").split(" | ") for line in table.split("\n")]
    return sentence_table(columns, rows)


def decision_tables() -> DecisionTables:
    """Returns the decision tables, to show in a notebook.

    Example:
        >>> decision_tables().text.splitlines()[0]
        '### Which method?'
    """
    return DecisionTables()
