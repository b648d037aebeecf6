"""An answer that is run again judges by the value that it had the first time."""

from __future__ import annotations

import pytest
from support.project import ROOT, notebook_names
from support.rebound import rebound

from scripts.notebook_format import to_notebook

ASKED = "asked = predict('How many?')"


@pytest.mark.parametrize("name", notebook_names())
def test_no_later_cell_binds_anew_what_an_answer_rests_on(name: str) -> None:
    text = (ROOT / f"notebooks/source/{name}.py").read_text(encoding="utf-8")
    notebook = to_notebook(text, "solution", f"notebooks/solutions/{name}.ipynb", "a/b")
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    found = [
        f"`{cells[place].splitlines()[0]} …` reads {wrong}, bound anew by "
        f"`{cells[later].splitlines()[0]} …`"
        for place, wrong, later in rebound(cells)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "later",
    [
        "x = 2",
        "x, y = 2, 3",
        "[*x] = 2, 3",
        "x: int = 2",
        "x += 1",
        "for x in range(3):\n    pass",
        "import x",
        "import y as x",
        "from y import x",
        "with open('y') as x:\n    pass",
        "def x():\n    pass",
        "class x:\n    pass",
        "if (x := 2):\n    pass",
        "try:\n    x = 2\nexcept ValueError as y:\n    pass",
        "def f():\n    global x\n    x = 2",
        "%pip install y\nx = 2",
        "x = await y",
        "del x",
        "match y:\n    case [x]:\n        pass",
    ],
)
@pytest.mark.parametrize("read", ["reveal(asked, x)", "def f():\n    return x\nreveal(asked, f())"])
def test_every_way_to_bind_a_name_anew_is_found(read: str, later: str) -> None:
    assert (2, "x", 4) in rebound([ASKED, "x = 1", read, "y = 1", later])


@pytest.mark.parametrize(
    "later",
    [
        "y = x",
        "y = [x for x in range(3)]",
        "def f(x):\n    x = 2",
        "def f():\n    x = 2",
        "class C:\n    x = 2",
        "y.x = 2",
        "y[x] = 2",
        "f(x=2)",
    ],
)
def test_what_binds_another_name_is_none(later: str) -> None:
    assert rebound([ASKED, "x = 1", "reveal(asked, x)", later]) == []


def test_what_is_measured_after_the_question_counts_and_what_came_before_it_does_not() -> None:
    cells = ["x = 1", "z = x", ASKED, "y = x + 1", "w = y", "reveal(asked, w)"]
    assert rebound([*cells, "x = 2"]) == [(3, "x", 6)]
    assert rebound([*cells, "y = 2"]) == []  # measured anew where it is needed
    assert rebound([*cells, "w = 2"]) == [(5, "w", 6)]
    assert rebound([*cells, "z = 2"]) == []


def test_a_name_that_the_answers_own_cell_binds_may_be_bound_again() -> None:
    assert rebound(["x = 1\nreveal(asked, x)", "x = 2"]) == []


def test_the_same_import_once_more_changes_nothing() -> None:
    cells = ["from a import x\nimport b.c", "reveal(asked, x, b)"]
    assert rebound([*cells, "from a import x", "import b.d"]) == []
    assert rebound([*cells, "from z import x"]) == [(1, "x", 2)]
    assert rebound([*cells, "import z as b"]) == [(1, "b", 2)]
