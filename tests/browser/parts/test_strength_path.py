"""The drawing in the strength explorer: its side path is as thick as the slider's number says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page
from support.components import load, show

from lora_edu.widgets.strength_explorer import path_in_words, strength_explorer
from lora_edu.widgets.strength_record import STRENGTHS

EXPLORER = strength_explorer()
LAPTOP = {"width": 1366, "height": 768}
PARTS = (".empty", ".flow", ".inside", ".flow-head")
LOOK = """drawing => Object.fromEntries([...drawing.querySelectorAll("path, rect")].map(part => {
  const look = getComputedStyle(part);
  return [`.${part.classList[0]}`, { stroke: look.stroke, fill: look.fill,
    width: parseFloat(look.strokeWidth), dashed: look.strokeDasharray !== "none",
    opacity: Number(look.opacity), glides: look.transitionDuration !== "0s" }];
}))"""
# Where a text or a line is wider than its place: the number in its knob, all in the drawing.
CUT = """drawing => {
  const place = part => part.getBoundingClientRect();
  const inside = (small, large) => small.left >= large.left && small.right <= large.right
    && small.top >= large.top && small.bottom <= large.bottom;
  const cut = [...drawing.children].filter(part => !inside(place(part), place(drawing)));
  const [number, knob] = [".number", ".knob"].map(part => drawing.querySelector(part));
  if (!inside(place(number), place(knob))) cut.push(number);
  return cut.map(each => each.outerHTML);
}"""
COLOUR = """(kit, name) => {
  const part = document.createElement("i");
  part.style.color = `var(--${name})`;
  kit.append(part);
  const { color } = getComputedStyle(part);
  part.remove();
  return color;
}"""


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    page = browser.new_page()
    page.set_viewport_size(LAPTOP)
    page.emulate_media(reduced_motion="reduce")
    yield page
    page.close()


@pytest.fixture
def kit(page: Page) -> Locator:
    return show(page, EXPLORER)


def drag(kit: Locator, strength: float) -> Locator:
    """Puts the slider to a strength; returns the drawing."""
    kit.get_by_role("slider").fill(str(STRENGTHS.index(strength)))
    return kit.locator(".path")


def look(kit: Locator, strength: float) -> dict[str, dict]:
    return drag(kit, strength).evaluate(LOOK)


def test_at_0_the_side_path_is_dashed_and_pale_and_nothing_flows(kit: Locator) -> None:
    parts = look(kit, 0.0)
    assert (
        parts[".flow"]["width"] == parts[".inside"]["width"] == parts[".flow-head"]["opacity"] == 0
    )
    assert parts[".empty"]["dashed"] and parts[".empty"]["width"] == 1
    assert parts[".empty"]["stroke"] == kit.evaluate(COLOUR, "bar-frozen")
    assert kit.locator(".path .number").text_content() == "× 0.0"


def test_the_side_path_is_as_thick_as_the_strength_is_large(kit: Locator) -> None:
    trained = look(kit, 1.0)[".flow"]["width"]
    assert trained >= 2
    for strength in (0.1, 0.5, 1.0, 1.5, 2.0):
        parts = look(kit, strength)
        assert parts[".flow"]["width"] == pytest.approx(strength * trained)
        assert parts[".inside"]["width"] == 0
        assert parts[".flow-head"]["opacity"] == pytest.approx(min(1, strength))
        assert kit.locator(".path .number").text_content() == f"× {strength:.1f}"


def test_below_0_the_side_path_is_hollow_and_its_number_has_a_minus(kit: Locator) -> None:
    parts = look(kit, -1.0)
    assert 1 < parts[".inside"]["width"] < parts[".flow"]["width"] - 1  # two edges
    assert parts[".inside"]["stroke"] == parts[".flow-head"]["fill"]
    assert parts[".flow-head"]["fill"] != parts[".flow-head"]["stroke"]
    assert kit.locator(".path .number").text_content() == "× −1.0"
    half = look(kit, -0.5)
    for part in (".flow", ".inside"):
        assert half[part]["width"] == pytest.approx(parts[part]["width"] / 2)
    again = look(kit, 1.0)[".flow-head"]
    assert again["fill"] == again["stroke"]


def test_a_strength_changes_neither_w_nor_a_nor_b(kit: Locator) -> None:
    """What is dragged multiplies; all weights are those of the file."""
    seen = [
        {name: part for name, part in look(kit, strength).items() if name not in PARTS}
        for strength in STRENGTHS
    ]
    assert {".w", ".a-or-b", ".through", ".knob", ".sum"} <= set(seen[0])
    assert all(each == seen[0] for each in seen)


def test_the_drawing_says_its_state_in_words(page: Page) -> None:
    words = [path_in_words(strength) for strength in STRENGTHS]
    assert load(page, EXPLORER).each("pathInWords", [[each] for each in STRENGTHS]) == words
    kit = show(page, EXPLORER)
    for strength, end in (
        (-1.0, "multiplied by −1.0, so it is taken away."),
        (0.0, "multiplied by 0.0, so nothing is added: y is that of the base alone."),
        (1.0, "multiplied by 1.0, so it is added as it was trained."),
        (2.0, "multiplied by 2.0, so more is added than was trained."),
    ):
        said = drag(kit, strength).get_attribute("aria-label")
        assert said == path_in_words(strength) and said.endswith(end)
    assert kit.get_by_role("img", name=re.compile("frozen W")).count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_are_those_of_the_concepts(page: Page, theme: str) -> None:
    kit = show(page, EXPLORER, theme=theme)
    parts = look(kit, 1.0)
    lora, frozen = kit.evaluate(COLOUR, "lora"), kit.evaluate(COLOUR, "frozen")
    assert parts[".flow"]["stroke"] == parts[".knob"]["fill"] == lora
    assert parts[".a-or-b"]["fill"] == kit.evaluate(COLOUR, "bar-lora")
    assert parts[".w"]["stroke"] == parts[".through"]["stroke"] == frozen
    assert lora != frozen


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_it_glides_only_for_those_who_want_motion(page: Page, motion: str) -> None:
    page.emulate_media(reduced_motion=motion)
    parts = look(show(page, EXPLORER), 1.0)
    glides = motion == "no-preference"
    assert parts[".flow"]["glides"] == parts[".inside"]["glides"] == glides


def test_play_moves_the_drawing_with_the_slider(page: Page) -> None:
    page.emulate_media(reduced_motion="no-preference")
    page.clock.install()
    kit = show(page, EXPLORER)
    kit.get_by_role("button", name="Play").press("Enter")
    both = "kit => ['.number', 'output'].map(part => kit.querySelector(part).textContent)"
    seen = []
    for _ in range(50):
        number, dragged = kit.evaluate(both)  # at once: the clock goes on by itself, too
        assert number == f"× {dragged}"
        seen.append(number)
        page.clock.run_for(100)
    assert seen[-1] == "× 1.0" and len(set(seen)) > 5


# Its place


@pytest.mark.parametrize("width", [1366, 820, 734, 710])  # 734: the column of the site, on a laptop
def test_it_is_small_and_beside_the_slider(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 768})
    kit = show(page, EXPLORER)
    drawing, slider, all_of_it = (
        place.bounding_box() for place in (drag(kit, -1.0), kit.locator(".slider"), kit)
    )
    assert all_of_it["height"] <= 400
    assert 150 <= drawing["width"] <= 190
    assert 8 <= drawing["x"] - (slider["x"] + slider["width"]) <= 24
    assert drawing["y"] <= slider["y"] <= drawing["y"] + drawing["height"]
    assert kit.locator(".path").evaluate(CUT) == []
    marks = [mark.bounding_box() for mark in kit.locator(".marks span").all()]
    for left, right in zip(marks, marks[1:]):
        assert right["x"] - (left["x"] + left["width"]) >= 4


def test_on_a_phone_it_is_smaller_and_above_the_slider_where_no_hand_is(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 760})
    kit = show(page, EXPLORER)
    drawing = drag(kit, -1.0)
    box, slider = drawing.bounding_box(), kit.locator(".slider").bounding_box()
    assert 130 <= box["width"] <= 150
    assert box["x"] + box["width"] <= 390 - 14
    assert 0 <= slider["y"] - (box["y"] + box["height"]) <= 12
    assert drawing.evaluate(CUT) == []
    assert slider["y"] + slider["height"] - kit.locator(".said").bounding_box()["y"] <= 380


@pytest.mark.parametrize(
    ("width", "drawn", "beside"),
    [(820, True, False), (734, True, False), (680, False, True), (390, True, True)],
)
def test_the_number_that_is_dragged_is_seen_at_every_width(
    page: Page, width: int, drawn: bool, beside: bool
) -> None:
    page.set_viewport_size({"width": width, "height": 760})
    kit = show(page, EXPLORER)
    drag(kit, 0.5)
    assert kit.locator(".path").is_visible() == drawn
    assert kit.locator(".say output").is_visible() == beside
    assert kit.locator(".say output").inner_text() == "0.5"


@pytest.mark.parametrize("width", [820, 734])
def test_a_note_of_two_lines_moves_nothing(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 760})
    kit = show(page, EXPLORER)
    note = kit.get_by_role("status")
    heights = {}
    for words in ("Short.", "The model is answering: 0 of 31 strengths. The first takes seconds."):
        note.evaluate("(note, words) => note.replaceChildren(words)", words)
        heights[note.bounding_box()["height"]] = kit.bounding_box()["height"]
    assert len(heights) == 2  # of the note: one line, and two
    assert len(set(heights.values())) == 1
