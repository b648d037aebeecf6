"""In a real browser no words of a drawing touch a line, other words or the sheet's edge."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page

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


# What a part's line says, and whether the part is lit up.
SAID = """part => [getComputedStyle(part.nextElementSibling, "::after").content,
  getComputedStyle(part).boxShadow !== "none"]"""
LINE = """part => { const { top, bottom } = part.nextElementSibling.getBoundingClientRect();
  return [top, bottom]; }"""
HINT = """all => getComputedStyle(all, "::after").content"""


def shown(name: str, page: Page, *, width: int = 900, styles: bool = True) -> Locator:
    page.set_viewport_size({"width": width, "height": 900})
    html = drawing(name)._repr_mimebundle_()[0]["text/html"]
    if not styles:
        html = re.sub("<style>.*?</style>", "", html, flags=re.DOTALL)
    page.set_content(f"<!doctype html><body data-theme=light>{html}<p>What comes next.</p>")
    page.add_style_tag(content="body > :last-child, .lora-parts { margin-bottom: 0 }")  # as Lab's
    page.mouse.move(899, 899)
    return page.locator(".lora-parts")


@pytest.mark.parametrize("name", NAMES)
def test_a_part_lights_up_and_says_what_it_is_by_mouse_and_by_key(name: str, page: Page) -> None:
    whole = shown(name, page)
    parts = whole.locator("span")
    assert parts.count() == len(drawing(name).parts)
    assert "Point at a part" in whole.evaluate(HINT)
    for part, told in zip(parts.all(), drawing(name).parts, strict=True):
        assert part.evaluate(SAID) == ["none", False]
        assert part.get_attribute("aria-label") == told.words
        part.hover()
        assert part.evaluate(SAID) == [f'"{told.words}"', True]
        assert whole.evaluate(HINT) == "none"
        page.mouse.move(899, 899)
    for part, told in zip(parts.all(), drawing(name).parts, strict=True):
        page.keyboard.press("Tab")
        assert part.evaluate("part => part === document.activeElement")
        assert part.evaluate(SAID) == [f'"{told.words}"', True]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [360, 900])
def test_what_a_part_says_has_room_and_moves_nothing(name: str, width: int, page: Page) -> None:
    whole = shown(name, page, width=width)
    below = page.locator("p").bounding_box()["y"]
    box = whole.bounding_box()
    for part in whole.locator("span").all():
        place = part.bounding_box()
        assert box["x"] <= place["x"] and place["x"] + place["width"] <= box["x"] + box["width"]
        part.focus()
        top, bottom = part.evaluate(LINE)
        assert box["y"] <= top < bottom <= whole.locator("img").bounding_box()["y"]
        assert page.locator("p").bounding_box()["y"] == below


@pytest.mark.parametrize("name", NAMES)
def test_where_no_style_is_allowed_the_picture_alone_is_left(name: str, page: Page) -> None:
    whole = shown(name, page, styles=False)
    assert whole.inner_text() == "" and whole.locator("img").is_visible()
    assert {tuple(part.bounding_box().values())[2] for part in whole.locator("span").all()} == {0}
