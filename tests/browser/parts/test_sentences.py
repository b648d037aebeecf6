"""A table of sentences is a table where there is room; where there is not, each row is a card."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext
from support.components import PAGE, PAPER

from lora_edu.plots import sentence_table

ROWS = [["rank", "8 or 16 " * 12, "[notebook 01](01.ipynb)"], ["`alpha`", "2 r", "a custom"]]


@pytest.mark.parametrize(("width", "lines"), [(358, 3), (690, 3), (710, 1), (950, 1), (1366, 1)])
def test_its_own_place_decides(width: int, lines: int, browser: BrowserContext) -> None:
    page = browser.new_page()
    page.set_viewport_size({"width": 1400, "height": 900})
    table = sentence_table(["setting", "start with", "who says so"], ROWS)
    place = f'<div style="width:{width}px">{table}</div>'
    page.set_content(PAGE.format(theme="light", paper=PAPER["light"], body=place))
    boxes = [cell.bounding_box() for cell in page.locator("tr:last-child td").all()]
    assert len({box["y"] for box in boxes}) == lines
    assert max(box["x"] + box["width"] for box in boxes) <= width
    assert page.get_by_role("columnheader").count() == (3 if lines == 1 else 0)
    named = "cell => getComputedStyle(cell, '::before').content"
    shown = page.locator("tr:last-child td").nth(1).evaluate(named)
    assert ("start with" in shown or "data-column" in shown) == (lines == 3)
    page.close()
