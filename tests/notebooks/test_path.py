"""The marked path alone can be run: no cell on it needs a name from a section that is folded."""

from __future__ import annotations

import ast
import builtins
import re

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from support.project import ROOT, notebook_names

from scripts.build_notebooks import from_source
from scripts.notebook_times import DEEPER, Section, sections, shown_minutes

SHORT = "20_minutes"

MAGIC = re.compile(r"^(\s*)[%!].*$", flags=re.M)


def names(code: str) -> tuple[set[str], set[str]]:
    """What a cell defines, anywhere in it, and what it uses."""
    defined, used = set(), set()
    for node in ast.walk(ast.parse(MAGIC.sub(r"\1pass", code))):
        match node:
            case ast.Name(id, ast.Load()):
                used.add(id)
            case ast.Name(id) | ast.FunctionDef(id) | ast.ClassDef(id) | ast.arg(id):
                defined.add(id)
            case ast.alias(name, None):
                defined.add(name.partition(".")[0])
            case ast.alias(_, other) | ast.ExceptHandler(name=str(other)):
                defined.add(other)
    return defined, used


def needed_from_folded(cells: list[NotebookNode]) -> set[str]:
    """Names that cells on the path use and that only folded sections define."""
    known, missing, on_path = {*dir(builtins), "display"}, set(), True
    for cell in cells:
        if cell.cell_type == "markdown":
            if cell.source.startswith("## "):
                on_path = not cell.source.startswith(f"## {DEEPER}")
        elif on_path:
            defined, used = names(cell.source)
            missing |= used - defined - known
            known |= defined
    return missing


@pytest.mark.parametrize("version", ["student", "solution"])
@pytest.mark.parametrize("name", notebook_names())
def test_the_path_needs_nothing_that_is_folded(name: str, version: str) -> None:
    assert needed_from_folded(from_source(name, version).cells) == set()


def test_a_name_from_a_folded_section_is_noticed() -> None:
    cells = [
        new_code_cell("from math import pi as π\n%pip list\nfor i in range(3):\n    print(i, π)"),
        new_markdown_cell("## Deeper: far"),
        new_code_cell("hidden = 1"),
        new_markdown_cell("## On it"),
        new_code_cell("def f(x):\n    return x + hidden + i\n\n\nshown = f(1)"),
    ]
    assert needed_from_folded(cells) == {"hidden"}


def of_notebook(number: str) -> list[Section]:
    """The sections of the notebook with this number."""
    name = next(name for name in notebook_names() if name.startswith(number))
    return sections(from_source(name, "student").cells)


def openings() -> list[str]:
    """Where the ways are told: the start of 00, and the README."""
    cells = from_source("00_start_here", "student").cells
    before = [n for n, cell in enumerate(cells) if cell.source.startswith("## The same in code")]
    texts = [cell.source for cell in cells[: before[0]] if cell.cell_type == "markdown"]
    return ["\n".join(texts), (ROOT / "README.md").read_text(encoding="utf-8")]


def test_the_marked_path_takes_as_long_as_is_said() -> None:
    core = [number for number in (name[:2] for name in notebook_names()) if number < "06"]
    path = sum(shown_minutes(of_notebook(number))[0] for number in core)
    assert f"through the core, 00 to 05, in {path} minutes" in openings()[1]


def test_the_short_way_takes_less_than_is_said_and_is_told_at_the_start() -> None:
    """By the rule for reading; what is left of the twenty minutes is for running and playing."""
    found = sections(from_source(SHORT, "student").cells)
    assert all(section.on_path or not section.lines for section in found)
    assert not any(section.exercises for section in found)
    assert sum(section.minutes for section in found) <= 17
    for text in openings():
        assert re.search(
            rf"In a hurry\? \[LoRA in twenty minutes\]\((notebooks/)?{SHORT}\.ipynb\)", text
        )
