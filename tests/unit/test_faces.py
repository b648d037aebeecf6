"""Feedback has a colour that can be seen, a mark, and words that say the same."""

import pytest

from lora_edu.exercises.core import Verdict
from lora_edu.plots.faces import EDGES, MARKS, faced


def contrast(one: str, other: str) -> float:
    """WCAG 2's ratio of two colours "#rrggbb"."""

    def luminance(colour: str) -> float:
        shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
        return sum(w * x for w, x in zip((0.2126, 0.7152, 0.0722), linear))

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


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
    assert "exercise 1 of 3, 10.scaling" in html
    assert "Divide by r &amp; go on." in html


def test_a_verdict_without_a_message_has_no_empty_line() -> None:
    assert Verdict("10.scaling", "passed")._repr_html_().count("<div") == 2


def test_an_exercise_that_is_not_in_the_course_has_no_place() -> None:
    assert Verdict("02.unheard_of", "passed").place() == ""
