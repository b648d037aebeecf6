"""Each notebook alone in an empty folder of a Colab-like runtime, as its badge opens it there.

nbval compares what it shows there with the stored outputs; the solutions are compared with the
tested versions, in `make notebooks`.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output, writes
from packaging.utils import canonicalize_name
from support.colab import COLAB
from support.layered import installed
from support.notebooks import compare
from support.project import ROOT, notebook_names


@pytest.fixture
def content(tmp_path: Path) -> Path:
    """The empty folder in which Colab opens a notebook."""
    folder = tmp_path / "content"
    folder.mkdir()
    return folder


def opened(name: str, folder: Path) -> Path:
    """Copies a learner's notebook; what pip says in its first cell is not compared."""
    notebook = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    first.metadata["tags"] = ["nbval-ignore-output"]
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


@pytest.mark.parametrize("name", notebook_names())
def test_it_installs_the_course_and_shows_what_is_stored(
    name: str, wheel: Path, colab_python: Path, content: Path
) -> None:
    path = opened(name, content)
    before = installed(colab_python)
    done = compare(path, colab_python, {"LORA_EDU_WHEEL": str(wheel)})
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
