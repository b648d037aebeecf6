"""Feedback has a colour that can be seen, a mark, and words that say the same."""

import pytest
from support.contrast import contrast

from lora_edu.exercises.core import Verdict
from lora_edu.plots.faces import EDGES, MARKS, faced


@pytest.mark.parametrize("edge", EDGES.values())
def test_a_mark_can_be_read_and_an_edge_seen_on_light_and_dark_pages(edge: str) -> None:
    assert contrast(edge, "#ffffff") >= 4.5  # the mark on it, and it on a light page
    assert contrast(edge, "#111111") >= 3


def test_what_a_learner_wrote_is_text_and_not_html() -> None:
    assert "<script" not in faced("wrong", "<script>", "<script>", aside="<script>")


@pytest.mark.parametrize(
    ("state", "mood", "word"),
    [("passed", "right", "Passed"), ("wrong", "wrong", "Not yet"), ("not tried", "open", "Not tr")],
)
def test_a_verdict_has_mark_words_and_place(state, mood, word) -> None:
    html = Verdict("10.scaling", state, "Divide by r & go on.")._repr_html_()
    assert EDGES[mood] in html
    assert f">{MARKS[mood]}<" in html
    assert f"<b>{word}" in html
    assert "exercise 1 of 3<" in html and "10.scaling" not in html
    assert "Divide by r &amp; go on." in html


def test_a_verdict_without_a_message_has_no_empty_line() -> None:
    assert Verdict("10.scaling", "passed")._repr_html_().count("<div") == 2


def test_an_exercise_that_is_not_in_the_course_has_no_place() -> None:
    assert Verdict("02.unheard_of", "passed").place() == ""
