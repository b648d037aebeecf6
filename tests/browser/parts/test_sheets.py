"""Explorers, figures and drawings are on one kind of sheet, on light pages and on dark ones."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page

from lora_edu.plots import bar_chart, drawing, image_tag, png
from lora_edu.plots.sheet import palettes, radius_px
from lora_edu.widgets.memory_bars import memory_bars

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
