"""What an explorer says in sentences can be read: large enough, and dark or light enough."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page
from support.components import CONTRAST, show

from scripts.component_pictures import MAKERS

SMALLEST_PX, LEAST_CONTRAST = 14, 4.5  # WCAG 2.2, 1.4.3
WORDS = 8  # from so many on it is a sentence and not a label
SENTENCES = """(kit, words) => {
  const paper = part => {
    for (let at = part; at; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if (backgroundColor !== "rgba(0, 0, 0, 0)") return backgroundColor;
    }
  };
  return [...kit.querySelectorAll("*")].filter(part => {
    const own = [...part.childNodes].filter(node => node.nodeType === Node.TEXT_NODE);
    const said = own.map(node => node.textContent).join(" ").trim();
    return said.split(/\\s+/).length >= words && part.checkVisibility({ visibilityProperty: true })
      && !part.closest("svg, select, .ghost");
  }).map(part => {
    const { fontSize, color } = getComputedStyle(part);
    return [part.textContent.trim(), parseFloat(fontSize), color, paper(part)];
  });
}"""


@pytest.fixture(scope="module")
def page(browser: BrowserContext) -> Iterator[Page]:
    page = browser.new_page()
    page.set_viewport_size({"width": 820, "height": 800})
    yield page
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", MAKERS)
def test_sentences_are_as_large_and_as_clear_as_the_page_s(
    name: str, theme: str, page: Page
) -> None:
    sentences = show(page, MAKERS[name](), theme=theme).evaluate(SENTENCES, WORDS)
    assert sentences
    for said, size, colour, paper in sentences:
        assert size >= SMALLEST_PX, said
        assert page.evaluate(f"([a, b]) => ({CONTRAST})(a, b)", [colour, paper]) >= LEAST_CONTRAST
