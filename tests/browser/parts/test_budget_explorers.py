"""The budget's explorers fit where a notebook shows them, whatever is set, and move by keyboard."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page
from support.components import show

from lora_edu.budget import MODEL_SHAPES, TARGETS
from lora_edu.widgets import predict
from lora_edu.widgets.component import Component
from lora_edu.widgets.memory_bars import TARGET_SETS, MemoryState, memory_bars
from lora_edu.widgets.rank_explorer import OUTPUTS, RANKS, ExplorerState, rank_explorer

LAB, PHONE, ZOOMED = 820, 390, 560  # widths in pixels: an output in JupyterLab, and two narrow ones
SITE, SITE_ZOOMED, SITE_PHONE = 736, 651, 358  # on the site: at 1366, at twice 683, and at 390
HIGHEST_PX = 400  # so that controls, picture and text are seen together on a small screen


@pytest.fixture(scope="module")
def page(browser: BrowserContext) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def places(shown: Locator, parts: str) -> list[dict[str, float]]:
    """Where all parts are at one moment: an explorer that is laid out anew draws them again."""
    shown.wait_for()
    rects = "all => all.map(each => each.getBoundingClientRect().toJSON())"
    return shown.locator(parts).evaluate_all(rects)


def asked(state: ExplorerState, number: str) -> Component:
    question = predict("How many?")
    question.say(number)
    return rank_explorer(state, prediction=question)


def ranks() -> list[Component]:
    """The rank explorer at settings that are hard to draw, and at random ones."""
    draw = random.Random(0)
    states = [
        ExplorerState("GPT-3 175B", RANKS[-1], TARGETS),
        ExplorerState("mini GPT (3M)", RANKS[-1]),
        ExplorerState("GPT-3 175B", 4, ("head",), OUTPUTS[1]),
        ExplorerState("Llama 3 70B", RANKS[-1], ("fc_in",)),
    ]
    for _ in range(15):
        targets = ("value", *draw.sample(TARGETS, draw.randint(0, 7)))
        model, rank = draw.choice(list(MODEL_SHAPES)), draw.choice(RANKS)
        states.append(ExplorerState(model, rank, targets, draw.choice(OUTPUTS)))
    return [asked(state, number) for state, number in zip(states, ["3", "5e6", "1e300"] * 7)]


def memories() -> list[Component]:
    every = TARGET_SETS[1]
    states = [
        MemoryState("mini GPT (3M)", 256, every, "float32", 1, 32),
        MemoryState("Llama 3 8B", batch_size=4, length_tokens=1024),
        MemoryState("GPT-3 175B", 256, every, "float32", 128, 8192),
        MemoryState("LLaMA 65B", 256, every, "mixed", 1, 32, True),
        MemoryState("GPT-2 small (124M)", 256, every, "mixed", 64, 1024, True),
        MemoryState("GPT-2 small (124M)", 1, storage="mixed", batch_size=64, length_tokens=1024),
        MemoryState("GPT-2 small (124M)", 256, every, "mixed", 64, 8192, True),
        *(MemoryState(model) for model in MODEL_SHAPES),
    ]
    return [memory_bars(state) for state in states]


EXPLORERS = {"rank": ranks, "memory": memories}


@pytest.mark.parametrize(("name", "width"), [("rank", LAB), ("memory", LAB), ("memory", SITE)])
def test_no_setting_makes_it_higher_or_moves_what_is_below(
    name: str, width: int, page: Page
) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    heights = {show(page, shown).bounding_box()["height"] for shown in EXPLORERS[name]()}
    assert len(heights) == 1 and max(heights) <= HIGHEST_PX


def test_no_layer_ticked_leaves_everything_in_its_place(page: Page) -> None:
    page.set_viewport_size({"width": LAB, "height": 700})
    box = show(page, rank_explorer())
    before = box.bounding_box()
    for name in ("query", "value"):
        box.get_by_role("checkbox", name=name).press("Space")
    assert box.locator(".big").inner_text() == "0"
    assert "choose at least one kind of layer" in box.locator(".notes").inner_text()
    assert box.bounding_box() == before


@pytest.mark.parametrize("width", [PHONE, ZOOMED, SITE, LAB])
@pytest.mark.parametrize("name", EXPLORERS)
def test_nothing_is_cut_off_at_the_side(name: str, width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    for shown in EXPLORERS[name]():
        box = show(page, shown)
        wide, there = box.evaluate("box => [box.scrollWidth, box.clientWidth]")
        assert wide <= there, shown


# Sets every model and output with each layer alone, at the least and the greatest rank; returns
# where something is beyond the box, and where a share touches its name or is near the next one.
EVERY_LAYER = """box => {
  const [model, output] = box.querySelectorAll("select"), rank = box.querySelector("[type=range]");
  const change = (field, values, kind) => values.forEach(value => {
    field[kind === "input" ? "value" : "selectedIndex"] = value;
    field.dispatchEvent(new Event(kind));
    look();
  });
  const right = part => part.getBoundingClientRect().right;
  const found = new Set(), edge = right(box) - 14;
  let look = () => {};
  for (const layer of box.querySelectorAll(".kinds input")) {
    model.value = "Llama 3 8B"; // which has all layers
    model.dispatchEvent(new Event("change"));
    for (const field of box.querySelectorAll(".kinds input"))
      if (field.checked !== (field === layer)) field.click();
    look = () => {
      const name = `${layer.parentNode.textContent} of ${model.value}, rank ${rank.value}`;
      const parts = [...box.querySelectorAll(".layer *")];
      if (parts.some(part => right(part) > edge + 0.5)) found.add(name);
      const [label, share] = layer.closest("div").children;
      const words = document.createRange();
      words.selectNodeContents(share);
      const said = words.getBoundingClientRect(), next = layer.closest("div").nextElementSibling;
      const nearest = said.left - right(label), other = next?.getBoundingClientRect();
      if (share.textContent && nearest < 3.9) found.add(`${name}: touches its share`);
      if (share.textContent && other?.left > said.left && other.left - said.right < 2 * nearest)
        found.add(`${name}: its share is near the next name`);
    };
    for (let place = 0; place < model.options.length; place++) {
      change(model, [place], "change");
      if (layer.disabled) continue;
      change(output, [1, 0], "change");
      change(rank, [0, rank.max], "input");
    }
    look = () => {};
  }
  return [...found];
}"""


@pytest.mark.parametrize("width", [SITE_PHONE, PHONE, SITE_ZOOMED, 683, SITE, LAB])
def test_the_table_of_no_layer_is_cut_off(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    assert show(page, rank_explorer()).evaluate(EVERY_LAYER) == []


@pytest.mark.parametrize("rank", RANKS)
def test_the_letters_of_a_layer_never_touch(rank: int, page: Page) -> None:
    for model, target in (("GPT-2 medium (355M)", "head"), ("mini GPT (3M)", "query")):
        shown = show(page, rank_explorer(ExplorerState(model, rank, (target,), OUTPUTS[1])))
        shown.locator(".layer svg text").first.wait_for()  # drawn, and laid out
        boxes = places(shown, ".layer svg text")
        assert len(boxes) == 3 and all(box["width"] for box in boxes)
        for one, other in itertools.combinations(boxes, 2):
            assert (
                abs(one["x"] - other["x"]) > max(one["width"], other["width"])
                or abs(one["y"] - other["y"]) > 10
            )


# Drawn: widths and heights of W, A and B, and what the caption says of them.
LAYER = """box => ({
  sizes: [...box.querySelectorAll(".layer rect")]
    .map(each => [+each.getAttribute("width"), +each.getAttribute("height")]),
  said: box.querySelector(".layer caption").textContent })"""


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(("model", "side"), [("mini GPT (3M)", 192), ("GPT-3 175B", 12_288)])
def test_a_layer_is_drawn_to_scale_or_says_that_it_is_not(
    model: str, side: int, rank: int, page: Page
) -> None:
    shown = show(page, rank_explorer(ExplorerState(model, rank, ("query",))))
    shown.locator(".layer rect").first.wait_for()
    drawn = shown.evaluate(LAYER)
    (wide, high), (thick, _), (_, beneath) = drawn["sizes"]
    assert wide == high >= 26 and thick == beneath >= 1
    if drawn["said"].endswith(", to scale"):
        assert thick / wide == pytest.approx(rank / side)
    else:
        more = max(rank / side, side / rank)
        times = f"{more:.2g}" if more < 10 else f"{more:,.0f}"
        one, other = ("A", "W") if rank > side else ("W", "A")
        assert drawn["said"].endswith(
            f"not to scale any more: {one} is {times} times as wide as {other}"
        )
        assert thick / wide != pytest.approx(rank / side)


@pytest.mark.parametrize("make", [rank_explorer, memory_bars])
def test_every_control_has_a_name_and_is_reached_by_the_tab_key(
    make: Callable[[], Component], page: Page
) -> None:
    box = show(page, make())
    fields = box.locator("input:enabled, select:enabled")
    for place in range(fields.count()):
        page.keyboard.press("Tab")
        field = fields.nth(place)
        assert field.evaluate("field => field.getRootNode().activeElement === field")
        assert name_of(field)


def name_of(field: Locator) -> str:
    label = "field.getAttribute('aria-label') ?? field.labels[0]?.textContent ?? ''"
    return field.evaluate(f"field => {label}").strip()


def test_a_layer_that_the_model_lacks_cannot_be_ticked(page: Page) -> None:
    box = show(page, rank_explorer())
    gate = box.get_by_role("checkbox", name="gate")
    assert gate.is_disabled()
    box.get_by_role("combobox", name="Model").select_option("Llama 3 8B")
    assert gate.is_enabled()


def test_the_layer_that_was_just_ticked_is_drawn(page: Page) -> None:
    box = show(page, rank_explorer())
    box.get_by_role("checkbox", name="fc_in").check()
    assert "one fc_in layer of 12" in box.locator("caption").inner_text()
    box.get_by_role("checkbox", name="fc_in").uncheck()
    assert "one query layer of 12" in box.locator("caption").inner_text()


def test_a_row_longer_than_the_model_reads_is_said_beside_its_slider(page: Page) -> None:
    box = show(page, memory_bars())
    length = box.get_by_role("slider", name="tokens a row")
    shown = box.locator(".slider output").last
    assert shown.inner_text() == "1,024"
    box.get_by_label("Model").select_option("mini GPT (3M)")
    assert shown.inner_text() == "1,024; it reads 256"
    assert length.get_attribute("aria-valuetext") == "1,024; it reads 256"
    length.press("ArrowLeft")
    length.press("ArrowLeft")
    assert shown.inner_text() == "256"


@pytest.mark.parametrize("width", [SITE, LAB])
def test_the_lists_of_the_budget_share_a_line(width: int, page: Page) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    shown = show(page, memory_bars())
    lists = shown.locator("select")
    assert len({lists.nth(place).bounding_box()["y"] for place in range(4)}) == 1
    ticked = shown.locator(".tick").bounding_box()
    assert ticked["height"] < 25  # a line
    assert ticked["y"] < shown.locator(".marks").last.bounding_box()["y"]  # beside the sliders


@pytest.mark.parametrize("width", [SITE_PHONE, PHONE, ZOOMED, SITE_ZOOMED, SITE, LAB])
def test_the_budget_explains_its_words_and_names_the_end_of_its_scale(
    width: int, page: Page
) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    shown = show(page, memory_bars(MemoryState("Llama 3 8B", storage="mixed", batch_size=4)))
    assert shown.locator(".stored").inner_text().startswith("mixed: weights in 32 bits")
    assert "computes the rest again" in shown.locator(".once").inner_text()
    assert shown.locator(".end").inner_text().endswith("200 GB")
    shown.get_by_label("Storage").select_option("16 bit")
    assert shown.locator(".stored").inner_text().startswith("16 bit: weights and activations")
    said = ".stored, .once, .method > b, .parts span, .bars > svg text, .why, select, .slider"
    for one, other in itertools.combinations(places(shown, said), 2):
        apart = one["right"] <= other["left"] or other["right"] <= one["left"]
        assert apart or one["bottom"] <= other["top"] + 3 or other["bottom"] <= one["top"] + 3


def test_beside_bars_that_dwarf_them_all_cards_are_one_line(page: Page) -> None:
    shown = show(page, memory_bars())
    lines = shown.locator(".bars > svg path")
    assert lines.count() > 4
    shown.get_by_label("Model").select_option("GPT-3 175B")
    assert lines.count() == 7  # a stem, and a line with its edge through each bar
    assert shown.locator(".bars > svg text").all_text_contents() == ["all cards", "up to 80 GB"]


def test_a_card_s_lines_end_above_the_words_beneath_each_bar(page: Page) -> None:
    shown = show(page, memory_bars())
    words = [place["top"] for place in places(shown, ".parts")]
    for line in places(shown, ".bars > svg path"):
        assert any(line["bottom"] <= top for top in words if line["top"] < top)
        assert not any(line["top"] < top < line["bottom"] for top in words)


def test_in_each_bar_the_smallest_card_that_it_fits_stands_out(page: Page) -> None:
    shown = show(page, memory_bars())
    said = shown.locator(".method span").all_inner_texts()
    lines = places(shown, '.bars > svg path[style*="--ink"]')
    tracks = places(shown, ".bar")
    for words, track in zip(said, tracks, strict=True):
        its = [line for line in lines if track["top"] - 3 < line["top"] < track["bottom"]]
        assert len(its) == words.startswith("smallest card")
    assert len(lines) == 2


def test_a_verdict_is_grey_beside_another_model_than_it_is_of(page: Page) -> None:
    shown = show(page, asked(ExplorerState("GPT-2 small (124M)"), "200000"))
    judged = shown.locator(".judged")
    before = judged.evaluate("line => getComputedStyle(line).color")
    shown.get_by_label("Model").select_option("GPT-3 175B")
    assert judged.evaluate("line => getComputedStyle(line).color") != before
    shown.get_by_label("Model").select_option("GPT-2 small (124M)")
    assert judged.evaluate("line => getComputedStyle(line).color") == before


def test_the_names_of_cards_never_cover_each_other(page: Page) -> None:
    page.set_viewport_size({"width": PHONE, "height": 700})
    names = ".bars > svg text:not(.quiet)"
    rows = [places(show(page, shown), names) for shown in memories()]
    assert max(map(len, rows)) > 2
    for row in rows:
        assert all(box["right"] <= after["x"] for box, after in itertools.pairwise(row))
