"""JupyterLab shows nothing of an exception in a callback, so a run says it in its own view.

Explorers say it too: see the tests of each.
"""

from __future__ import annotations

from playwright.sync_api import BrowserContext
from support.lab import Lab
from support.pages import errors, page_of, wait_for_all

PATH = "notebooks/errors.ipynb"
TRAIN = """
from lora_edu.widgets.training_view import watch


def train(follow):
    raise ValueError("train <was> made to fail")

try:
    await watch(train, steps=3, title="a head")
except ValueError as error:
    print("the cell raised:", error)
"""


def test_a_run_that_fails_says_so_in_its_view_and_in_the_cell(
    lab: Lab, browser: BrowserContext
) -> None:
    with page_of(browser, lab, PATH, [TRAIN]) as page:
        assert wait_for_all(page) == []
        cell = page.locator(".jp-CodeCell").last
        assert "ValueError: train <was> made to fail" in cell.get_by_role("alert").inner_text()
        cell.get_by_text("the cell raised: train <was> made to fail").wait_for()
        assert errors(page) == []


def test_a_cell_that_raises_is_an_error_of_its_notebook(lab: Lab, browser: BrowserContext) -> None:
    with page_of(browser, lab, PATH, ["# @title folded\n1 / 0", "print('never run')"]) as page:
        assert wait_for_all(page) == errors(page) == ["ZeroDivisionError: division by zero"]
