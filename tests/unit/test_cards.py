"""Texts beside each other: as cards on a page, and beneath each other as plain text."""

from __future__ import annotations

import re

from IPython.core.formatters import DisplayFormatter

from lora_edu.plots import LINE_CHARACTERS, cards
from lora_edu.plots.style import CONCEPTS

TALES = cards({"base": "Tom said <no>.\n\nThe end.", "with LoRA": "Aye! " * 40})


def test_a_cell_that_ends_in_them_stores_html_and_text() -> None:
    bundle, _ = DisplayFormatter().format(TALES)
    assert bundle == {"text/html": TALES._repr_html_(), "text/plain": repr(TALES)}


def test_the_text_has_each_beneath_its_name_in_lines_that_a_page_does_not_break() -> None:
    lines = repr(TALES).splitlines()
    assert lines[:6] == ["base:", "Tom said <no>.", "", "The end.", "", "with LoRA:"]
    assert max(map(len, lines)) <= LINE_CHARACTERS
    assert " ".join(lines[6:]).split() == ["Aye!"] * 40


def test_each_card_has_its_name_its_paragraphs_and_its_concepts_colour() -> None:
    html = TALES._repr_html_()
    assert re.findall("<b>(.*?)</b>", html) == ["base", "with LoRA"]
    assert re.findall("<p[^>]*>(.*?)</p>", html)[:2] == ["Tom said &lt;no&gt;.", "The end."]
    edges = re.findall(r"border-left:5px solid (#\w+)", html)
    assert edges == [CONCEPTS["frozen"], CONCEPTS["lora"]]


def test_prose_is_left_aligned_and_its_letters_are_the_pages() -> None:
    html = TALES._repr_html_()
    assert set(re.findall(r"text-align:(\w+)", html)) == {"left"}
    assert not re.search(r"[;\"]color:", html)


def test_a_note_stands_beneath_the_cards() -> None:
    noted = cards({"LoRA": "Cheap."}, note="Recorded by make it.")
    assert repr(noted) == "LoRA:\nCheap.\n\nRecorded by make it."
    assert noted._repr_html_().endswith("<code>make it</code></details>")
    assert "<details" not in cards({"LoRA": "Cheap."})._repr_html_()


def test_a_title_stands_above_the_cards() -> None:
    titled = cards({"LoRA": "Cheap."}, title="meant: price[<5]")
    assert repr(titled) == "meant: price[<5]\n\nLoRA:\nCheap."
    assert titled._repr_html_().startswith("<p style=")
    widths = re.findall(r"max-width:(\w+)", titled._repr_html_())
    assert len(widths) >= 2 and len(set(widths)) == 1  # it does not break before the cards end
    assert ">meant: price[&lt;5]</p><div" in titled._repr_html_()


def test_four_cards_stand_two_by_two() -> None:
    wide = [
        int(
            re.search(r"minmax\(min\((\d+)px", cards(dict.fromkeys("abcde"[:n], ""))._repr_html_())[
                1
            ]
        )
        for n in (2, 3, 4)
    ]
    assert wide[0] == wide[1] and 3 * wide[1] <= 780 < 3 * wide[2]
