"""A notebook that was run to its end and saved still shows every figure in a new session."""

from __future__ import annotations

import json

from nbformat.v4 import new_code_cell, new_notebook, writes
from playwright.sync_api import BrowserContext, Page
from support.lab import Lab
from support.pages import close, new_page, open_notebook, start_all, wait_for_all

PATH = "notebooks/figures.ipynb"
# Without its name JupyterLab asks which kernel to use, and waits for the answer.
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
FIGURE = """
from lora_edu.plots import Line, line_chart, show

line = Line("loss", [0, 1, 2], [3.0, 2.0, {last}])
drawn = line_chart([line], title="Falls to {last}", x_label="step", y_label="loss (nats)")
show(drawn, alt="A line that falls from 3 to {last} within two steps.")
"""
LASTS = (1.5, 1.0, 0.5)
LOOKS = 40


def shown(page: Page) -> list[tuple[int, str]]:
    """Width in the file and text alternative of each picture that can be seen."""
    images = page.locator(".jp-OutputArea-output img")
    return [
        (image.evaluate("image => image.naturalWidth"), image.get_attribute("alt"))
        for image in images.all()
        if image.is_visible()
    ]


def save(page: Page, lab: Lab) -> None:
    """Saves the notebook, and waits until the file has all figures."""
    for _ in range(LOOKS):
        # Not awaited: saving may ask a question.
        page.evaluate("() => { window.jupyterapp.commands.execute('docmanager:save'); }")
        page.wait_for_timeout(250)
        cells = json.loads((lab.root / PATH).read_text(encoding="utf-8"))["cells"]
        if all(cell["outputs"] for cell in cells):
            return
    raise AssertionError("the file never had all figures")


def test_a_notebook_that_is_opened_again_shows_its_figures(
    lab: Lab, browser: BrowserContext
) -> None:
    cells = [new_code_cell(FIGURE.format(last=last)) for last in LASTS]
    notebook = new_notebook(cells=cells, metadata=KERNEL)
    (lab.root / PATH).write_text(writes(notebook), encoding="utf-8")
    page = new_page(browser)
    open_notebook(page, lab, PATH)
    start_all(page)
    assert wait_for_all(page) == []
    expected = [f"A line that falls from 3 to {last} within two steps." for last in LASTS]
    first = shown(page)
    assert [alt for _, alt in first] == expected
    assert all(width > 100 for width, _ in first)
    save(page, lab)
    close(page)  # and its kernel

    again = new_page(browser)
    open_notebook(again, lab, PATH)
    again.locator(".jp-OutputArea-output img").first.wait_for()
    assert shown(again) == first
    assert again.get_by_text("Error displaying").count() == 0
    close(again)
