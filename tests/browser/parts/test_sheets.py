"""Explorers, figures and drawings are on one kind of sheet, on light pages and on dark ones."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page

from lora_edu.plots import (
    Line,
    bar_chart,
    cards,
    drawing,
    faced,
    image_tag,
    line_chart,
    note_beneath,
    picture,
    png,
)
from lora_edu.plots.sheet import palettes, radius_px, widths_px
from lora_edu.widgets.component import Component
from lora_edu.widgets.memory_bars import memory_bars
from lora_edu.widgets.message_box import message_box

FIGURE = image_tag(png(bar_chart({"full": 2.0, "LoRA": 1.0}, title="", y_label="bytes")), "Bars.")
DRAWING = drawing("side_path")._repr_mimebundle_()[0]["text/html"]
PAGES = {
    "JupyterLab": 'data-jp-theme-light="{}"',
    "the site": 'data-theme="{}"',
}
SAYS = {"JupyterLab": ("true", "false"), "the site": ("light", "dark")}
SHEETS = {"explorer": ".kit", "figure": ".lora-sheet >> visible=true", "drawing": ".lora-drawing"}
EDGE = """sheet => {
  const seen = getComputedStyle(sheet);
  return [seen.borderTopWidth, seen.borderTopStyle, seen.borderTopColor, seen.borderTopLeftRadius];
}"""


@pytest.fixture(scope="module")
def page(browser: BrowserContext) -> Iterator[Page]:
    page = browser.new_page()
    page.set_viewport_size({"width": 900, "height": 2000})
    yield page
    page.close()


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.lstrip("#")))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("host", PAGES)
def test_paper_edge_and_corners_are_the_same(host: str, scheme: int, page: Page) -> None:
    page.emulate_media(color_scheme=("dark", "light")[scheme])  # the page's own word counts
    body = PAGES[host].format(SAYS[host][scheme])
    page.set_content(f"<!doctype html><body {body}>{memory_bars().html()}{FIGURE}<p>{DRAWING}</p>")
    colours = palettes()[scheme]
    wanted = ["1px", "solid", f"rgb{rgb(colours['line'])}", f"{radius_px()}px"]
    for name, selector in SHEETS.items():
        sheet = page.locator(selector)
        assert sheet.evaluate(EDGE) == wanted, name
        picture = Image.open(io.BytesIO(sheet.screenshot())).convert("RGB")
        assert picture.getpixel((5, picture.height // 2)) == rgb(colours["paper"]), name


LINES = line_chart([Line("a", [1, 2], [1, 2])], title="", x_label="x", y_label="y")
BARS = bar_chart({"full": 2.0, "LoRA": 1.0}, title="", y_label="bytes")
LONG = 40 * "as long as it can be "
QUESTION = Component("predict", {"question": LONG, "options": ["a"]}, alt="a", pictured=False)
SHOWN = {  # what a notebook has down its page → which of the two widths
    "a chart": (picture(LINES, "Lines.")._repr_html_(), ".lora-sheet", "wide"),
    "a chart of few names": (picture(BARS, "Bars.")._repr_html_(), ".lora-sheet", "narrow"),
    "a drawing": (DRAWING, ".lora-drawing", "narrow"),
    "an explorer": (memory_bars().html(), ".kit", "wide"),
    "a field": (message_box(lambda text: (text, 1), ["a"]).html(), ".kit", "wide"),
    "a question": (QUESTION.html(), ".kit", "wide"),
    "a verdict": (faced("right", "passed", LONG), "div", "wide"),
    "a note": (note_beneath(LONG), "p", "wide"),
    "two cards": (cards({"a": LONG, "b": LONG})._repr_html_(), "div", "wide"),
    "a card": (cards({"a": LONG})._repr_html_(), "div", "narrow"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_down_a_page_has_one_of_two_widths_and_begins_at_one_edge(
    name: str, page: Page
) -> None:
    html, selector, width = SHOWN[name]
    page.set_content(f"<!doctype html><body style='margin:0 20px'><section>{html}</section>")
    box = page.locator(f"section {selector}").first.bounding_box()
    assert box["width"] == pytest.approx(widths_px()[width], abs=1)
    assert box["x"] == 20
