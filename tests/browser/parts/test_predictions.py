"""A prediction is made by mouse or keyboard, reaches Python, and is there in a new session."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from support.components import show
from support.lab import Lab
from support.pages import (
    close,
    errors,
    new_page,
    open_notebook,
    page_of,
    saved_when,
    settle,
    wait_for_all,
)

from lora_edu.widgets.component import Component

PATH = "notebooks/predictions.ipynb"
CELLS = (
    "from lora_edu.widgets import predict, reveal",
    "choice = predict('Which is larger?', ['LoRA', 'full', 'neither'])\nchoice",
    "number = predict('How many?')\nnumber",
    "reveal(choice, 'full', because='all of it learns')",
)
BROKEN = """
def fail(said):
    raise RuntimeError("no room for " + said)

broken = predict("Which breaks?", ["this", "that"])
broken.say = fail
broken
"""


@pytest.fixture
def page(lab: Lab, browser: BrowserContext) -> Iterator[Page]:
    with page_of(browser, lab, PATH, CELLS) as page:
        assert wait_for_all(page) == []
        yield page


def test_what_was_predicted_is_there_in_a_new_session(
    page: Page, lab: Lab, browser: BrowserContext
) -> None:
    assert page.get_by_text("No prediction recorded.").is_visible()
    page.get_by_role("radio", name="LoRA").click()
    page.get_by_text("Recorded: LoRA. Run the answer's cell again to compare.").wait_for()
    settle(page)
    expect(page.get_by_role("radio", name="LoRA")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.get_by_text("Recorded: full.").wait_for()
    settle(page)
    expect(page.get_by_role("radio", name="full")).to_be_focused()  # and not thrown out

    field = page.get_by_role("textbox", name="Your number")
    field.fill("-5")
    field.press("Enter")
    page.get_by_text("cannot be less than zero").wait_for()
    settle(page)
    page.keyboard.type("0")  # behind what is there, though the form was drawn anew
    expect(field).to_have_value("-50")
    field.fill("1.5M")
    field.press("Enter")
    page.get_by_text("Recorded: 1,500,000.").wait_for()

    page.locator(".jp-CodeCell").last.locator(".jp-InputArea-editor").click()
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")
    page.get_by_text("You predicted: full").wait_for()
    page.get_by_text("Recorded: full. Now run on.").wait_for()
    assert errors(page) == []
    saved_when(page, lab, PATH, lambda saved: "You predicted: full" in json.dumps(saved.cells))
    close(page)

    again = new_page(browser)
    open_notebook(again, lab, PATH)
    again.get_by_text("Recorded: full.").wait_for()
    expect(again.get_by_role("radio", name="full")).to_be_checked()
    assert again.get_by_text("Recorded: 1,500,000.").is_visible()
    assert again.get_by_text("Error displaying").count() == 0
    again.get_by_role("radio", name="LoRA").click()
    again.get_by_role("alert").get_by_text("Run its cell").wait_for()
    close(again)


ACTIVE = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"


def test_shift_enter_runs_on_and_keeps_what_was_predicted(page: Page) -> None:
    page.get_by_role("radio", name="LoRA").click()
    page.get_by_text("Recorded: LoRA.").wait_for()
    settle(page)
    for active in (2, 3):  # the form's own cell runs again, then the next one
        page.keyboard.press("Shift+Enter")
        page.wait_for_function(f"({ACTIVE})() === {active}")
        settle(page)
    assert errors(page) == []
    page.get_by_text("Recorded: LoRA.").wait_for()
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")
    page.get_by_text("You predicted: LoRA").wait_for()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("abc", "This is not a number."),
        ("-5", "What the question counts cannot be less than zero."),
        ("1e400", "This number is too large"),
        ("1.5M", "You say: 1.5M."),
        (" ", "Make up your mind"),
    ],
)
def test_a_page_without_python_reads_a_number_too(
    said: str, told: str, browser: BrowserContext
) -> None:
    page, data = browser.new_page(), {"options": [], "typed": "", "said": None, "note": ""}
    form = show(page, Component("predict", {"question": "How many?", **data}, alt="a form"))
    form.get_by_role("textbox").fill(said)
    form.get_by_role("textbox").press("Enter")
    assert form.locator("p.quiet").inner_text().startswith(told)
    page.close()


WIDTH = """field => {
  const context = document.createElement("canvas").getContext("2d");
  context.font = getComputedStyle(field).font;
  return field.clientWidth - context.measureText(field.placeholder).width;
}"""


@pytest.mark.parametrize(
    ("exact", "hint"), [(True, "the exact number, such as"), (False, "a number, such as")]
)
def test_the_box_says_whether_the_exact_number_is_wanted(
    exact: bool, hint: str, browser: BrowserContext
) -> None:
    page, data = browser.new_page(), {"options": [], "typed": "", "said": None, "note": ""}
    form = show(page, Component("predict", {"question": "?", "exact": exact, **data}, alt="a form"))
    field = form.get_by_role("textbox")
    assert field.get_attribute("placeholder").startswith(hint)
    assert field.evaluate(WIDTH) > 10  # all of it is read
    page.close()


def test_what_goes_wrong_in_python_is_told_in_the_form(lab: Lab, browser: BrowserContext) -> None:
    with page_of(browser, lab, PATH, [CELLS[0], BROKEN]) as page:
        assert wait_for_all(page) == []
        page.get_by_role("radio", name="that").click()
        page.get_by_role("alert").get_by_text("RuntimeError: no room for that").wait_for()
