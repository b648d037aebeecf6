"""Outputs of a run beside the stored ones: what counts as the same."""

from __future__ import annotations

import copy

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output
from support.project import ROOT, notebook_names
from support.stored import differences, stored_outputs


@pytest.fixture
def stored() -> NotebookNode:
    picture = '<img alt="a" src="data:image/png;base64,AAAA">'
    outputs = [
        [new_output("stream", text="1\n")],
        [new_output("display_data", data={"text/html": picture, "image/png": "AAAA"})],
    ]
    return new_notebook(
        cells=[new_code_cell("1", execution_count=1, outputs=each) for each in outputs]
    )


def test_another_picture_is_the_same_and_its_text_is_not(stored: NotebookNode) -> None:
    run = copy.deepcopy(stored)
    run.cells[1].outputs[0].data = {
        "text/html": '<img alt="a" src="data:image/png;base64,BBBB">',
        "image/png": "BBBB",
        "application/vnd.jupyter.widget-view+json": {"model_id": "x"},
    }
    assert differences(stored, run) == []
    run.cells[1].outputs[0].data["text/html"] = picture = '<img alt="b">'
    (line,) = differences(stored, run)
    assert picture in line


def test_another_number_and_a_lost_output_are_told(stored: NotebookNode) -> None:
    run = copy.deepcopy(stored)
    run.cells[0].outputs[0].text = "2\n"
    run.cells[1].outputs = []
    first, second = differences(stored, run)
    assert "stored [('stdout', '1\\n')], now [('stdout', '2\\n')]" in first
    assert second.endswith("now []")


def test_cells_that_are_exempt_or_kept_back_are_not_compared(stored: NotebookNode) -> None:
    run = copy.deepcopy(stored)
    for cell in run.cells:
        cell.outputs = []
    stored.cells[0].metadata["tags"] = ["nbval-ignore-output"]
    stored.cells[1].execution_count = None
    assert differences(stored, run) == []


def test_an_output_that_waits_for_an_exercise_may_differ_and_the_next_may_not(
    stored: NotebookNode,
) -> None:
    stored.cells[0].outputs.append(new_output("display_data", data={"text/plain": "Found: 5."}))
    run = copy.deepcopy(stored)
    run.cells[0].outputs[0].text = "not passed yet\n"
    assert differences(stored, run) == []
    run.cells[0].outputs[1].data["text/plain"] = "Found: 6."
    assert len(differences(stored, run)) == 1


@pytest.mark.parametrize("name", notebook_names())
def test_what_a_learners_notebook_keeps_back_is_compared_with_the_solution(name: str) -> None:
    cells = stored_outputs(name).cells
    silent = [cell.id for cell in cells if cell.cell_type == "code" and not cell.execution_count]
    assert not silent


@pytest.mark.parametrize("name", notebook_names())
def test_a_solutions_own_cells_show_no_more_than_a_checks_answer(name: str) -> None:
    """So that nothing is missed where only the learner's notebook is run again."""
    folders = ("notebooks", "notebooks/solutions")
    learner, solution = (
        nbformat.read(ROOT / folder / f"{name}.ipynb", as_version=4) for folder in folders
    )
    shared = {cell.source for cell in learner.cells}
    for cell in solution.cells:
        if cell.cell_type == "code" and cell.source not in shared:
            assert [output.data["text/plain"][0] for output in cell.outputs] == ["✓"], cell.source


def test_05_says_of_its_note_what_its_table_says() -> None:
    notebook = nbformat.read(ROOT / "notebooks/solutions/05_finetune_a_classifier.ipynb", 4)
    note = "The ship leaves at six, shall we meet at the port?"
    (cell,) = (cell for cell in notebook.cells if f'note = "{note}"' in cell.source)
    (line,) = (
        line
        for output in cell.outputs
        for line in output.get("data", {}).get("text/plain", "").splitlines()
        if note in line
    )
    said = line.split()[0]
    assert any(f"takes the note for a {said}'s!" in cell.source for cell in notebook.cells)
