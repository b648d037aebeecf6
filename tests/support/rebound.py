"""Which names an answer rests on that a later cell of the same notebook binds anew.

Somebody who goes back and runs `reveal(…)` again would be judged by another value. Its own cell may
be run alone, or with those between the question and it, which measure. Names are those of the
notebook: what is bound within a function, a class or a comprehension is none.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from scripts.notebook_names import names_of, python_of

_REVEALS = re.compile(r"\breveal\(\s*(\w+)")


def rebound(cells: Sequence[str]) -> list[tuple[int, str, int]]:
    """Returns (place of the cell that reads, name, place of the cell that binds it anew).

    To import the same thing once more under its name binds nothing anew.

    Args:
        cells: The notebook's code, cell by cell.

    Example:
        >>> rebound(["x = 1", "reveal(asked, x)", "x = 2"])
        [(1, 'x', 2)]
        >>> rebound(["import math", "reveal(asked, math.e)", "import math"])
        []
        >>> rebound(["asked = predict('?')", "y = x + 1", "reveal(asked, y)", "x = 2"])
        [(1, 'x', 3)]
    """
    names = [names_of(cell) for cell in cells]
    imports = [dict(_imported(cell)) for cell in cells]
    found = {
        (place, name, later)
        for answer, cell in enumerate(cells)
        for asked in _REVEALS.findall(cell)
        for place, name in _rests_on(names, _question(cells, asked, answer), answer)
        for later in range(answer + 1, len(cells))
        if name in names[later][1]
        if imports[later].get(name, "") != _origin(name, imports[:place])
    }
    return sorted(found)


def _question(cells: Sequence[str], asked: str, answer: int) -> int:
    """The place of the cell that asks, or of the one before the answer."""
    asks = re.compile(rf"^{asked} = predict\(", flags=re.M)
    return max((place for place in range(answer) if asks.search(cells[place])), default=answer - 1)


def _rests_on(
    names: Sequence[tuple[set[str], set[str]]], question: int, answer: int
) -> Iterator[tuple[int, str]]:
    """Each name that is read after a question up to its answer, with its place, and is from above.

    The answer's own cell may be run alone: what the cells between bind is from above as well.
    """
    between: set[str] = set()
    for place in range(question + 1, answer + 1):
        reads, binds = names[place]
        known = binds if place == answer else binds | between
        yield from ((place, name) for name in reads - known)
        between |= binds


def _origin(name: str, imports: Sequence[dict[str, str]]) -> str | None:
    """What a name was imported as in the last of these cells that imports it."""
    return next((cell[name] for cell in reversed(imports) if name in cell), None)


def _imported(cell: str) -> Iterator[tuple[str, str]]:
    """Each name that a cell imports, with what it stands for."""
    for node in ast.walk(ast.parse(python_of(cell))):
        match node:
            case ast.Import(aliases):
                for alias in aliases:
                    name = alias.asname or alias.name.partition(".")[0]
                    yield name, alias.name if alias.asname else name
            case ast.ImportFrom(module, aliases):
                yield from ((each.asname or each.name, f"{module}.{each.name}") for each in aliases)
