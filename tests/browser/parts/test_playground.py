"""The playground in a page: its words and lines are the package's, in every state it can be in."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from playwright.sync_api import Locator, Page
from support.components import load, show

from lora_edu.widgets.playground import (
    DEGREES,
    POINTS_DEGREES,
    STRENGTHS,
    PlaygroundState,
    W,
    describe,
    direction,
    explain,
    finding,
    playground,
)

STATES = [PlaygroundState(*each) for each in itertools.product(DEGREES, DEGREES, STRENGTHS)]


def test_every_state_has_the_words_and_the_moves_of_the_package(page: Page) -> None:
    said = load(page, playground()).answers([vars(state) for state in STATES])
    assert len(said) == 24 * 24 * 13
    for state, words in zip(STATES, said, strict=True):
        assert words["finding"] == finding(state)
        assert words["explain"] == explain(state)
        assert words["describe"] == describe(state)
    weight = torch.tensor(W, dtype=torch.float64)
    points = torch.tensor([direction(each) for each in POINTS_DEGREES], dtype=torch.float64)
    updates = torch.tensor([state.update for state in STATES], dtype=torch.float64)
    before = (points @ weight).expand(len(STATES), -1, -1)
    ways = torch.stack([before, points @ (weight + updates)], dim=2)  # state, point, end, number
    drawn = torch.tensor([words["moves"] for words in said], dtype=torch.float64)
    torch.testing.assert_close(drawn, ways)


# How far what is drawn in each plane is from the plane's edges, at the nearest; in its own units.
FREE = """shown => [...shown.querySelectorAll(".pair svg")].map(plane => {
  const { width, height } = plane.viewBox.baseVal, free = [];
  for (const part of plane.querySelectorAll(".net, circle:not(.reach), .move, .arrow")) {
    const { x, y, width: w, height: h } = part.getBBox();
    free.push(x, y, width - x - w, height - y - h);
  }
  return Math.min(...free);
})"""


def reach(state: PlaygroundState) -> float:
    """How far from the middle the circle's image goes, to a side or up."""
    return (torch.tensor(W) + torch.tensor(state.update)).norm(dim=0).max().item()


def test_no_grid_is_cut_by_its_frame_and_the_left_one_fills_half_of_it(page: Page) -> None:
    far = sorted(STATES, key=reach)[-8:]
    assert reach(far[0]) > 2.5
    for state in (PlaygroundState(), *far):
        shown = show(page, playground(state))
        assert min(shown.evaluate(FREE)) >= 1, state
        wide = shown.evaluate("e => e.querySelector('.pair .net').getBBox().width")
        assert wide >= 236 / 2


def test_points_have_the_colours_that_words_give_them(page: Page) -> None:
    shown = show(page, playground())
    colour = "(e, c) => { e.style.color = `var(--${c})`; return getComputedStyle(e).color; }"
    for name, points in {"frozen": ".before", "lora": ".after"}.items():
        found = shown.locator(f".pair svg {points}").all()
        assert len(found) == (8 if name == "frozen" else 6)  # two stay, and are open
        for each in found:
            fill = each.evaluate("e => getComputedStyle(e).fill")
            assert fill == each.evaluate(colour, name)


def drag(
    page: Page,
    plane: Locator,
    start: tuple[float, float],
    end: tuple[float, float],
    bound: float = 2.8,
) -> None:
    """Moves the pointer, pressed, between two places given in the plane's own numbers."""
    frame = plane.bounding_box()

    def place(x: float, y: float) -> tuple[float, float]:
        unit = frame["width"] / (2 * bound)
        return frame["x"] + unit * (bound + x), frame["y"] + unit * (bound - y)

    page.mouse.move(*place(*start))
    page.mouse.down()
    page.mouse.move(*place(*end), steps=5)
    page.mouse.up()


def values(shown: Locator) -> list[str]:
    return shown.locator("output").all_inner_texts()


def test_arrows_are_dragged_by_their_tips(page: Page) -> None:
    shown = show(page, playground())
    inputs, outputs = shown.locator(".pair svg").all()
    tip = 1.42 * math.cos(math.radians(45))
    drag(page, inputs, (tip, tip), (-1.0, 0.05), bound=1.7)
    assert values(shown) == ["180°", "90°", "1"]
    drag(page, outputs, (0, 1), (0, -1.6))  # through the origin and out on the other side
    assert values(shown) == ["180°", "270°", "1.5"]
    drag(page, outputs, (0, -1.5), (0.02, 0.03))
    assert values(shown) == ["180°", "270°", "0"]  # where B points is kept
    assert "nothing moves" in shown.inner_text()


def test_an_arrow_written_backwards_stays_under_the_pointer(page: Page) -> None:
    shown = show(page, playground(PlaygroundState(45, 90, -1.0)))
    outputs = shown.locator(".pair svg").last
    drag(page, outputs, (0, -1), (1.5, 0))
    assert values(shown) == ["45°", "180°", "−1.5"]  # −1.5 times the direction 180° points right


def test_the_keyboard_reaches_all_that_the_pointer_can(page: Page) -> None:
    shown = show(page, playground())
    for name in ("A reads", "B writes", "multiplier alpha"):
        before = shown.inner_text()
        shown.get_by_label(name).press("ArrowRight")
        assert shown.inner_text() != before, name
    assert values(shown) == ["60°", "105°", "1.25"]


def test_picture_controls_and_words_are_seen_together(page: Page) -> None:
    shown = show(page, playground())
    assert shown.bounding_box()["height"] <= 400
    assert all(each.bounding_box()["width"] >= 300 for each in shown.get_by_role("slider").all())


# Sets every pair of directions at the strength with the longest number; returns the formula's
# heights, and the most by which it passes the column that it is in.
EVERY_FORMULA = """shown => {
  const [reads, writes, strength] = shown.querySelectorAll("[type=range]");
  const formula = shown.querySelector(".product"), column = formula.parentNode;
  const set = (field, value) => { field.value = value; field.dispatchEvent(new Event("input")); };
  const heights = new Set(), beyond = [];
  set(strength, 1);
  for (let from = 0; from < 24; from++) {
    set(reads, from);
    for (let to = 0; to < 24; to++) {
      set(writes, to);
      heights.add(formula.offsetHeight);
      const ends = [formula.lastChild, column].map(part => part.getBoundingClientRect().right);
      beyond.push(ends[0] - ends[1]);
    }
  }
  return [[...heights], Math.max(...beyond)];
}"""


@pytest.mark.parametrize("width", [358, 736, 820])
def test_the_formula_stays_on_its_line(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    heights, beyond = show(page, playground()).evaluate(EVERY_FORMULA)
    assert len(heights) == 1 and beyond <= 0


def test_a_phone_shows_it_without_sideways_scrolling(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    show(page, playground())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
