"""A run is held and taken up again by keyboard, and its last picture is what the file keeps."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from nbformat import NotebookNode
from playwright.sync_api import BrowserContext, Page
from support.lab import Lab
from support.pages import (
    close,
    errors,
    new_page,
    open_notebook,
    saved_when,
    start_all,
    write_notebook,
)
from support.slow_run import slow_run

STEPS = 60
PATIENCE_MS = 120_000
PATH = "notebooks/training.ipynb"
SOURCE = slow_run(STEPS, seconds_a_step=0.2)  # a learner has twelve seconds to press a button in


@pytest.fixture
def training(lab: Lab, browser: BrowserContext) -> Iterator[Page]:
    """A page on which a run has just begun."""
    write_notebook(lab, PATH, [SOURCE])
    page = new_page(browser)
    page.set_default_timeout(PATIENCE_MS)
    open_notebook(page, lab, PATH)
    start_all(page)
    page.get_by_text("a head: training").wait_for()
    yield page
    close(page)


class Shown(NamedTuple):
    """What a learner sees of the run."""

    picture: str
    text: str

    @property
    def steps(self) -> int:
        found = re.search(rf"(\d+) of {STEPS} steps", self.text)
        return int(found[1]) if found else -1


def shown(page: Page) -> Shown:
    picture = page.locator(".lora-live img").get_attribute("src")
    return Shown(picture, page.locator("p[aria-live]").inner_text())


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")


def stored_picture(page: Page, lab: Lab, state: str) -> bytes:
    """The picture that the saved file has, once its text begins with this state."""

    def html(notebook: NotebookNode) -> str:
        outputs = notebook.cells[0].outputs
        return "".join("".join(out.get("data", {}).get("text/html", "")) for out in outputs)

    saved = saved_when(page, lab, PATH, lambda notebook: f'alt="{state}' in html(notebook))
    return base64.b64decode(html(saved).partition("base64,")[2].partition('"')[0])


def test_a_run_is_held_and_goes_on_by_keyboard(
    training: Page, lab: Lab, browser: BrowserContext
) -> None:
    press(training, "Stop")
    training.get_by_text("the cell ended: held").wait_for()
    held = shown(training)
    assert 0 < held.steps < STEPS
    training.wait_for_timeout(1500)  # time for fifteen more steps
    assert shown(training) == held
    held_picture = stored_picture(training, lab, f"a head: held, {held.steps} of {STEPS} steps")

    press(training, "Go on")
    training.get_by_text(f"a head: finished, {STEPS} of {STEPS} steps").first.wait_for()
    finished = stored_picture(training, lab, f"a head: finished, {STEPS} of {STEPS} steps.")
    assert shown(training).picture != held.picture
    assert shown(training).steps == STEPS
    assert finished != held_picture
    assert errors(training) == []
    assert training.said == []
    assert not training.locator(".lora-still").is_visible()

    close(training)  # and its kernel
    again = new_page(browser)
    open_notebook(again, lab, PATH)
    again.locator(".lora-still img").wait_for()
    assert again.locator(".lora-still img").is_visible()
    assert not any(each.is_visible() for each in again.get_by_text("Error displaying").all())
    close(again)


def test_run_by_key_the_whole_view_is_on_a_laptops_screen_and_no_sample_moves_it(
    lab: Lab, browser: BrowserContext
) -> None:
    said = "Long ago, there was a little girl who loved to play with her toys. " * 2
    source = SOURCE.replace('title="a head"', f'title="a head", say=lambda: "{said}"')
    write_notebook(lab, PATH, ["\n" * 12, source, "1\n" * 3, "2\n" * 30])
    page = new_page(browser)
    page.set_viewport_size({"width": 1366, "height": 768})
    open_notebook(page, lab, PATH)
    page.locator(".jp-Cell .cm-content").first.click()
    for _ in range(2):
        page.keyboard.press("Shift+Enter")
    stop, view = page.get_by_role("button", name="Stop", exact=True), page.locator(".lora-live")
    stop.wait_for()
    page.wait_for_timeout(1000)  # JupyterLab has gone on to the next cell by then
    top = page.locator(".jp-NotebookPanel-notebook").bounding_box()["y"]
    box = view.bounding_box()
    assert top - 1 <= box["y"] and box["y"] + box["height"] <= 768 and box["height"] < 470
    place = stop.bounding_box()
    page.locator(".lora-live th").nth(1).wait_for()
    assert stop.bounding_box() == place and view.bounding_box() == box
    close(page)
