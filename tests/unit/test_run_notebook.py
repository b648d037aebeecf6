"""A notebook is written with what it shows, also where a cell fails."""

from __future__ import annotations

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from scripts.run_notebook import main


def notebook(folder, *sources):
    """Writes a notebook whose cells show something old."""
    old = [new_output("stream", text="old\n")]
    cells = [new_code_cell(source, execution_count=7, outputs=old) for source in sources]
    path = folder / "given.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_it_runs_in_its_own_folder_and_the_rest_is_without_outputs(tmp_path):
    path = notebook(tmp_path, "import os; print(os.getcwd())", "1 / 0", "print(3)")
    with pytest.raises(
        SystemExit, match=r"^given.ipynb: (?s:.*)\nZeroDivisionError: division by zero$"
    ):
        main([str(path), str(tmp_path / "run.ipynb")])
    first, second, third = nbformat.read(tmp_path / "run.ipynb", as_version=4).cells
    assert first.outputs[0].text.strip() == str(tmp_path)
    assert second.outputs[0].ename == "ZeroDivisionError"
    assert third.outputs == [] and third.execution_count is None


def test_a_notebook_that_runs_through_is_no_error(tmp_path):
    main([str(notebook(tmp_path, "print(2 + 3)")), str(tmp_path / "run.ipynb")])
    (cell,) = nbformat.read(tmp_path / "run.ipynb", as_version=4).cells
    assert (cell.outputs[0].text, cell.execution_count) == ("5\n", 1)
