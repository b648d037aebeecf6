"""Every notebook in a real browser: runs to its end, and every widget obeys the keyboard."""

from __future__ import annotations

import re

import nbformat
from playwright.sync_api import Page
from support.controls import controls, operate
from support.pages import errors
from support.project import ROOT
from support.stored import differences, stored_outputs

# What JupyterLab itself writes to the console, also of its own requests to its server; and what
# anywidget does where a busy machine takes more than two seconds to start its model.
NOT_OURS = re.compile(
    r"ResizeObserver loop|\[anywidget\] Failed to initialize model"
    r"|Failed to load resource: the server responded with a status of 500"
)


def test_it_runs_to_the_end_without_an_error(notebook: Page) -> None:
    assert notebook.errors == []


def test_it_shows_what_is_stored(notebook: Page) -> None:
    found = differences(stored_outputs(notebook.name), nbformat.from_dict(notebook.saved))
    assert found == []


def test_sections_beside_the_path_are_folded_until_one_opens_them(notebook: Page) -> None:
    stored = nbformat.read(ROOT / f"notebooks/{notebook.name}.ipynb", as_version=4)
    beside, deeper = [], False
    for cell in stored.cells:
        if cell.source.startswith("## "):
            deeper = cell.source.startswith("## Deeper")
        elif deeper:
            beside.append(cell.id)
    assert notebook.hidden == beside


def test_every_control_has_a_label(notebook: Page) -> None:
    assert not [control for control in controls(notebook) if not control.label]


def test_every_control_answers_the_keyboard(notebook: Page) -> None:
    silent, still = [], []
    for control in controls(notebook):
        if control.kind in ("choice", "toggle") and control.is_on():
            continue
        before, after = operate(notebook, control)
        seen = after != before if control.kind == "text" else after[:2] != before[:2]
        if not seen:
            silent.append(str(control))
        elif control.moves_a_picture and before.picture == after.picture:
            still.append(str(control))
    assert not silent, "nothing changed"
    assert not still, "the text changed and the picture did not"
    assert errors(notebook) == []


def test_every_picture_has_an_alternative_text(notebook: Page) -> None:
    images = notebook.locator(".jp-OutputArea-output img")
    assert all(images.evaluate_all("images => images.map(image => image.alt.length > 20)"))


def test_the_console_stays_clean(notebook: Page) -> None:
    assert not [line for line in notebook.said if not NOT_OURS.search(line)]


def test_it_asks_for_nothing_from_outside(notebook: Page) -> None:
    assert set(notebook.asked) == set()
