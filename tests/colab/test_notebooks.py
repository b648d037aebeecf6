"""Notebooks alone in an empty folder of a Colab-like runtime, as their badges open them there.

Three of them run whole, and nbval compares what they show there with the stored outputs. Of the
others the cell that installs the course runs, which is the same in all, and every import. In the
browser all learner's notebooks are compared, in `make notebooks` the solutions.
`LORA_EDU_COLAB=all` runs all whole.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output, writes
from packaging.utils import canonicalize_name
from support.colab import COLAB
from support.layered import installed
from support.notebooks import compare
from support.project import ROOT, notebook_names

from scripts.notebook_format import repository_slug

# With every kind of widget, training, and the files of adapters.
WHOLE = [name for name in notebook_names() if name[:2] in ("00", "05", "07")]
if os.environ.get("LORA_EDU_COLAB") == "all":
    WHOLE = notebook_names()
OTHERS = [name for name in notebook_names() if name not in WHOLE]


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """The empty folder in which Colab opens a notebook."""
    folder = tmp_path / "content"
    folder.mkdir()
    return folder


def opened(name: str, folder: Path, wheel: Path) -> Path:
    """Copies a learner's notebook; its first cell installs the wheel, and is not compared."""
    notebook = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    released = f"git+https://github.com/{repository_slug()}"
    assert f'%pip install -q "{released}"' in first.source
    first.source = first.source.replace(released, str(wheel))
    first.metadata["tags"] = ["nbval-ignore-output"]
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


def imports_of(notebook: nbformat.NotebookNode) -> list[str]:
    """The import statements in all cells of code but the first."""
    _, *cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    lines = []
    for cell in cells:
        code = re.sub(r"^( *)%.*$", r"\1pass", cell.source, flags=re.M).replace("await ", "")
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                lines.append(ast.unparse(node))
    return lines


@pytest.mark.skipif(not OTHERS, reason="all notebooks run whole")
def test_the_others_find_all_that_they_import(
    wheel: Path, colab_python: Path, content: Path
) -> None:
    notebooks = [nbformat.read(opened(name, content, wheel), as_version=4) for name in OTHERS]
    firsts = [next(c for c in each.cells if c.cell_type == "code") for each in notebooks]
    assert len({first.source for first in firsts}) == 1  # the same cell installs the course in all
    lines = dict.fromkeys(line for each in notebooks for line in imports_of(each))
    assert any("lora_edu" in line for line in lines)
    cells = [firsts[0], *(new_code_cell(line, execution_count=1) for line in lines)]
    path = content / "others.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    done = compare(path, colab_python)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]


@pytest.mark.parametrize("name", WHOLE)
def test_it_installs_the_course_and_shows_what_is_stored(
    name: str, wheel: Path, colab_python: Path, content: Path
) -> None:
    path = opened(name, content, wheel)
    before = installed(colab_python)
    done = compare(path, colab_python)
    after = installed(colab_python)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert {row for row in after.items() ^ before.items()} == {("lora-edu", after["lora-edu"])}


def test_another_output_and_an_error_are_found(colab_python: Path, content: Path) -> None:
    sources = {
        "import ipywidgets; print(ipywidgets.__version__)": [new_output("stream", text="8.1.8\n")],
        "1 / 0": [],
        "print(1)": [new_output("stream", text="1\n")],
    }
    cells = [new_code_cell(s, execution_count=1, outputs=o) for s, o in sources.items()]
    path = content / "wrong.ipynb"
    path.write_text(writes(new_notebook(cells=cells)), encoding="utf-8")
    done = compare(path, colab_python)
    assert "2 failed, 1 passed" in done.stdout
    assert COLAB["ipywidgets"] in done.stdout
    assert "ZeroDivisionError" in done.stdout


def test_the_runtime_has_colabs_versions_and_not_the_course(colab_python: Path) -> None:
    found = {canonicalize_name(name): version for name, version in installed(colab_python).items()}
    assert COLAB.items() <= found.items()
    assert "lora-edu" not in found
