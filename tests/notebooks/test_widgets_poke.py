"""What moves every control of every notebook catches a broken callback of any kind.

`make notebooks` moves the controls themselves, in the kernels in which nbval runs the notebooks.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import start_new_kernel
from nbformat.v4 import new_code_cell, new_notebook, writes
from support.poke import POKE, CallbackError, poke, run
from support.project import ROOT

from scripts.build_notebooks import ONE_THREAD

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


@pytest.fixture(scope="module")
def kernel() -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(kernel_name="python3", env=os.environ | ONE_THREAD)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def client(kernel: BlockingKernelClient) -> BlockingKernelClient:
    """A kernel without widgets."""
    run(kernel, "import ipywidgets as widgets\nwidgets.Widget.close_all()")
    return kernel


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_callback_is_caught(fault: str, client: BlockingKernelClient) -> None:
    run(client, BROKEN[fault])
    caught = r"errors: \[.*Error|errors: \[\]; unknown controls: \[.*DatePicker"
    with pytest.raises(CallbackError, match=f"^({caught})"):
        poke(client)


def test_a_thread_that_does_not_end_is_an_error(client: BlockingKernelClient) -> None:
    run(
        client,
        """
import threading
stop = threading.Event()
button = widgets.Button()
button.on_click(lambda _: threading.Thread(target=stop.wait, name="stuck").start())
""",
    )
    hurried = POKE.replace("WAIT_SECONDS = 120", "WAIT_SECONDS = 0.1")
    assert hurried != POKE
    with pytest.raises(CallbackError, match="stuck still runs"):
        run(client, hurried)
    run(client, "stop.set()")


def test_working_controls_pass_and_are_counted(client: BlockingKernelClient) -> None:
    source = """
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
    run(client, source)
    assert poke(client) == 46


def test_nbval_moves_the_controls_of_every_notebook(tmp_path: Path) -> None:
    head = "import ipywidgets as widgets\n"
    sources = {"good": "_ = widgets.IntSlider()", "none": "", "broken": BROKEN["choice"]}
    for name, source in sources.items():
        notebook = new_notebook(cells=[new_code_cell(head + source)])
        (tmp_path / f"{name}.ipynb").write_text(writes(notebook), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-v", "-p", "tests.support.poke", "--nbval"]
    command += ["--nbval-current-env", "-p", "no:cacheprovider", "-c", os.devnull, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    verdicts = re.findall(r"(\w+)(?:\.|::)ipynb::(\w+).*? (PASSED|FAILED|SKIPPED)", done.stdout)
    assert {(name, test): verdict for name, test, verdict in verdicts} == {
        ("good", "Cell"): "PASSED",
        ("good", "controls"): "PASSED",
        ("none", "Cell"): "PASSED",
        ("none", "controls"): "SKIPPED",
        ("broken", "Cell"): "PASSED",
        ("broken", "controls"): "FAILED",
    }
