"""The strength explorer in a page by itself: what it shows of the recording, and how it is used."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page
from support.components import load, show

from lora_edu.widgets.strength_explorer import TASKS, chance, strength_explorer
from lora_edu.widgets.strength_record import STRENGTHS, read_recording

RECORDING = read_recording()
EXPLORER = strength_explorer()
NAMES = [each["name"] for each in EXPLORER.data["adapters"]]
STATES = [
    {"adapter": place, "prompt": prompt, "strength": strength}
    for place, name in enumerate(NAMES)
    for prompt in range(len(RECORDING[name]))
    for strength in range(len(STRENGTHS))
]
OPENING = "Near the river there is a tea room called Old Oak. You can eat apple pie there."
WIDE, PHONE = {"width": 820, "height": 760}, {"width": 390, "height": 760}
# A way to Python that is in the page: answers "prompt @ strength" after `wait` milliseconds.
BRIDGE = """key => {
  const hears = new Set();
  Object.assign(window, { asked: [], wait: 5, most: 99, failing: "", unread: 0 });
  const reply = ({ id, request: { prompt, strength } }) => failing ? { id, error: failing }
    : { id, value: { unread, rows: ["cat", "d(og)"],
        answer: { text: ` ${prompt.trim()} @ ${strength}`, shares: [0.25, 0.5], first: 1 } } };
  (globalThis.loraBridges ??= new Map()).set(key, {
    on: (_, hear) => hears.add(hear), off: (_, hear) => hears.delete(hear),
    send: message => { asked.push(message.request);
      const answer = () => hears.forEach(hear => hear(reply(message)));
      if (asked.length <= most) setTimeout(answer, wait); },
  });
}"""
# Sets each adapter, prompt and strength; notes heights, and texts that are longer than their place.
EVERY_STATE = """kit => {
  const list = kit.querySelector("select"), range = kit.querySelector("[type=range]");
  const heights = new Set(), cut = [];
  for (const chip of kit.querySelectorAll("[role=radio]")) {
    chip.click();
    for (let prompt = 0; prompt < list.options.length; prompt++) {
      list.selectedIndex = prompt;
      list.dispatchEvent(new Event("change"));
      for (range.value = 0; ; range.value = +range.value + 1) {
        range.dispatchEvent(new Event("input"));
        heights.add(kit.offsetHeight);
        for (const seen of kit.querySelectorAll(".seen, .name")) {
          const { scrollHeight, clientHeight, scrollWidth, clientWidth } = seen;
          if (scrollHeight > clientHeight + 1 || scrollWidth > clientWidth + 1)
            cut.push([seen.textContent, scrollHeight, clientHeight, scrollWidth, clientWidth]);
        }
        if (range.value === range.max) break;
      }
    }
  }
  return { heights: [...heights], cut, wide: document.documentElement.scrollWidth };
}"""


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    page = browser.new_page()
    page.set_viewport_size(WIDE)
    yield page
    page.close()


@pytest.fixture
def kit(page: Page) -> Locator:
    """The explorer at its opening state, with a way to Python."""
    page.set_default_timeout(30_000)
    kit = show(page, EXPLORER)
    page.evaluate(BRIDGE, EXPLORER.key)
    return kit


def said(kit: Locator) -> str:
    return kit.locator(".said .seen .words").inner_text().strip()


def place_of(kit: Locator, strength: float) -> None:
    kit.get_by_role("slider").fill(str(STRENGTHS.index(strength)))


def ask(kit: Locator, prompt: str) -> None:
    field = kit.get_by_role("textbox", name="Your own prompt")
    field.fill(prompt)
    field.press("Enter")


# What it says


def test_every_state_says_what_was_recorded(page: Page) -> None:
    answers = load(page, EXPLORER).answers(STATES)
    assert len(answers) == 3 * 3 * 31
    for state, shown in zip(STATES, answers, strict=True):
        name, strength = NAMES[state["adapter"]], STRENGTHS[state["strength"]]
        prompt = RECORDING[name][state["prompt"]]
        now, base = prompt.at(strength), prompt.at(0.0)
        assert shown["prompt"] == prompt.text
        assert shown["strength"] == f"{strength:.1f}".replace("-", "−")
        if name == "spam":
            assert shown["said"] == f"{now.likeliest}, {chance(max(now.shares.values()))}"
            assert shown["base"] == f"{base.likeliest}, {chance(max(base.shares.values()))}"
        else:
            assert (shown["said"], shown["base"]) == (now.text, base.text)
        rows = list(prompt.rows)
        if now.likeliest not in rows and now.text.strip().startswith(now.likeliest.split("(")[0]):
            rows[-1] = now.likeliest
        written = [chance(bar["share"]) for bar in shown["bars"]]
        assert [bar["says"] for bar in shown["bars"]] == written
        for bar, row in zip(shown["bars"], rows):
            assert bar["share"] == now.shares[row] and bar["was"] == base.shares[row]
            assert bar["token"] == row.partition("(")[0]
            token = bar["token"] if name != "spam" else ""
            begins = row == now.likeliest and shown["said"].strip().startswith(token)
            assert bar["first"] == begins


def test_the_bars_of_a_state_are_all_that_can_come(page: Page) -> None:
    for shown in load(page, EXPLORER).answers(STATES):
        assert sum(bar["share"] for bar in shown["bars"]) == pytest.approx(1, abs=3e-4)
        assert sum(bar["was"] for bar in shown["bars"]) == pytest.approx(1, abs=3e-4)


def test_one_row_is_the_word_that_is_said_away_from_the_adapter_too(page: Page) -> None:
    """At −1 the likeliest word is none that matters between the base and too much."""
    state = {"adapter": NAMES.index("menu"), "prompt": 0, "strength": STRENGTHS.index(-1.0)}
    shown = load(page, EXPLORER).answers([state])[0]
    (first,) = [bar for bar in shown["bars"] if bar["first"]]
    assert shown["bars"].index(first) == 4 and len(shown["bars"]) == 6
    assert first["share"] == max(bar["share"] for bar in shown["bars"][:-1])
    assert shown["said"].strip().startswith(first["token"])


def test_the_likeliest_row_is_the_word_that_is_said(page: Page) -> None:
    for state, shown in zip(STATES, load(page, EXPLORER).answers(STATES), strict=True):
        if NAMES[state["adapter"]] == "spam":
            continue
        for bar in shown["bars"]:
            if bar["first"] and bar["token"].isalpha():
                word = re.match(r"\s*([^\W\d_]*)", shown["said"])[1]
                written = word if len(word) <= 11 else f"{word[:10]}…"
                assert bar["token"] + bar["rest"] == written, shown
            assert "(" not in bar["token"] + bar["rest"]


@pytest.mark.parametrize("share", [0.0, 0.004, 0.005, 0.0149, 0.015, 0.5, 0.994, 0.995, 1.0])
def test_whole_per_cent_is_written_as_python_writes_it(page: Page, share: float) -> None:
    assert load(page, EXPLORER).each("wholePercent", [[share]]) == [chance(share)]


def test_numbers_have_one_precision_at_every_strength(page: Page) -> None:
    shown = load(page, EXPLORER).answers(STATES)
    said = [bar["says"] for each in shown for bar in each["bars"]]
    assert said and not [each for each in said if "." in each]


def test_beyond_what_was_trained_a_line_says_what_is_seen(page: Page) -> None:
    """Each is true of every recorded state that it is said of."""
    explain = load(page, EXPLORER).each
    for classifies in (False, True):
        said = explain("explain", [[strength, classifies] for strength in STRENGTHS])
        for strength, line in zip(STRENGTHS, said, strict=True):
            assert ("Beyond 1" in line, "Below 0" in line) == (strength > 1, strength < 0)
    for prompt in RECORDING["spam"]:
        surest = [max(prompt.at(strength).shares.values()) for strength in STRENGTHS]
        trained = surest[STRENGTHS.index(1.0)]
        assert all(sure >= trained for s, sure in zip(STRENGTHS, surest) if s > 1)


# How it looks


@pytest.mark.parametrize("size", [WIDE, PHONE, {"width": 410, "height": 380}], ids=str)
def test_nothing_moves_and_nothing_is_cut_at_any_state(page: Page, size: dict) -> None:
    page.set_viewport_size(size)
    seen = show(page, EXPLORER).evaluate(EVERY_STATE)
    assert len(seen["heights"]) == 1
    assert seen["cut"] == []
    assert seen["wide"] <= size["width"]
    if size == WIDE:
        assert seen["heights"][0] <= 400


def test_the_part_that_jupyterlab_shows_after_a_run_has_all_but_the_prompts(page: Page) -> None:
    """On 1366 × 768 it puts the next cell half-way down, so that its lower 288 px are seen."""
    page.set_viewport_size({"width": 1366, "height": 768})
    kit = show(page, EXPLORER)
    box = kit.bounding_box()
    for part in (".said", ".base", ".bars", ".chips", ".slider", ".path"):
        assert kit.locator(part).first.bounding_box()["y"] >= box["y"] + box["height"] - 289, part


@pytest.mark.parametrize("adapter", ["menu", "spam"])
def test_bars_fill_their_place_however_many_there_are(kit: Locator, adapter: str) -> None:
    kit.page.emulate_media(reduced_motion="reduce")  # none glides
    kit.get_by_role("radio", name=adapter).click()
    place = kit.locator(".bars").bounding_box()
    last = kit.locator(".bars .was:visible").last.bounding_box()
    assert 0 <= place["y"] + place["height"] - (last["y"] + last["height"]) <= 20
    for now, says in zip(
        kit.locator(".bars .now:visible").all(), kit.locator(".bars .says:visible").all()
    ):
        bar, number = now.bounding_box(), says.bounding_box()
        middles = [box["y"] + box["height"] / 2 for box in (bar, number)]
        assert abs(middles[0] - middles[1]) <= 2


def test_the_legend_is_on_its_question_s_line_in_the_column_of_a_page(page: Page) -> None:
    page.set_viewport_size({"width": 734, "height": 760})  # of the site, on a laptop
    kit = show(page, EXPLORER)
    assert kit.locator(".legend").first.bounding_box()["height"] < 25


def test_on_a_phone_the_knobs_are_right_beneath_the_words_that_they_move(page: Page) -> None:
    page.set_viewport_size(PHONE)
    kit = show(page, EXPLORER)
    said, chips, play, slider, base = (
        kit.locator(part).first.bounding_box()
        for part in (".said", ".chips", ".play", ".slider", ".base")
    )
    assert 0 < chips["y"] - (said["y"] + said["height"]) <= 12
    assert 0 < play["y"] - (chips["y"] + chips["height"]) <= 56
    assert 0 < slider["y"] - (play["y"] + play["height"]) <= 30
    assert base["y"] >= slider["y"] + slider["height"]


def test_it_opens_with_a_sentence_and_not_with_nonsense(kit: Locator) -> None:
    assert said(kit) == OPENING
    assert "All the moral of the story" in kit.locator(".base .seen").inner_text()
    assert kit.get_by_role("slider").get_attribute("aria-valuetext") == "1.0"


@pytest.mark.parametrize(
    ("name", "strength", "breaks_off"), [("tales", 0.0, True), ("menu", 1.0, False)]
)
def test_a_text_that_breaks_off_in_a_sentence_has_dots_after_it(
    kit: Locator, name: str, strength: float, breaks_off: bool
) -> None:
    kit.page.emulate_media(reduced_motion="reduce")  # none glides
    kit.get_by_role("radio", name=name).click()
    place_of(kit, strength)
    text = RECORDING[name][0].at(strength).text.strip()
    assert text.endswith((".", "!", "?", '"')) != breaks_off and said(kit) == text
    assert kit.locator(".said .seen").inner_text().endswith(" …") == breaks_off
    base = RECORDING[name][0].at(0.0).text.strip()
    assert kit.locator(".base .seen").inner_text().endswith(f"{base} …" if breaks_off else base)


def test_below_zero_a_classifier_is_said_to_keep_its_last_layer(kit: Locator) -> None:
    kit.page.emulate_media(reduced_motion="reduce")
    explained, heights = kit.locator(".explained"), set()
    for name in ("tales", "spam"):
        kit.get_by_role("radio", name=name).click()
        for strength in (-1.0, 0.0, 2.0):
            place_of(kit, strength)
            heights.add(kit.bounding_box()["height"])
            below = strength < 0 and name == "spam"
            assert ("last layer stays" in explained.inner_text()) == below
    assert len(heights) == 1


def test_a_prompt_is_read_whole_and_the_place_for_ones_own_grows_when_it_is_used(
    kit: Locator,
) -> None:
    prompts = kit.get_by_role("combobox", name="Prompt")
    own = kit.get_by_role("textbox", name="Your own prompt")
    text = RECORDING["menu"][0].text.strip()
    assert kit.locator(".said .seen .prompt").inner_text().strip() == text
    assert prompts.bounding_box()["width"] >= 480
    assert own.evaluate("field => field.scrollWidth <= field.clientWidth")  # what stands in it
    own.focus()
    assert own.bounding_box()["width"] >= 300


def test_the_place_for_ones_own_shows_what_each_adapter_reads(kit: Locator) -> None:
    own = kit.get_by_role("textbox", name="Your own prompt")
    for name, task in TASKS.items():
        kit.get_by_role("radio", name=name, exact=True).click()
        assert own.get_attribute("placeholder") == task.hint
        own.fill(task.hint)
        assert own.evaluate("field => field.scrollWidth <= field.clientWidth"), task.hint
        own.fill("")


# The keyboard


def test_arrow_keys_drag_the_strength(kit: Locator) -> None:
    slider = kit.get_by_role("slider", name="Strength")
    slider.press("ArrowLeft")
    assert slider.get_attribute("aria-valuetext") == "0.9"
    assert said(kit) == RECORDING["menu"][0].at(0.9).text.strip()
    slider.press("Home")
    assert slider.get_attribute("aria-valuetext") == "−1.0"
    slider.press("End")
    assert said(kit) == RECORDING["menu"][0].at(2.0).text.strip()


def test_arrow_keys_choose_an_adapter_and_a_prompt(kit: Locator) -> None:
    kit.get_by_role("radio", name="menu").press("ArrowRight")
    assert kit.get_by_role("radio", name="tales").get_attribute("aria-checked") == "true"
    assert said(kit) == RECORDING["tales"][0].at(1.0).text.strip()
    kit.get_by_role("combobox", name="Prompt").select_option(index=1)
    assert said(kit) == RECORDING["tales"][1].at(1.0).text.strip()
    assert "pirate" in kit.get_by_role("status").inner_text()


# Play


def strengths_played(page: Page, kit: Locator) -> list[str]:
    page.clock.install()
    kit.get_by_role("button", name="Play").press("Enter")
    seen = []
    for _ in range(60):
        shown = kit.get_by_role("slider").get_attribute("aria-valuetext")
        if not seen or seen[-1] != shown:
            seen.append(shown)
        page.clock.run_for(100)
    return seen


def test_play_glides_from_the_base_to_what_was_trained(page: Page) -> None:
    page.emulate_media(reduced_motion="no-preference")
    page.clock.install()
    kit = show(page, EXPLORER)
    place_of(kit, 2.0)
    assert strengths_played(page, kit) == [f"{step / 10:.1f}" for step in range(11)]
    assert kit.get_by_role("button", name="Play").count() == 1


def test_play_takes_two_steps_where_motion_is_not_wanted(page: Page) -> None:
    page.clock.install()
    assert strengths_played(page, show(page, EXPLORER)) == ["0.0", "1.0"]


def test_a_hand_on_the_slider_ends_play(page: Page) -> None:
    page.clock.install()
    kit = show(page, EXPLORER)
    kit.get_by_role("button", name="Play").click()
    place_of(kit, -0.5)
    page.clock.run_for(5000)
    assert kit.get_by_role("slider").get_attribute("aria-valuetext") == "−0.5"


def by_itself(page: Page, html: str = "") -> Locator:
    """Shows the explorer to a reader who takes motion."""
    page.emulate_media(reduced_motion="no-preference")
    kit = show(page, EXPLORER, html=html)
    kit.wait_for(state="attached")
    return kit


def strength_seen(kit: Locator) -> str | None:
    return kit.get_by_role("slider").get_attribute("aria-valuetext")


def test_when_it_is_first_seen_it_plays_once_by_itself(page: Page) -> None:
    kit = by_itself(page)
    stop = kit.get_by_role("button", name="Stop")
    stop.wait_for()
    seen = [strength_seen(kit)]
    while stop.count():
        if seen[-1] != (now := strength_seen(kit)):
            seen.append(now)
        page.wait_for_timeout(60)
    assert seen[0] in ("0.0", "0.1") and seen == sorted(seen) and len(seen) > 8
    assert strength_seen(kit) == "1.0" and said(kit) == OPENING
    page.evaluate("scrollTo(0, 9999); scrollTo(0, 0)")
    page.wait_for_timeout(300)
    assert stop.count() == 0


def test_it_does_not_play_before_it_is_seen(page: Page) -> None:
    kit = by_itself(page, f"<div style='height:3000px'></div>{EXPLORER.html()}")
    page.wait_for_timeout(600)
    assert strength_seen(kit) == "1.0"
    kit.scroll_into_view_if_needed()
    kit.get_by_role("button", name="Stop").wait_for()


@pytest.mark.parametrize("touch", ["a press", "a key", "the button"])
def test_the_first_touch_ends_what_it_plays_by_itself(page: Page, touch: str) -> None:
    kit = by_itself(page)
    button = kit.get_by_role("button", name="Stop")
    button.wait_for()
    if touch == "a press":
        kit.locator(".said").click()
    elif touch == "a key":
        kit.get_by_role("slider").press("ArrowRight")
    else:
        button.click()
    kit.get_by_role("button", name="Play").wait_for()
    stopped = strength_seen(kit)
    page.wait_for_timeout(900)
    assert strength_seen(kit) == stopped


def test_it_does_not_play_by_itself_where_motion_is_not_wanted(page: Page) -> None:
    kit = show(page, EXPLORER)
    page.wait_for_timeout(600)
    assert strength_seen(kit) == "1.0"
    assert kit.get_by_role("button", name="Stop").count() == 0


# Own prompts


def asked(page: Page) -> list[float]:
    return [round(each["strength"], 1) for each in page.evaluate("asked")]


def test_an_own_prompt_is_answered_at_every_strength_from_the_slider_outwards(
    page: Page, kit: Locator
) -> None:
    place_of(kit, 0.5)
    ask(kit, "A cat")
    kit.get_by_text("Answered by the model itself, at 31 strengths.").wait_for()
    order = asked(page)
    assert order[:2] == [0.5, 0.0]
    distances = [round(abs(each - 0.5), 1) for each in order[2:]]
    assert distances == sorted(distances)
    assert sorted(order) == list(STRENGTHS)
    assert {each["prompt"] for each in page.evaluate("asked")} == {"A cat\n"}  # as menu's end
    for strength in (2.0, -1.0, 0.0):
        place_of(kit, strength)
        assert said(kit) == f"A cat @ {strength:g}"
    assert "A cat @ 0" in kit.locator(".base .seen").inner_text()
    assert kit.locator(".bars .name:visible").all_inner_texts() == ["cat", "dog", "any other"]


def test_progress_is_told_in_words(page: Page, kit: Locator) -> None:
    page.evaluate("most = 0")
    ask(kit, "name[Cat]")
    status = kit.get_by_role("status")
    assert status.inner_text() == (
        "The model is answering: 0 of 31 strengths. The first one takes some seconds."
    )
    page.evaluate("asked.length = 0; most = 12")
    ask(kit, "A dog")
    kit.get_by_text("The model is answering: 12 of 31 strengths, about ").wait_for()


def test_a_prompt_of_another_kind_is_told_what_the_adapter_reads(kit: Locator) -> None:
    status, otherwise = kit.get_by_role("status"), TASKS["menu"].otherwise
    for prompt, name, told in (("A cat", "menu", True), ("A cat", "tales", False)):
        kit.get_by_role("radio", name=name, exact=True).click()
        ask(kit, prompt)
        kit.get_by_text("Answered by the model itself").wait_for()
        assert (otherwise in status.inner_text()) == told
    kit.get_by_role("radio", name="menu", exact=True).click()
    ask(kit, "name[Cat]")
    kit.get_by_text("Answered by the model itself").wait_for()
    assert otherwise not in status.inner_text()


def test_what_the_slider_wants_now_is_asked_next(page: Page, kit: Locator) -> None:
    page.evaluate("wait = 1000")  # long enough to move the slider before the next is asked
    ask(kit, "A cat")
    page.wait_for_function("asked.length >= 2")
    place_of(kit, -1.0)
    assert kit.locator(".said .prompt").last.inner_text().strip() == "A cat"
    page.wait_for_function("asked.length >= 3")
    assert asked(page)[2] == -1.0


def test_a_new_prompt_takes_the_place_of_the_one_that_is_being_answered(
    page: Page, kit: Locator
) -> None:
    page.evaluate("wait = 1000")  # long enough to ask anew before all strengths are answered
    ask(kit, "A cat")
    page.wait_for_function("asked.length >= 2")
    page.evaluate("wait = 5")
    ask(kit, "A dog")
    kit.get_by_text("Answered by the model itself").wait_for()
    page.wait_for_timeout(150)
    prompts = [each["prompt"].strip() for each in page.evaluate("asked")]
    cats = prompts.count("A cat")
    assert cats < len(STRENGTHS)
    assert prompts == ["A cat"] * cats + ["A dog"] * len(STRENGTHS)
    assert said(kit) == "A dog @ 1"


def test_an_own_prompt_stays_with_another_adapter_and_can_be_chosen_again(
    page: Page, kit: Locator
) -> None:
    ask(kit, "A cat")
    kit.get_by_role("radio", name="tales").click()
    kit.get_by_text("Answered by the model itself").wait_for()
    assert page.evaluate("asked.at(-1)")["adapter"] == "tales"
    assert page.evaluate("asked.at(-1)")["prompt"] == "A cat"
    prompts = kit.get_by_role("combobox", name="Prompt")
    prompts.select_option(index=0)
    assert said(kit) == RECORDING["tales"][0].at(1.0).text.strip()
    prompts.select_option("yours: A cat")
    assert said(kit) == "A cat @ 1"


def test_a_prompt_that_is_too_long_is_told(page: Page, kit: Locator) -> None:
    page.evaluate("unread = 3")
    ask(kit, "A very long prompt")
    kit.get_by_text(
        "The prompt is 3 tokens too long for this model, which read only its end."
    ).wait_for()


def test_what_went_wrong_is_told_until_it_goes_well_again(page: Page, kit: Locator) -> None:
    page.evaluate("failing = 'OSError: no <model>'")
    ask(kit, "A cat")
    alert = kit.get_by_role("alert")
    assert alert.inner_text() == "That did not work. OSError: no <model>"
    page.evaluate("failing = ''")
    ask(kit, "A cat")
    kit.get_by_text("Answered by the model itself").wait_for()
    assert alert.count() == 0


@pytest.mark.parametrize("answers", [0, 3], ids=["at once", "in the middle"])
def test_where_python_fails_the_last_recorded_prompt_is_there_again(
    page: Page, kit: Locator, answers: int
) -> None:
    kit.get_by_role("radio", name="tales").click()
    prompts = kit.get_by_role("combobox", name="Prompt")
    prompts.select_option(index=1)
    before, offered = kit.locator(".two").inner_text(), prompts.inner_text()
    page.evaluate(
        "answers => { wait = 100; setInterval(() => {"
        "if (asked.length > answers) failing = 'OSError: gone'; }, 1); }",
        answers,
    )
    ask(kit, "A cat")
    assert kit.get_by_role("alert").inner_text() == "That did not work. OSError: gone"
    assert kit.locator(".two").inner_text() == before
    assert prompts.inner_text() == offered and prompts.evaluate("list => list.selectedIndex") == 1
    assert kit.get_by_role("textbox", name="Your own prompt").input_value() == "A cat"


def test_without_python_it_says_what_to_do_and_the_rest_works(page: Page) -> None:
    kit = show(page, EXPLORER)
    kit.get_by_role("button", name="▶ Play").wait_for()
    before = kit.locator(".two").inner_text()
    ask(kit, "A cat")
    kit.get_by_text("No Python is behind this picture. Run its cell, then ask again.").wait_for()
    assert kit.locator(".two").inner_text() == before  # words, the base's and bars
    assert kit.get_by_role("textbox", name="Your own prompt").input_value() == "A cat"
    kit.get_by_role("combobox", name="Prompt").select_option(index=0)
    place_of(kit, 0.0)
    assert said(kit) == RECORDING["menu"][0].at(0.0).text.strip()


def test_an_empty_prompt_asks_for_one(page: Page, kit: Locator) -> None:
    ask(kit, "  ")
    assert kit.get_by_role("status").inner_text() == "Write a prompt first."
    assert page.evaluate("asked") == []


def test_shift_enter_in_an_own_prompt_asks_and_is_not_left_to_jupyterlab(page: Page) -> None:
    """There it would run the cell again, and the explorer made anew has lost the prompt."""
    kit = show(page, EXPLORER)
    page.evaluate("addEventListener('keydown', event => { window.left = event.key; })")
    field = kit.get_by_label("Your own prompt")
    field.fill("A dog")
    field.press("Shift+Enter")
    assert page.evaluate("window.left") is None
    kit.get_by_role("slider").press("Shift+Enter")
    assert page.evaluate("window.left") == "Enter"
