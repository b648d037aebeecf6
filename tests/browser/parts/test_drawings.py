"""In a real browser no words of a drawing touch a line, other words or the sheet's edge."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page

from lora_edu.plots import drawing
from lora_edu.plots.drawings import NAMES

# Boxes of all words; of lines a box for each straight piece, of areas one for each edge.
BOXES = """() => {
  const svg = document.querySelector("svg"), words = [], lines = [];
  for (const text of svg.querySelectorAll("text")) {
    const { x, y, width, height } = text.getBBox(), slack = 0.18 * height; // a font's empty margins
    words.push([text.textContent, x, y + slack, x + width, y + height - slack]);
  }
  for (const path of svg.querySelectorAll("path")) {
    const length = path.getTotalLength();
    for (let at = 0; at < length; at += 2) {
      const { x, y } = path.getPointAtLength(at);
      lines.push([x - 1, y - 1, x + 1, y + 1]);
    }
  }
  for (const rect of [...svg.querySelectorAll("rect")].slice(1)) {
    const { x, y, width, height } = rect.getBBox(), a = x + width, b = y + height;
    lines.push([x, y, a, y], [x, b, a, b], [x, y, x, b], [a, y, a, b]);
  }
  const { width, height } = svg.viewBox.baseVal;
  return { words, lines, width, height };
}"""
CLEAR = 2  # units between words and a line
MARGIN = 12  # from words to the sheet's edge


@pytest.fixture(scope="module")
def page(browser: BrowserContext) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def meet(one: list[float], other: list[float], clear: float = 0) -> bool:
    """Whether two boxes (left, top, right, bottom) come nearer than `clear`."""
    return (
        one[0] - clear < other[2]
        and other[0] < one[2] + clear
        and one[1] - clear < other[3]
        and other[1] < one[3] + clear
    )


@pytest.mark.parametrize("name", NAMES)
def test_words_keep_clear_of_lines_edges_and_each_other(name: str, page: Page) -> None:
    page.set_content(drawing(name).svg)
    found = page.evaluate(BOXES)
    for index, (words, *box) in enumerate(found["words"]):
        assert box[0] >= MARGIN and box[2] <= found["width"] - MARGIN, words
        assert box[1] >= MARGIN and box[3] <= found["height"] - MARGIN, words
        for other, *its in found["words"][index + 1 :]:
            assert not meet(box, its), f"{words!r} meets {other!r}"
        for line in found["lines"]:
            assert not meet(box, line, CLEAR), f"{words!r} touches a line at {line}"
