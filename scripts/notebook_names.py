"""The names of a notebook that a cell reads and binds.

What is bound within a function, a class or a comprehension is no name of the notebook.
"""

from __future__ import annotations

import re
import symtable
from collections.abc import Iterator

_NOT_PYTHON = re.compile(r"^[ \t]*[%!].*$", flags=re.M)


def names_of(cell: str) -> tuple[set[str], set[str]]:
    """Returns the notebook's names that a cell reads, and those that it binds (or deletes).

    Example:
        >>> reads, binds = names_of("def f(x):\\n    return x + y")
        >>> sorted(reads), sorted(binds)
        (['y'], ['f'])
    """
    reads, binds = set(), set()
    top = symtable.symtable(python_of(cell), "cell", "exec")
    for table in _tables(top):
        for symbol in table.get_symbols():
            here = table is top or symbol.is_global()
            if here and symbol.is_referenced():
                reads.add(symbol.get_name())
            if here and (symbol.is_assigned() or symbol.is_imported()):
                binds.add(symbol.get_name())
    return reads, binds


def python_of(cell: str) -> str:
    """Returns a cell without the lines that are for IPython; what is indented keeps a line."""
    return _NOT_PYTHON.sub(lambda line: line[0][: -len(line[0].lstrip())] + "pass", cell)


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)
