"""Outputs of a run beside the stored ones: what counts as the same."""

from __future__ import annotations

import copy

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output
from support.stored import differences


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
