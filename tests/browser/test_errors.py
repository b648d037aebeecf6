"""JupyterLab shows nothing of an exception in a callback, so each widget says it in its own place.

One notebook has all of them, each made so that its next answer fails and the one after it does not.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nbformat.v4 import new_code_cell, new_notebook, writes
from playwright.sync_api import BrowserContext, Locator, Page
from support.controls import controls, operate
from support.lab import Lab
from support.pages import close, errors, new_page, open_notebook, start_all, wait_for_all

PATH = "notebooks/errors.ipynb"
# Without its name JupyterLab asks which kernel to use, and waits for the answer.
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}

MAKE = """
from lora_edu.widgets.cut_back import CutBack, CutBackData
from lora_edu.widgets.training_view import watch


def fail_once(function, name):
    waiting = [ValueError(f"{name} <was> made to fail")]

    def once(*arguments, **keywords):
        if waiting:
            raise waiting.pop()
        return function(*arguments, **keywords)

    return once


shares = {rank: rank / 8 for rank in (1, 2, 4)}
data = CutBackData({"cut": shares}, {"cut": shares}, {"whole": 0.9}, shares)
"""
# By the name in the message: what makes the widget, and what of it fails once.
WIDGETS = {
    "back": "w = CutBack(data, lambda rank: 0.5); fails = w, '_measure'",
}
ASKED = {"back": "button"}  # of the others a slider
TRAIN = """
def train(follow):
    raise ValueError("train <was> made to fail")

try:
    await watch(train, steps=3, title="a head")
except ValueError as error:
    print("the cell raised:", error)
"""


def cell(name: str) -> str:
    """Shows a widget that will fail once."""
    broken = f"setattr(*fails, fail_once(getattr(*fails), {name!r}))"
    return f"{WIDGETS[name]}\n{broken}\nw"


@pytest.fixture(scope="module")
def broken(lab: Lab, browser: BrowserContext) -> Iterator[Page]:
    """A page with all widgets, none of them touched."""
    cells = [new_code_cell(text) for text in (MAKE, *map(cell, WIDGETS), TRAIN)]
    notebook = new_notebook(cells=cells, metadata=KERNEL)
    (lab.root / PATH).write_text(writes(notebook), encoding="utf-8")
    page = new_page(browser)
    open_notebook(page, lab, PATH)
    start_all(page)
    assert wait_for_all(page) == []
    yield page
    close(page)


def output_of(page: Page, name: str) -> Locator:
    """The widget that a cell shows."""
    number = list(WIDGETS).index(name) + 1
    return page.locator(".jp-CodeCell").nth(number).locator(".jp-OutputArea-output").first


@pytest.mark.parametrize("name", WIDGETS)
def test_a_widget_says_what_went_wrong_until_it_goes_well_again(broken: Page, name: str) -> None:
    output, kind = output_of(broken, name), ASKED.get(name, "slider")
    alert = output.get_by_role("alert")
    pictures = output.locator("img")
    before = pictures.evaluate_all("images => images.map(image => image.src)")
    assert alert.count() == 0
    inside = [c for c in controls(broken) if c.kind == kind and _is_within(c.locator, output)]
    operate(broken, inside[0])
    assert f"ValueError: {name} <was> made to fail" in alert.inner_text()
    assert alert.is_visible()
    assert pictures.evaluate_all("images => images.map(image => image.src)") == before
    operate(broken, inside[0])
    assert alert.count() == 0
    if before:
        assert pictures.evaluate_all("images => images.map(image => image.src)") != before


def _is_within(inner: Locator, outer: Locator) -> bool:
    return outer.evaluate("(outer, inner) => outer.contains(inner)", inner.element_handle())


def test_a_run_that_fails_says_so_in_its_view_and_in_the_cell(broken: Page) -> None:
    last = broken.locator(".jp-CodeCell").last
    assert "ValueError: train <was> made to fail" in last.get_by_role("alert").inner_text()
    last.get_by_text("the cell raised: train <was> made to fail").wait_for()
    assert errors(broken) == []
