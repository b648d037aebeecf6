"""The table of the course is what the notebooks ask, and the rooms hold checkers and no answers."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.project import ROOT, imported_modules
from support.standard import SHORT

from lora_edu.exercises import exercises
from lora_edu.exercises.course import ROOMS

PACKAGE = ROOT / "lora_edu/exercises"
FRAMEWORK = {
    "__init__",
    "core",
    "answers",
    "comparing",
    "course",
    "guarding",
    "statements",
    "trials",
}
OWN_ROOM = """
import sys
from lora_edu.exercises import check
from lora_edu.exercises.course import ROOMS
check("10.scaling")
print(*{room for room in ROOMS.values() if f"lora_edu.exercises.{room}" in sys.modules})
"""


def stem(source: Path) -> str:
    return source.stem


WITH_EXERCISES = [
    source for source in (ROOT / "notebooks/source").glob("*.py") if source.stem != SHORT
]


@pytest.mark.parametrize("source", sorted(WITH_EXERCISES), ids=stem)
def test_the_table_lists_what_each_notebook_asks_in_its_order(source: Path) -> None:
    asked = re.findall(r'\bcheck\("([^"]+)"', source.read_text(encoding="utf-8"))
    assert list(dict.fromkeys(asked)) == [found.name for found in exercises(source.name[:2])]


def test_every_checker_is_in_the_room_that_the_table_names() -> None:
    numbers = sorted({name.split(".")[0] for name in ROOMS})
    homes = {f.name: f.checker.__module__ for number in numbers for f in exercises(number)}
    assert homes == {name: f"lora_edu.exercises.{room}" for name, room in ROOMS.items()}
    assert set(ROOMS.values()) | FRAMEWORK == {file.stem for file in PACKAGE.glob("*.py")}


def test_one_exercise_imports_its_own_room_alone() -> None:
    found = subprocess.check_output([sys.executable, "-c", OWN_ROOM], cwd=ROOT, text=True)
    assert found.split() == ["conventions"]


def test_a_word_names_an_exercise() -> None:
    assert all(re.fullmatch(r"\d\d\.[a-z_]\w*", name) for name in ROOMS)


def defined(tree: ast.Module) -> Iterator[str]:
    """Yields a room's functions, classes and constants, without the checkers."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.decorator_list:
            yield node.name
        for target in node.targets if isinstance(node, ast.Assign) else []:
            yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def test_the_package_holds_no_sample_answers() -> None:
    """Samples are answers that no checker looks at, so all that rooms define must be used."""
    trees = {
        room: ast.parse((PACKAGE / f"{room}.py").read_text("utf-8")) for room in ROOMS.values()
    }
    used = {
        node.id
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    assert [
        (room, name) for room in trees for name in defined(trees[room]) if name not in used
    ] == []
    assert not any("samples" in imported_modules(file) for file in PACKAGE.glob("*.py"))
