"""Tables: numbers side by side, as HTML for the page and as plain text where there is none."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from html import escape

from lora_edu.plots.display import LINE_CHARACTERS
from lora_edu.plots.sheet import widths_px

_COMMAND = "The command that recorded this"
_NUMBER = re.compile(r"−?\d+(\.\d+)?")
# No line ends between a number and its sign.
_NUMBER_AND_SIGN = re.compile(r"(?<=\d) (?=[%±])|(?<=±) ")
_VALUE = re.compile(r"[<>±+−]? ?\d|–")  # how a number begins, or the sign for none
_HYPHEN = re.compile(r"(?<![\w.])-(?=\.?\d)")  # before a number, and not in 1e-3 or 2024-11


class Table:
    """A table, shown when a cell ends in it.

    Args:
        columns: The heading of each column.
        rows: Each row's cells: its name, then its values, as text or as numbers.
        marks_lowest: Whether the lowest number of each column is bold, and starred in plain text.
        note: What a reader should know of the numbers, in small letters beneath them.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        marks_lowest: bool = False,
        note: str = "",
    ) -> None:
        self.columns = list(columns)
        self.note = note.strip()
        self.rows = [[_HYPHEN.sub("−", str(cell)) for cell in row] for row in rows]
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"each row must have {len(self.columns)} cells, one for each of "
                    f"{self.columns}; got {row}"
                )
        self.lowest = _lowest(self.rows) if marks_lowest else set()
        #: The columns that stand on the left: the names, and those that are words for the most
        #: part; numbers stand on the right.
        self.on_the_left = {0} | {
            number
            for number, cells in enumerate(zip(*self.rows, strict=True))
            if 2 * sum(bool(_VALUE.match(cell)) for cell in cells) < len(cells)
        }

    def __repr__(self) -> str:
        """Returns the table as plain text, its columns below each other, then the note."""
        lines = [self.columns, *self.rows]
        if self.lowest:
            marked = {column for _, column in self.lowest}
            lines = [
                [
                    cell + (("*" if (row, column) in self.lowest else " ") * (column in marked))
                    for column, cell in enumerate(line)
                ]
                for row, line in enumerate(lines, start=-1)
            ]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        sides = [str.ljust if n in self.on_the_left else str.rjust for n in range(len(widths))]
        text = [
            "  ".join(
                side(cell, wide) for side, cell, wide in zip(sides, line, widths, strict=True)
            ).rstrip()
            for line in lines
        ]
        text += [textwrap.fill(line, LINE_CHARACTERS) for line in self.note.splitlines()]
        return "\n".join(text)

    def _repr_html_(self) -> str:
        # The page's own style has colours and lines; only where a cell's text stands is ours.
        sides = ["left" if n in self.on_the_left else "right" for n in range(len(self.columns))]
        head = "".join(_cell("th", "col", *each) for each in zip(sides, self.columns, strict=True))
        body = "".join(
            "<tr>"
            + _cell("th", "row", sides[0], row[0])
            + "".join(
                _cell("td", "", sides[column], text, strong=(number, column) in self.lowest)
                for column, text in enumerate(row[1:], start=1)
            )
            + "</tr>"
            for number, row in enumerate(self.rows)
        )
        whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return whole + note_beneath(self.note)


def note_beneath(note: str) -> str:
    """Returns HTML: lines in small letters, to stand beneath numbers; nothing for no note.

    The command that recorded the numbers, named at a note's end, is folded: it is for whoever
    records them anew, and a reader of the numbers need not read it.

    Example:
        >>> note_beneath("± is a range").endswith(">± is a range</p>")
        True
        >>> note_beneath("Recorded by make it.").startswith("<details")
        True
    """
    said, _, command = note.partition("Recorded by ")
    small = "font-size:.9em;line-height:1.45;margin:4px 0 8px;text-align:left;"
    small += f"max-width:{widths_px()['wide']}px"
    lines = escape(said.strip()).replace("\n", "<br>")
    shown = f'<p style="{small}">{lines}</p>' if lines else ""
    if command:
        told = f"<code>{escape(command.strip().removesuffix('.'))}</code>"
        shown += f'<details style="{small}"><summary>{_COMMAND}</summary>{told}</details>'
    return shown


def _cell(tag: str, scope: str, side: str, text: str, strong: bool = False) -> str:
    of = f' scope="{scope}"' if scope else ""
    whole = _NUMBER_AND_SIGN.sub("\N{NO-BREAK SPACE}", escape(text))
    said = f"<b>{whole}</b>" if strong else whole
    return f'<{tag}{of} style="text-align:{side}">{said}</{tag}>'


def _lowest(rows: list[list[str]]) -> set[tuple[int, int]]:
    """Row and column of the lowest number of each column after the first."""
    found = set()
    for column, cells in list(enumerate(zip(*rows, strict=True)))[1:]:
        numbers = {
            row: float(cell.replace("−", "-"))
            for row, cell in enumerate(cells)
            if _NUMBER.fullmatch(cell)
        }
        least = min(numbers.values(), default=None)
        found |= {(row, column) for row, number in numbers.items() if number == least}
    return found


def signed(value: float, digits: int = 1) -> str:
    """Writes a difference with its sign, and a minus as such.

    Example:
        >>> signed(1.26), signed(-0.04, 3), signed(-0.001)
        ('+1.3', '−0.040', '+0.0')
    """
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    marks_lowest: bool = False,
    note: str = "",
) -> Table:
    """Returns a table to show in a notebook, as the last line of a cell.

    Args:
        columns: The heading of each column.
        rows: Each row's cells: its name, then its values, as text or as numbers. Round numbers
            until every machine prints them alike: tests compare what is stored.
        marks_lowest: Whether the lowest number of each column is bold, and starred in plain text.
        note: What a reader should know of the numbers, in small letters beneath them: what a sign
            means, or which command recorded them. One line or several.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.

    Example:
        >>> table(["method", "loss"], [["LoRA", 0.23], ["full", 0.2]])
        method  loss
        LoRA    0.23
        full     0.2
        >>> table(["rate", "loss"], [["0.1", 0.23], ["1", 0.2]], marks_lowest=True)
        rate  loss
        0.1   0.23
        1      0.2*
        >>> table(["", "loss"], [["LoRA", "0.2 ± 0.1"]], note="± is a range")
                   loss
        LoRA  0.2 ± 0.1
        ± is a range
    """
    return Table(columns, rows, marks_lowest, note)
