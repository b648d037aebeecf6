"""The seed explorer in a page: the package's words in every state, its draws, and how it looks."""

from __future__ import annotations

from itertools import combinations

import pytest
from playwright.sync_api import Locator, Page
from support.components import CONTRAST, load, show

from lora_edu.widgets.seed_explorer import (
    SeedState,
    beside,
    describe,
    finding,
    first_seeds,
    seed_explorer,
    studies,
    study,
    tally,
)
from lora_edu.widgets.seed_record import PAIRS, SETS, recorded

WIDTHS = [736, 820]  # in the site's column and in JupyterLab, on a screen of 1366 × 768
OURS, REAL = SETS
DRAWN = [drawn for size in range(1, 6) for drawn in combinations(range(5), size)]
ALL = [SeedState(name, pair, drawn) for name in SETS for pair in PAIRS for drawn in DRAWN]
WIDE = SeedState(OURS, PAIRS[1], (0, 2))  # an interval that leaves the chart at both ends


def test_every_state_has_the_words_and_numbers_of_the_package(page: Page) -> None:
    said = load(page, seed_explorer()).answers([vars(state) for state in ALL])
    for state, answer in zip(ALL, said, strict=True):
        words = finding(state), beside(state), tally(state), describe(state)
        assert tuple(answer[name] for name in ("finding", "beside", "tally", "describe")) == words
        found = [answer["found"][name] for name in ("value", "low", "high")]
        assert found == pytest.approx(list(study(state)), abs=1e-9)
        for size, all_of_it in enumerate(answer["sizes"], 1):
            counted = {tuple(each["drawn"]): each["said"] for each in all_of_it}
            assert counted == studies(state, size)


def title(shown: Locator) -> str:
    return shown.locator(".finding").inner_text()


def press(shown: Locator, name: str) -> None:
    shown.get_by_role("radio", name=name, exact=True).click()


def test_in_the_first_explorer_there_is_nothing_to_choose_but_seeds(page: Page) -> None:
    shown = show(page, first_seeds())
    assert shown.get_by_role("radio").all_text_contents() == ["1", "2", "3", "4", "5"]
    press(shown, "5")
    everything = SeedState(drawn=(0, 1, 2, 3, 4))
    assert title(shown) == finding(everything)
    assert shown.locator(".tally").inner_text() == tally(everything)


def test_so_many_draws_show_every_study_of_a_size_once(page: Page) -> None:
    shown = show(page, seed_explorer())
    press(shown, "2")
    draw = shown.get_by_role("button", name="Another draw")
    seen = [title(shown)]
    for _ in range(9):
        draw.press("Enter")
        seen.append(title(shown))
    pairs = combinations(range(5), 2)
    assert sorted(seen) == sorted(finding(SeedState(drawn=drawn)) for drawn in pairs)
    draw.press("Enter")
    assert title(shown) != seen[-1]


def test_of_all_seeds_there_is_one_study_and_a_draw_says_so(page: Page) -> None:
    shown = show(page, seed_explorer())
    draw, said = shown.get_by_role("button", name="Another draw"), shown.get_by_role("status")
    press(shown, "5")
    assert title(shown) == finding(SeedState(drawn=(0, 1, 2, 3, 4))) and said.inner_text() == ""
    draw.press("Enter")
    assert said.inner_text() == "There is only one study of all 5."
    assert title(shown) == finding(SeedState(drawn=(0, 1, 2, 3, 4)))
    press(shown, "4")
    assert said.inner_text() == ""


def test_another_comparison_keeps_the_seeds_that_were_drawn(page: Page) -> None:
    shown = show(page, seed_explorer(SeedState(drawn=(1, 3))))
    for messages in SETS:
        press(shown, messages)
        for pair in PAIRS:
            press(shown, " against ".join(pair))
            state = SeedState(messages, pair, (1, 3))
            assert title(shown) == finding(state)
            assert shown.locator(".tally").inner_text() == tally(state)
            assert shown.locator(".beside").inner_text() == beside(state)
            assert shown.get_by_role("img").first.get_attribute("aria-label") == describe(state)


def test_a_square_for_each_study_says_what_it_says_and_the_drawn_one_is_framed(page: Page) -> None:
    for state in (SeedState(), WIDE):
        shown = show(page, seed_explorer(state))
        letters = {name: name[0].upper() for name in state.pair}
        told = [letters.get(said, "?") for n in range(1, 6) for said in studies(state, n).values()]
        seen = shown.locator(".letter").all_text_contents()
        assert sorted(seen) == sorted(told) and shown.locator(".square").count() == 31
        frame = shown.locator(".here").bounding_box()
        boxes = [square.bounding_box() for square in shown.locator(".square").all()]
        inside = [
            letter
            for letter, box in zip(seen, boxes, strict=True)
            if frame["x"] <= box["x"] < frame["x"] + 4 and frame["y"] <= box["y"] < frame["y"] + 4
        ]
        assert inside == [letters.get(studies(state, len(state.drawn))[state.drawn], "?")]


# The axis: its numbers, and where each is.
AXIS = """picture => [...picture.querySelectorAll("text.quiet")]
  .filter(each => /^[−+]?[0-9]+$/.test(each.textContent))
  .map(each => [Number(each.textContent.replace("−", "-")), Number(each.getAttribute("x"))])"""


