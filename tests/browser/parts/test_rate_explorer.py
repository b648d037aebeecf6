"""The rate explorer in a page: the package's words and numbers in every state, and how it looks."""

from __future__ import annotations

import itertools
from math import log

import pytest
from playwright.sync_api import Locator, Page
from support.components import CONTRAST, load, show

from lora_edu.widgets.rate_explorer import (
    MEASURES,
    RateState,
    at_one_rate,
    at_own_rates,
    describe,
    explain,
    finding,
    rate_explorer,
)
from lora_edu.widgets.rate_record import KEPT, LEARNT, Spread, recorded

WIDTHS = [736, 820]  # in the site's column and in JupyterLab, on a screen of 1366 × 768
ALL = [
    RateState(name, measure, rate)
    for name, sweep in recorded().items()
    for measure in MEASURES
    for rate in sweep.rates
]


def some_arms(state: RateState) -> list[RateState]:
    """The state with each choice of arms."""
    names = [arm.name for arm in recorded()[state.sweep].arms]
    chosen = itertools.chain.from_iterable(
        itertools.combinations(names, count) for count in range(len(names) + 1)
    )
    return [RateState(state.sweep, state.measure, state.rate, arms) for arms in chosen]


def words(state: RateState) -> list[str]:
    return [finding(state), explain(state), describe(state)]


def test_every_state_has_the_words_of_the_package(page: Page) -> None:
    states = [*ALL, *itertools.chain.from_iterable(map(some_arms, ALL))]
    assert len(states) > 1000
    said = load(page, rate_explorer()).answers([vars(state) for state in states])
    for state, answer in zip(states, said, strict=True):
        assert [answer["finding"], answer["explain"], answer["describe"]] == words(state)


def said(spread: Spread, measure: str) -> str:
    return f"{spread.mean:.{MEASURES[measure][1]}f}"


def rows(table: Locator) -> list[list[str]]:
    cells = "all => all.map(row => [...row.cells].slice(1).map(cell => cell.textContent))"
    return table.locator("tbody tr").evaluate_all(cells)


@pytest.mark.parametrize(
    ("sweep", "measure"), [*itertools.product(recorded(), [LEARNT]), ("mini GPT: menus", KEPT)]
)
def test_the_lists_are_the_records_at_every_rate(sweep: str, measure: str, page: Page) -> None:
    shown = show(page, rate_explorer(RateState(sweep, measure, recorded()[sweep].rates[0])))
    best = {arm.name: arm.best for arm in recorded()[sweep].arms}
    for rate in recorded()[sweep].rates:
        state, range_ = RateState(sweep, measure, rate), shown.get_by_role("slider")
        one, own = at_one_rate(state), at_own_rates(state)
        told = [[name, said(spread, measure), str(spread.seeds)] for name, spread in one]
        told += [[name, "not tried"] for name in best if name not in dict(one)]
        assert rows(shown.get_by_role("table").first) == told
        assert [row[:1] + row[2:] for row in rows(shown.get_by_role("table").last)] == [
            [name, said(spread, measure), str(spread.seeds)] for name, spread in own
        ]
        tried = [float(row[1]) for row in rows(shown.get_by_role("table").last)]
        assert tried == [best[name] for name, _ in own]
        assert float(range_.get_attribute("aria-valuetext")) == rate
        range_.press("ArrowRight")


def test_nothing_makes_it_higher_or_moves_what_is_below(page: Page) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 700})
        shown = show(page, rate_explorer())
        heights = {shown.bounding_box()["height"]}
        for sweep, measure in itertools.product(recorded(), ("loss on", "what was")):
            shown.get_by_role("radio", name=sweep).click()
            shown.get_by_role("radio", name=measure).click()
            slider = shown.get_by_role("slider")
            slider.press("Home")
            for _ in recorded()[sweep].rates:
                heights.add(shown.bounding_box()["height"])
                slider.press("ArrowRight")
        for box in shown.get_by_role("checkbox").all():
            box.press("Space")
            heights.add(shown.bounding_box()["height"])
        assert len(heights) == 1 and max(heights) <= 400


