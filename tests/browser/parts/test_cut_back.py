"""The cut put back, in a page: the package's words at every rank, and a measurement on request."""

from __future__ import annotations

import itertools

import pytest
from playwright.sync_api import Locator, Page
from support.components import load, show

from lora_edu.widgets.component import Component
from lora_edu.widgets.cut_back import (
    KINDS,
    CutBackState,
    cut_back,
    describe,
    explain,
    finding,
    recorded,
)
from lora_edu.widgets.units import whole_percent

DATA = recorded()
# A kernel's side of the bridge: it answers, perhaps with an error, when the test says `release()`.
BRIDGE = """([key, reply]) => {
  const hearers = new Set();
  globalThis.asked = [];
  globalThis.loraBridges = new Map([[key, {
    on: (_, hear) => hearers.add(hear),
    off: (_, hear) => hearers.delete(hear),
    send: ({ id, request }) => {
      asked.push(request);
      globalThis.release = () => hearers.forEach(hear => hear({ id, ...reply }));
    },
  }]]);
}"""


def board() -> Component:
    return cut_back(lambda rank: 0.5)


def press(page: Page, shown: Locator, reply: dict) -> None:
    """Runs live at the third rank, 4, with this reply."""
    page.evaluate(BRIDGE, [board().key, reply])
    for _ in range(2):
        shown.get_by_role("slider").press("ArrowRight")
    shown.get_by_role("button", name="Run it live").press("Enter")


def test_every_state_has_the_words_of_the_package(page: Page) -> None:
    lives = [{}, {1: 0.84661}, {rank: (100 + rank) / 515 for rank in DATA.ranks}]
    states = [CutBackState(*each) for each in itertools.product(DATA.ranks, lives, (False, True))]
    said = load(page, board()).answers([vars(state) for state in states])
    for state, words in zip(states, said, strict=True):
        assert words["finding"] == finding(state, DATA)
        assert words["explain"] == explain(state, DATA)
        assert words["describe"] == describe(state, DATA)


def test_a_measurement_becomes_a_star_with_its_own_label(page: Page) -> None:
    shown = show(page, board())
    press(page, shown, {"value": 0.8512})
    status, button = shown.locator("div[role=status]"), shown.get_by_role("button")
    assert "Running: ΔW is cut to rank 4" in status.inner_text()
    assert "up to a minute" in status.inner_text()
    assert button.is_disabled()
    page.evaluate("release()")
    shown.get_by_text("measured now, seed 0: 85.1\u00a0%", exact=True).wait_for()
    assert page.evaluate("asked") == [4]
    assert shown.locator(".star").count() == 1
    assert status.inner_text() == ""
    assert button.is_enabled()
    shown.get_by_role("slider").press("ArrowRight")
    assert shown.locator(".star").count() == 1  # it stays
    assert shown.get_by_text("measured now").count() == 0


def test_an_error_is_told_in_words_until_the_next_try(page: Page) -> None:
    shown = show(page, board())
    press(page, shown, {"error": "ValueError: no <model>"})
    alert = shown.locator("[role=alert]")  # also where it says nothing, and is not shown
    page.evaluate("release()")
    page.wait_for_function("element => element.innerText", arg=alert.element_handle())
    assert alert.inner_text() == "That did not work. ValueError: no <model>"
    assert shown.get_by_role("button").is_enabled()
    page.evaluate(BRIDGE, [board().key, {"value": 0.5}])
    shown.get_by_role("button").press("Enter")
    page.evaluate("release()")
    shown.locator(".star").wait_for()
    assert alert.inner_text() == ""


def test_without_a_kernel_the_button_says_what_to_do(page: Page) -> None:
    shown = show(page, board())
    shown.get_by_role("button").click()
    assert "Run its cell, then ask again." in shown.get_by_role("alert").inner_text()


CURVES = ["whole ΔW", *KINDS.values(), "rank 0"]
LATER = ("ΔW shrunk", "random", "rank 0")
AT_FIRST = tuple(name for name in CURVES if not name.startswith(LATER))
MEANS = [DATA.whole, *(DATA.accuracy[kind][DATA.ranks[0]] for kind in KINDS), DATA.none]
VALUES = [whole_percent(mean) for mean in MEANS]
STROKES = """all => all.map(each => {
  const { stroke, strokeDasharray, strokeWidth } = getComputedStyle(each);
  return [stroke, strokeDasharray, strokeWidth].join(" ");
})"""


