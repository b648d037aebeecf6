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
from scripts.notebook_times import (
    DEEPER,
    MINUTES_AN_EXERCISE,
    Section,
    sections,
    shown_minutes,
)

#: The short way: of each notebook the sections up to this one; of the last one section alone.
SHORT_WAY = {"00": "Why LoRA?", "02": "Where does it go?", "03": "Train it"}
LAST_STOP = "05", "Should I use LoRA, and with what?"
#: The shortest way, in the same terms and with the same last stop, but without exercises.
SHORTEST_WAY = {"00": "Why LoRA?", "03": "Train it"}

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


def section(number: str, heading: str) -> Section:
    """The section of the notebook with this number."""
    (found,) = [each for each in of_notebook(number) if each.heading == heading]
    return found


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


def minutes(way: list[Section], *, exercises: bool) -> int:
    """How long these sections take, with their exercises or without."""
    left_out = 0 if exercises else MINUTES_AN_EXERCISE * sum(each.exercises for each in way)
    return round(sum(each.minutes for each in way) - left_out)


def stops(way: dict[str, str]) -> list[Section]:
    """The sections of a way: of each notebook those up to the one named, then the last stop."""
    found = [section(*LAST_STOP)]
    for number, last in way.items():
        of = of_notebook(number)
        found += of[: [each.heading for each in of].index(last) + 1]
    return found


def test_the_short_ways_take_as_long_as_is_said() -> None:
    way, shortest = stops(SHORT_WAY), minutes(stops(SHORTEST_WAY), exercises=False)
    reading, whole = (minutes(way, exercises=done) for done in (False, True))
    notebook, readme = openings()
    for text in (notebook, readme):
        assert f"{shortest}, {reading} or {whole} minutes" in text
    rows = re.findall(r"^\| (\d+) min \|", notebook, flags=re.M)
    assert rows == [str(whole), str(reading), str(shortest)]


def test_the_shortest_way_calls_nothing_that_it_does_not_show() -> None:
    """A reader of these sections alone meets each name where it is defined."""
    cells = from_source("03_lora_in_a_gpt", "solution").cells
    headings = [cell.source.split("\n")[0] for cell in cells]
    after = next(
        at
        for at in range(headings.index(f"## {SHORTEST_WAY['03']}") + 1, len(cells))
        if headings[at].startswith("## ")
    )
    cells = cells[:after]
    assert needed_from_folded(cells) == set()
    left_out = [cell for cell in cells if "def replace(" not in cell.source]
    assert "replace" in needed_from_folded(left_out)