def test_points_and_intervals_are_where_the_axis_has_them(page: Page) -> None:
    state = SeedState(REAL, PAIRS[0], (0, 1))
    picture = show(page, seed_explorer(state)).get_by_role("img").first
    (a, x_a), *_, (b, x_b) = sorted(picture.evaluate(AXIS))
    x = {points: x_a + (points - a) * (x_b - x_a) / (b - a) for points in [*study(state)]}
    right = recorded()[REAL].right
    each = [100 * (right["full"][i] - right["LoRA"][i]) / recorded()[REAL].messages for i in (0, 1)]
    dots = picture.locator(".dot").evaluate_all("all => all.map(dot => +dot.getAttribute('cx'))")
    assert dots == pytest.approx([x_a + (d - a) * (x_b - x_a) / (b - a) for d in each], abs=0.01)
    whisker = picture.locator("line.whisker.study").first
    ends = [float(whisker.get_attribute(name)) for name in ("x1", "x2")]
    assert ends == pytest.approx([x[points] for points in study(state)[1:]], abs=0.01)
    assert picture.locator(".ring").count() == 3
    assert picture.locator(".beyond").count() == 0
    assert show(page, seed_explorer(WIDE)).locator(".beyond").count() == 2
    alone = show(page, seed_explorer(SeedState()))
    assert alone.locator("line.whisker.study").count() == 0  # one seed has no interval
    assert alone.locator("line.whisker.record").count() == 3


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_makes_it_higher_or_moves_what_is_below(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    shown = show(page, seed_explorer())
    heights = set()
    for messages in SETS:
        press(shown, messages)
        for pair in PAIRS:
            press(shown, " against ".join(pair))
            for size in range(1, 6):
                press(shown, str(size))
                for _ in range(len(studies(SeedState(), size))):
                    heights.add(shown.bounding_box()["height"])
                    shown.get_by_role("button", name="Another draw").press("Enter")
                heights.add(shown.bounding_box()["height"])
    assert len(heights) == 1 and max(heights) <= 400


def test_on_a_phone_a_draw_does_not_move_its_button(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 900})
    shown = show(page, seed_explorer(SeedState(OURS, PAIRS[1], (0, 1))))
    draw = shown.get_by_role("button", name="Another draw")
    tops = set()
    for _ in range(10):
        draw.press("Enter")
        tops.add(draw.bounding_box()["y"])
    assert len(tops) == 1


BOXES = """picture => [...picture.querySelectorAll("text")].map(text => {
  const { x, y, width, height } = text.getBBox(), slack = 0.2 * height;
  return [text.textContent, x, y + slack, x + width, y + height - slack];
})"""


@pytest.mark.parametrize("width", [358, 390, 560, 651, *WIDTHS])
def test_nothing_is_cut_off_and_no_words_meet(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    few = DRAWN[0], DRAWN[6], DRAWN[-1]  # of one seed, of two that differ much, of all
    for state in [SeedState(m, pair, drawn) for m in SETS for pair in PAIRS for drawn in few]:
        shown = show(page, seed_explorer(state))
        wide, there = shown.evaluate("box => [box.scrollWidth, box.clientWidth]")
        assert wide <= there
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for picture in shown.get_by_role("img").all():
            boxes = picture.evaluate(BOXES)
            room = float(picture.get_attribute("width"))
            for (one, *a), (other, *b) in combinations(boxes, 2):
                apart = a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]
                assert apart, f"{one!r} meets {other!r} at {state}"
            assert all(left >= -0.5 and right <= room + 0.5 for _, left, _, right, _ in boxes)


def test_every_control_has_a_name_and_is_reached_by_the_tab_key(page: Page) -> None:
    box = show(page, seed_explorer())
    names = ["full against LoRA", "real messages", "1", "Another draw"]
    for name in names:
        page.keyboard.press("Tab")
        assert box.locator(":focus").inner_text() == name
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    assert box.locator(":focus").inner_text() == "2"
    assert title(box).startswith("A study with seeds")


# Of ink and of what is behind it: the square of a letter, or the explorer's paper.
STANDING_OUT = f"""all => all.map(each => {{
  const square = each.matches(".letter:not(.level)") && each.previousElementSibling;
  const page = getComputedStyle(each.closest(".kit")).backgroundColor;
  const paper = square ? getComputedStyle(square).fill : page;
  return ({CONTRAST})(paper, getComputedStyle(each)[each.matches("text") ? "fill" : "color"]);
}})"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_and_letters_stand_out(theme: str, page: Page) -> None:
    for state in (SeedState(), WIDE):
        words = show(page, seed_explorer(state), theme=theme).locator("text, p, button.draw")
        ratios = words.evaluate_all(STANDING_OUT)
        assert len(ratios) > 60 and min(ratios) >= 4.5


@pytest.mark.parametrize("width", [390, *WIDTHS])
def test_the_key_has_every_letter_of_the_squares_and_the_marks_of_the_chart(
    width: int, page: Page
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for pair in PAIRS:
        shown = show(page, seed_explorer(SeedState(REAL, pair, (0, 1))))
        key = shown.locator(".key > span").all_text_contents()
        assert [(said[0], said[1:]) for said in key] == [
            *((name[0].upper(), name) for name in pair),
            ("?", "cannot tell"),
        ]
        letters = shown.locator("text.letter").all_text_contents()
        assert set(letters) <= {said[0] for said in key}
        marks = shown.locator("svg text", has_text="● in this study, ◌ not in it")
        ends = [each.bounding_box() for each in (marks, shown.get_by_role("img").first)]
        assert ends[0]["x"] + ends[0]["width"] <= ends[1]["x"] + ends[1]["width"]
