"""The names in the rank explorer's chart: none crosses a line, a mark or another name."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page
from support.components import show

from lora_edu.budget import MODEL_SHAPES, lora_parameters
from lora_edu.widgets import predict
from lora_edu.widgets.component import Component
from lora_edu.widgets.rank_explorer import ExplorerState, rank_explorer

#: What a learner may say, as a multiple of the right answer; some of it is near a line.
TIMES = (1e-4, 0.03, 0.3, 0.7, 1, 1.4, 3, 20, 48, 60, 200, 1e6)
# Names without a font's empty margins; lines but for the grid and the rank's own, which moves under
# them; marks.
SEEN = """picture => {
  const box = part => {
    const { x, y, width, height } = part.getBBox();
    return [x, y, x + width, y + height];
  };
  const names = [...picture.querySelectorAll("text")].map(text => {
    const [left, top, right, bottom] = box(text), slack = 0.2 * (bottom - top);
    return [text.textContent, left, top + slack, right, bottom - slack];
  });
  const ends = line => ["x1", "y1", "x2", "y2"].map(end => Number(line.getAttribute(end)));
  const lines = [...picture.querySelectorAll("line:not(.grid, .rank)")].map(ends);
  const marks = [...picture.querySelectorAll("path, circle:not(.rank)")].map(box);
  return { names, lines, marks };
}"""


@pytest.fixture(scope="module")
def page(browser: BrowserContext) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def asked(model: str, times: float) -> Component:
    state = ExplorerState(model, rank=8)
    question = predict("How many?")
    right = lora_parameters(MODEL_SHAPES[model], state.rank, state.targets)
    question.say(f"{times * right:.0f}")
    return rank_explorer(state, prediction=question)


def points(line: list[float]) -> Iterator[tuple[float, float]]:
    x1, y1, x2, y2 = line
    for part in range(201):
        yield x1 + (x2 - x1) * part / 200, y1 + (y2 - y1) * part / 200


def crossed(seen: dict) -> Iterator[str]:
    for (one, *a), (other, *b) in itertools.combinations(seen["names"], 2):
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]:
            yield f"{one!r} meets {other!r}"
    for name, left, top, right, bottom in seen["names"]:
        for line in seen["lines"]:
            if any(left < x < right and top < y < bottom for x, y in points(line)):
                yield f"{name!r} is crossed by a line at {line}"
        for mark in seen["marks"]:
            if left < mark[2] and mark[0] < right and top < mark[3] and mark[1] < bottom:
                yield f"{name!r} covers a mark at {mark}"


@pytest.mark.parametrize("width", [390, 736, 820])
def test_no_name_crosses_a_line_a_mark_or_another_name(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    wrong = []
    for model, times in itertools.product(MODEL_SHAPES, TIMES):
        seen = show(page, asked(model, times)).locator("svg.chart").evaluate(SEEN)
        assert any(name.startswith(("your guess: ", "you: ")) for name, *_ in seen["names"])
        wrong += [f"{model}, {times} times: {each}" for each in crossed(seen)]
    assert wrong == []
