"""Notebooks that were run and saved, opened again as on the next day: their kernel has ended.

The file is opened without any kernel: what is seen is in the file. JupyterLab runs scripts of a
notebook only where it trusts it, which is known by a signature of its content.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import NamedTuple

import nbformat
from nbformat.sign import NotebookNotary
from playwright.sync_api import BrowserContext, Page

from support.lab import Lab
from support.pages import OPEN_SECONDS, new_page, saved_when, wait_in_page

LOOKS, LOOK_MS, STILL_LOOKS = 60, 250, 4

# An explorer that is live hides the picture inside it, which counts all the same. Pictures are
# counted, not compared: what a widget shows while it is live and what is left of it may differ.
SHOWN = """() => [...document.querySelectorAll('.jp-OutputArea-output')].map(area => ({
  live: [...area.querySelectorAll('[data-lora]')].filter(host => host.shadowRoot).length,
  pictures: [...area.querySelectorAll('img')]
    .filter(image => image.naturalWidth > 50)
    .filter(image => image.getClientRects().length || image.closest('[data-lora]')?.shadowRoot)
    .map(image => image.alt),
}))"""
# Not awaited: opening asks for a kernel, closing may ask whether to save.
OPEN = """path => { window.jupyterapp.commands.execute('docmanager:open', { path }); }"""
CLOSE = """() => {
  const notebook = window.jupyterapp.shell.currentWidget;
  notebook.context.model.dirty = false; // nothing is to be saved
  notebook.close();
}"""
DRAWN = """() => {
  const images = [...document.querySelectorAll('.jp-OutputArea-output img')];
  return document.querySelectorAll('.jp-CodeCell').length > 0
    && images.every(image => image.complete);
}"""


class Shown(NamedTuple):
    """What a page shows: how many explorers are live, and the texts of its pictures.

    The picture of an explorer that is live is among them.
    """

    live: int
    pictures: list[str]


def shown(page: Page) -> Shown:
    """Returns what a page shows in its outputs."""
    areas = page.evaluate(SHOWN)
    return Shown(sum(a["live"] for a in areas), [alt for a in areas for alt in a["pictures"]])


def errors_seen(page: Page) -> list[str]:
    """Returns what JupyterLab says in place of widgets whose kernel has ended, where it is seen."""
    said = page.get_by_text("Error displaying").all()
    return [each.inner_text() for each in said if each.is_visible()]


def save(page: Page, lab: Lab, path: str) -> nbformat.NotebookNode:
    """Saves the notebook of a page; returns what the file has, once every cell in it has run."""

    def has_run(notebook: nbformat.NotebookNode) -> bool:
        codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
        return all(cell.execution_count for cell in codes if cell.source.strip())

    return saved_when(page, lab, path, has_run)


def reading_room(browser: BrowserContext, lab: Lab) -> Page:
    """Opens JupyterLab without a notebook, in which one after another is read."""
    page = new_page(browser)
    page.goto(f"{lab.url}/lab?reset&token={lab.token}", timeout=OPEN_SECONDS * 1000)
    page.locator(".jp-Launcher").wait_for(timeout=OPEN_SECONDS * 1000)
    return page


@contextlib.contextmanager
def opened_again(
    room: Page, lab: Lab, notebook: nbformat.NotebookNode, name: str, *, trusted: bool
) -> Iterator[Page]:
    """Opens a copy of a saved notebook in the reading room, without a kernel, and closes it.

    Args:
        room: As `reading_room` returns it.
        lab: Gets the copy.
        notebook: As `save` returns it.
        name: Of the copy.
        trusted: As on the learner's own machine; else as on one where it was never run.
    """
    copy = nbformat.from_dict(json.loads(nbformat.writes(notebook)))
    for which in ("kernelspec", "language_info"):
        copy.metadata.pop(which, None)  # JupyterLab then asks which kernel to start
    copy.metadata.title = name  # what was signed once is trusted under every name
    if trusted:
        NotebookNotary(data_dir=str(lab.private / "jupyter_data_dir")).sign(copy)
    path = lab.root / "again" / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    path.write_text(nbformat.writes(copy), encoding="utf-8")
    room.evaluate(OPEN, f"again/{name}.ipynb")
    room.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=OPEN_SECONDS * 1000)
    without = room.locator(".jp-Dialog").get_by_role("button", name="No Kernel")
    without.click(timeout=OPEN_SECONDS * 1000)
    wait_in_page(room, DRAWN, OPEN_SECONDS)
    _wait_until_still(room)
    yield room
    room.evaluate(CLOSE)
    room.locator(".jp-Notebook").wait_for(state="detached")


def _wait_until_still(page: Page) -> None:
    """Waits until a page has shown the same for a while: scripts start after all is drawn."""
    last, same = None, 0
    for _ in range(LOOKS):
        page.wait_for_timeout(LOOK_MS)
        now = shown(page)
        same = same + 1 if now == last else 0
        last = now
        if same == STILL_LOOKS:
            return
