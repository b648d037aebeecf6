"""Every control of every notebook is moved through its range, and no callback fails."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from support.project import ROOT, notebook_names

from scripts.build_notebooks import ONE_THREAD

POKE = (ROOT / "tests/support/poke_kernel.py").read_text(encoding="utf-8")


def poke(notebook: NotebookNode, folder: Path) -> int:
    """Runs a notebook, moves its controls and returns how many moves were made.

    Raises:
        CellExecutionError: a cell or a callback raised.
    """
    notebook.cells.append(new_code_cell(POKE))
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=os.environ | ONE_THREAD)
    printed = "".join(output.get("text", "") for output in notebook.cells[-1].outputs)
    return int(re.search(r"POKED (\d+)", printed)[1])


@pytest.mark.parametrize("name", notebook_names())
def test_every_control_can_be_moved(name: str) -> None:
    notebook = nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4)
    assert poke(notebook, ROOT / "notebooks") > 0


BROKEN = {
    "observer of a slider, at its end only": """
slider = widgets.IntSlider(min=1, max=8)
slider.observe(lambda change: 1 / (8 - change.new), "value")
""",
    "interact, which shows errors in its own output": """
_ = widgets.interact(lambda rank: 1 / (rank - 3), rank=(1, 8))
""",
    "choice": """
choice = widgets.Dropdown(options=["a", "b"])
choice.observe(lambda change: {"a": 1}[change.new], "value")
""",
    "button, whose errors ipywidgets catches": """
button = widgets.Button(description="go")
button.on_click(lambda _: 1 / 0)
""",
    "thread that a button starts": """
import threading
button = widgets.Button(description="go")
button.on_click(lambda _: threading.Thread(target=lambda: 1 / 0).start())
""",
    "control that the test cannot move": """
control = widgets.DatePicker()
""",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_callback_is_caught(fault: str, tmp_path: Path) -> None:
    cell = new_code_cell(f"import ipywidgets as widgets\n{BROKEN[fault]}")
    with pytest.raises(CellExecutionError) as raised:
        poke(new_notebook(cells=[cell]), tmp_path)
    assert re.match(
        r"errors: \[.*Error|errors: \[\]; unknown controls: \[.*DatePicker", raised.value.evalue
    )


def test_working_controls_pass_and_are_counted(tmp_path: Path) -> None:
    source = """
import ipywidgets as widgets
slider = widgets.IntSlider(min=1, max=8)
log_slider = widgets.FloatLogSlider(min=-3, max=3, base=10)
both = widgets.IntRangeSlider(min=0, max=4)
choice = widgets.RadioButtons(options=["a", "b"], index=None)
several = widgets.SelectMultiple(options=["a", "b"])
box = widgets.Checkbox()
text = widgets.Text()
button = widgets.Button()
heading = widgets.HTML("text")
"""
    # Each setting tried and the old one: 9 + 13 + 6 for the sliders, 3 + 5 for the choices,
    # 3 for the box, 6 for the text; and one press.
    assert poke(new_notebook(cells=[new_code_cell(source)]), tmp_path) == 46
