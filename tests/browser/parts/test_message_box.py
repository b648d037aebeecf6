"""The box for one's own message in a page: what is typed is answered above the rest."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from support.components import show

from lora_edu.widgets.message_box import message_box

GIVEN = ["You have won a free phone!", "Can you bring bread on your way home?"]
# Answers as Python would: "free" is spam, and "fail" fails.
ASKED = """async text => { if (text === "fail") throw Error("ValueError: no");
  return { text, said: text.includes("free") ? "spam" : "ham", sure: 64 }; }"""


def judge(text: str) -> tuple[str, int]:
    return ("spam", 97) if "free" in text else ("ham", 81)


@pytest.fixture
def html() -> str:
    return re.sub(r'toPython\("[^"]*", \d+\)', ASKED, message_box(judge, GIVEN).html())


def test_its_lines_are_those_of_the_text(page: Page, html: str) -> None:
    made = message_box(judge, GIVEN)
    rows = show(page, made, html=html).locator("li")
    said = [
        f"{row.locator('b').inner_text()}: {row.locator('span').first.inner_text()}"
        for row in rows.all()
    ]
    assert "\n".join(said) == repr(made)


def test_the_learners_message_is_answered_above_the_others(page: Page, html: str) -> None:
    box = show(page, message_box(judge, GIVEN), html=html)
    field = box.get_by_label("Your own message")
    field.fill("A <b>free</b> bag")
    field.press("Enter")
    expect(box.locator("li")).to_have_count(3)
    assert box.locator("li.yours").inner_text().split("\n")[0] == "A <b>free</b> bag"
    assert box.locator("li").first.locator("b").inner_text() == "spam, 64 % sure"
    field.fill("  ")
    box.get_by_role("button").click()  # nothing to ask
    expect(box.locator("li")).to_have_count(3)


def test_what_went_wrong_is_said_and_one_can_ask_again(page: Page, html: str) -> None:
    box = show(page, message_box(judge, GIVEN), html=html)
    field = box.get_by_label("Your own message")
    field.fill("fail")
    box.get_by_role("button").click()
    expect(box.get_by_role("alert")).to_have_text("That did not work. ValueError: no")
    field.fill("free")
    box.get_by_role("button").click()
    expect(box.locator(".wrong")).to_be_empty()
    expect(box.locator("li")).to_have_count(3)


def test_without_python_there_is_no_field(page: Page) -> None:
    made = message_box(judge, GIVEN)
    html = re.sub(r'toPython\("[^"]*", \d+\)', "null", made.html())
    box = show(page, made, html=html)
    assert box.locator("li").count() == 2 and box.locator("input").count() == 0


class Letters:
    """A tokenizer with a token for each letter."""

    eot_token = 0

    def encode_ordinary(self, text: str) -> list[int]:
        return [*map(ord, text)]


def test_what_was_not_read_of_a_message_is_said_beneath_it(page: Page) -> None:
    made = message_box(judge, GIVEN, encoding=Letters(), max_tokens=30)
    rows = show(page, made, html=made.html()).locator("li")
    note = " The model read the first 30 of its 37 tokens."
    assert rows.locator("> span:first-child").all_inner_texts() == [GIVEN[0], GIVEN[1] + note]


@pytest.mark.parametrize("width", [320, 390, 683, 820])
def test_it_fits_its_page(page: Page, html: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 600})
    show(page, message_box(judge, [*GIVEN, "x" * 300]), html=html)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_press_is_answered_at_once_also_without_a_message(page: Page, html: str) -> None:
    box = show(page, message_box(judge, GIVEN), html=html)
    box.get_by_role("button").press("Enter")
    expect(box.get_by_role("alert")).to_have_text("Write a message first.")