# Names as boxes without a font's empty margins, and the points of the curves that are within one.
NAMES = """picture => {
  const names = [...picture.querySelectorAll("text:not(.told)")].map(text => {
    const { x, y, width, height } = text.getBBox(), slack = 0.2 * height;
    return [text.textContent, x, y + slack, x + width, y + height - slack];
  });
  const covered = new Set();
  for (const curve of picture.querySelectorAll("path.curve"))
    for (let at = 0; at < curve.getTotalLength(); at += 2) {
      const { x, y } = curve.getPointAtLength(at);
      for (const [name, left, top, right, bottom] of names)
        if (x > left && x < right && y > top && y < bottom) covered.add(name);
    }
  return [names, [...covered]];
}"""


def plain(texts: list[str]) -> list[str]:
    """Texts with one ordinary space between words."""
    return [" ".join(text.split()) for text in texts]


def with_all(page: Page) -> Locator:
    """Shows the explorer with all that there is to compare with."""
    shown = show(page, board())
    shown.get_by_label("more curves").check()
    return shown


@pytest.mark.parametrize("width", [651, 736, 820])
def test_no_name_covers_a_curve_or_another_name(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    names, covered = with_all(page).locator(".chart svg").evaluate(NAMES)
    assert {*CURVES} <= {name for name, *_ in names}
    assert covered == []
    for (one, *a), (other, *b) in itertools.combinations(names, 2):
        apart = a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]
        assert apart, f"{one!r} meets {other!r}"
    assert max(right for _, _, _, right, _ in names) <= width - 28


def test_a_name_has_its_curves_colour_and_a_piece_of_its_stroke(page: Page) -> None:
    shown = with_all(page)
    drawn = shown.locator("path.curve").evaluate_all(STROKES)
    assert shown.locator("line.curve").evaluate_all(STROKES) == drawn[:-1]  # all but the energy
    for kind in ("cut", "lora", "subspace"):
        curve, name = shown.locator(f"path.{kind}"), shown.locator(f"text.{kind}")
        colour = curve.evaluate("curve => getComputedStyle(curve).stroke")
        assert name.evaluate("name => getComputedStyle(name).fill") == colour


def test_a_narrow_page_has_the_names_beneath_the_chart(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    shown = show(page, board())
    keys = shown.locator(".keys > span")
    told = [f"{name} {value}" for name, value in zip(CURVES, VALUES, strict=True)]
    assert plain(keys.all_inner_texts()) == [each for each in told if each.startswith(AT_FIRST)]
    shown.get_by_label("more curves").check()
    assert plain(keys.all_inner_texts()) == told
    drawn = page.locator(".chart path.curve").evaluate_all(STROKES)
    assert keys.locator("line").evaluate_all(STROKES) == drawn[:-1]


def test_no_two_curves_are_drawn_alike(page: Page) -> None:
    strokes = with_all(page).locator("path.curve").evaluate_all(STROKES)
    assert len(set(strokes[:-1])) == len(CURVES)
    colours = [stroke.partition(")")[0] for stroke in strokes[:-1]]
    assert len(set(colours)) == len(CURVES) - 1  # ΔW, cut and shrunk, has one


def test_each_name_has_what_its_curve_has_at_the_rank(page: Page) -> None:
    assert plain(with_all(page).locator("text.value").all_text_contents()) == VALUES


def test_what_is_to_compare_with_comes_when_it_is_asked_for(page: Page) -> None:
    shown = show(page, board())
    assert shown.locator("path.curve").count() == len(AT_FIRST) + 1  # and the energy
    names = shown.locator(".chart text").all_inner_texts()
    assert not {"rank 0", "random update"} & {*names}


def test_picture_controls_and_words_are_seen_together(page: Page) -> None:
    shown = show(page, board())
    press(page, shown, {"value": 0.8512})
    assert shown.bounding_box()["height"] <= 400
    page.evaluate("release()")
    shown.locator(".star").wait_for()
    assert shown.bounding_box()["height"] <= 400
    assert shown.get_by_role("slider").bounding_box()["width"] >= 300


def test_a_phone_shows_it_without_sideways_scrolling(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    shown = show(page, board())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert shown.get_by_text("energy that the cut keeps").is_visible()
