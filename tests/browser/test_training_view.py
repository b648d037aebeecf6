"""A run is held and taken up again by keyboard, and its last picture is what the file keeps."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from nbformat.v4 import new_code_cell, new_notebook, writes
from playwright.sync_api import Page
from support.lab import Lab, errors, open_notebook, start_all

STEPS = 60
PATIENCE_MS = 120_000
LOOKS = 40

# Slow on purpose: a learner has six seconds to press a button in.
SOURCE = f"""
import time

import torch
from torch import nn

from lora_edu import fit
from lora_edu.classifiers import FeatureBatches, feature_loss
from lora_edu.widgets.training_view import watch


def slow_loss(model, batch):
    time.sleep(0.1)
    return feature_loss(model, batch)


x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
batches = FeatureBatches(x, (x[:, 0] > 0).long(), 8)
train = lambda follow: fit(
    nn.Linear(4, 2), batches, slow_loss, lr=0.05, steps={STEPS}, device="cpu", callbacks=[follow]
)
history = await watch(train, steps={STEPS}, title="a head")
print("the cell ended:", history.stopped)
"""


@pytest.fixture
def training(lab: Lab, page: Page) -> Iterator[Page]:
    """A page on which a run has just begun."""
    path = "notebooks/training.ipynb"
    (lab.root / path).write_text(writes(new_notebook(cells=[new_code_cell(SOURCE)])))
    page.said.clear()
    open_notebook(page, lab, path)
    start_all(page)
    page.get_by_text("a head: training").wait_for(timeout=PATIENCE_MS)
    yield page
    page.evaluate("() => window.jupyterapp.serviceManager.sessions.shutdownAll()")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")


def stored_output(page: Page, lab: Lab, state: str) -> dict:
    """The view as the saved file has it, once that is in this state."""
    for _ in range(LOOKS):
        page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        notebook = json.loads((lab.root / "notebooks/training.ipynb").read_text())
        output = notebook["cells"][0]["outputs"][0]
        if state in output["metadata"]["image/png"]["alt"]:
            return output
        page.wait_for_timeout(250)
    raise AssertionError(f"the file never said {state!r}: {output['metadata']}")


def test_a_run_is_held_and_goes_on_by_keyboard(training: Page, lab: Lab) -> None:
    press(training, "Stop")
    training.get_by_text("the cell ended: held").wait_for(timeout=PATIENCE_MS)
    held = stored_output(training, lab, "a head: held, ")
    press(training, "Go on")
    finished = f"a head: finished, {STEPS} of {STEPS} steps"
    training.get_by_text(finished).first.wait_for(timeout=PATIENCE_MS)
    stored = stored_output(training, lab, f"{finished}. The training loss fell.")
    first, last = (base64.b64decode(each["data"]["image/png"]) for each in (held, stored))
    assert first != last
    assert training.locator(".jp-OutputArea-output img").count() == 1
    assert errors(training) == []
