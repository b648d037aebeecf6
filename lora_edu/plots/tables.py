"""Tables: numbers side by side, as HTML for the page and as plain text where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Table:
    """A table, shown when a cell ends in it.

    Args:
        columns: The heading of each column.
        rows: Each row's cells: its name, then its values, as text or as numbers.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
    """

    def __init__(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        self.columns = list(columns)
        self.rows = [[str(cell) for cell in row] for row in rows]
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"each row must have {len(self.columns)} cells, one for each of "
                    f"{self.columns}; got {row}"
                )

    def __repr__(self) -> str:
        """Returns the table as plain text, its columns below each other."""
        lines = [self.columns, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
            for line in lines
        )

    def _repr_html_(self) -> str:
        # The page's own style has colours and lines; only where a cell's text stands is ours.
        head = "".join(_cell("th", "col", number, text) for number, text in enumerate(self.columns))
        body = "".join(
            "<tr>"
            + _cell("th", "row", 0, row[0])
            + "".join(_cell("td", "", 1, text) for text in row[1:])
            + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(tag: str, scope: str, column: int, text: str) -> str:
    of = f' scope="{scope}"' if scope else ""
    side = "right" if column else "left"
    return f'<{tag}{of} style="text-align:{side}">{escape(text)}</{tag}>'


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Returns a table to show in a notebook, as the last line of a cell.

    Args:
        columns: The heading of each column.
        rows: Each row's cells: its name, then its values, as text or as numbers. Round numbers
            until every machine prints them alike: tests compare what is stored.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.

    Example:
        >>> table(["method", "loss"], [["LoRA", 0.23], ["full", 0.2]])
        method  loss
        LoRA    0.23
        full     0.2
    """
    return Table(columns, rows)