@pytest.mark.parametrize("width", [358, 390, 560, 651, *WIDTHS])
def test_nothing_is_cut_off_at_the_side(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for sweep, measure in itertools.product(recorded(), MEASURES):
        shown = show(page, rate_explorer(RateState(sweep, measure, recorded()[sweep].start)))
        wide, there = shown.evaluate("box => [box.scrollWidth, box.clientWidth]")
        assert wide <= there
        assert page.evaluate("document.documentElement.scrollWidth") <= width


# Boxes of the chart's words without a font's empty margins, and what each name is nearest to.
NAMES = """picture => {
  const boxes = [...picture.querySelectorAll("text")].map(text => {
    const { x, y, width, height } = text.getBBox(), slack = 0.2 * height;
    return [text.textContent, x, y + slack, x + width, y + height - slack];
  });
  const away = ([, left, top, right, bottom], curve) => {
    let least = Infinity;
    for (let at = 0; at < curve.getTotalLength(); at += 3) {
      const { x, y } = curve.getPointAtLength(at);
      const [aside, down] = [Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom)];
      least = Math.min(least, Math.hypot(aside, down));
    }
    return least;
  };
  const curves = [...picture.querySelectorAll("path.curve")];
  const names = [...picture.querySelectorAll("text.arm")];
  const own = names.map(text => {
    const box = boxes.find(([said]) => said === text.textContent);
    const near = curves.map(curve => away(box, curve)), least = Math.min(...near);
    const { stroke } = getComputedStyle(curves[near.indexOf(least)]);
    return [text.textContent, getComputedStyle(text).fill, stroke, least];
  });
  return [boxes, own];
}"""


@pytest.mark.parametrize("width", [390, *WIDTHS])
def test_a_name_meets_no_other_and_is_nearest_to_a_curve_of_its_colour(
    width: int, page: Page
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for (sweep, found), measure in itertools.product(recorded().items(), MEASURES):
        for arms in {tuple(arm.name for arm in found.arms), found.opens}:
            shown = show(page, rate_explorer(RateState(sweep, measure, found.start, arms)))
            names_are_clear(shown, len(arms))


def names_are_clear(shown: Locator, arms: int) -> None:
    boxes, own = shown.locator(".chart svg").evaluate(NAMES)
    for (one, *a), (other, *b) in itertools.combinations(boxes, 2):
        apart = a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]
        assert apart, f"{one!r} meets {other!r}"
    assert len(own) >= arms - 1
    for name, fill, stroke, away in own:
        assert fill == stroke and away < 20, name


def test_each_arm_has_its_points_spreads_and_one_ring(page: Page) -> None:
    shown = show(page, rate_explorer(RateState("SmolLM2: menus", LEARNT, 0.003)))
    found = recorded()["SmolLM2: menus"]
    inside = [
        spread
        for arm in found.arms
        for spread in arm.losses[LEARNT].values()
        if spread.mean < 1  # the others are above the chart
    ]
    assert shown.locator(".dot").count() == shown.locator(".spread").count() == len(inside)
    assert shown.locator(".ring").count() == len(found.arms)
    off = [text for text in shown.locator("text").all_text_contents() if text.startswith("↑")]
    assert off == ["↑ 5.3", "↑ 5.2"]  # the means of their seeds


def test_points_are_on_the_line_of_their_rate(page: Page) -> None:
    shown = show(page, rate_explorer(RateState("SmolLM2: menus", LEARNT, 0.003)))
    at = shown.locator("line.at").get_attribute("x1")
    tried = at_one_rate(RateState("SmolLM2: menus", LEARNT, 0.003))
    inside = [spread for _, spread in tried if spread.mean < 1]
    assert inside and shown.locator(f'.dot[cx="{at}"]').count() == len(inside)


def test_a_spread_is_as_long_as_its_seeds_differ(page: Page) -> None:
    """On the logarithmic axis: pixels per logarithm are those between two of its numbers."""
    shown = show(page, rate_explorer(RateState("SmolLM2: menus", KEPT, 0.003)))
    ticks = shown.locator("text.quiet").evaluate_all(
        "all => all.map(each => [each.textContent, Number(each.getAttribute('y'))])"
    )
    numbers = sorted((float(said), y) for said, y in ticks if said.replace(".", "").isdigit())
    (low, y_low), (high, y_high) = numbers[0], numbers[-1]
    scale = (y_low - y_high) / log(high / low)
    lengths = shown.locator(".spread").evaluate_all(
        "all => all.map(each => each.getAttribute('y1') - each.getAttribute('y2'))"
    )
    spreads = [s for arm in recorded()["SmolLM2: menus"].arms for s in arm.losses[KEPT].values()]
    assert lengths == pytest.approx(
        [scale * log(spread.highest / spread.lowest) for spread in spreads], abs=0.01
    )


def test_arms_come_and_go_by_the_keyboard_and_the_axis_stays(page: Page) -> None:
    shown = show(page, rate_explorer())
    level = shown.locator("path.full").get_attribute("d")
    assert shown.get_by_role("checkbox", checked=True).count() == 3
    shown.get_by_role("checkbox", name="LoRA rank 1", exact=True).press("Space")
    shown.get_by_role("checkbox", name="36 matrices").press("Space")
    assert shown.locator("path.curve").count() == 3
    assert shown.locator("path.full").get_attribute("d") == level
    assert "LoRA rank 1" in [row[0] for row in rows(shown.get_by_role("table").first)]
    for box in shown.get_by_role("checkbox").all():
        box.uncheck()
    assert shown.locator(".finding").inner_text().startswith("Tick at least two ways")
    assert shown.get_by_role("table").count() == 0


def test_another_sweep_begins_with_its_own_arms_at_its_own_rate(page: Page) -> None:
    shown = show(page, rate_explorer())
    shown.get_by_role("checkbox", name="full fine-tuning").press("Space")
    shown.get_by_role("radio", name="mini GPT: tales").press("Space")
    names = shown.get_by_role("checkbox").evaluate_all("all => all.map(box => box.ariaLabel)")
    assert names == ["full fine-tuning", "LoRA rank 8"]
    assert shown.get_by_role("checkbox", checked=True).count() == 2
    assert shown.get_by_role("slider").get_attribute("aria-valuetext") == "0.002"
    assert shown.locator(".finding").inner_text().startswith("At 0.002, LoRA rank 8 is ahead")
    shown.get_by_role("radio", name="mini GPT: menus").press("Space")
    assert shown.get_by_role("checkbox", checked=True).count() == 3
    assert shown.get_by_role("slider").get_attribute("aria-valuetext") == "0.002"


def test_forgetting_has_the_untouched_base_as_a_line(page: Page) -> None:
    shown = show(page, rate_explorer())
    assert shown.locator(".base").count() == 0
    shown.get_by_role("radio", name="what was forgotten").click()
    assert shown.get_by_text("before training 2.12").is_visible()
    assert "Who learns less also forgets less" in shown.locator(".notes").inner_text()


def test_every_control_has_a_name_and_is_reached_by_the_tab_key(page: Page) -> None:
    box = show(page, rate_explorer())
    for kind in ("[role=radio]", "[role=radio]", *["[type=checkbox]"] * 6, "[type=range]"):
        page.keyboard.press("Tab")
        focused = box.locator(":focus")
        name = "field => field.ariaLabel || field.labels?.[0]?.textContent || field.textContent"
        assert focused.evaluate(name).strip()
        assert focused.evaluate("(field, kind) => field.matches(kind)", kind), kind


# Of the ink of words on the explorer's paper.
STANDING_OUT = f"""all => all.map(each => ({CONTRAST})(
  getComputedStyle(each.closest(".kit")).backgroundColor, getComputedStyle(each).color))"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stand_out_from_the_paper(theme: str, page: Page) -> None:
    words = show(page, rate_explorer(RateState()), theme=theme).locator(
        ".name, .arms .tick, .less, th"
    )
    ratios = words.evaluate_all(STANDING_OUT)
    assert len(ratios) > 30 and min(ratios) >= 4.5
