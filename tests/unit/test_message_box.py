"""The box for one's own message: its words, and what it refuses."""

import pytest

from lora_edu.widgets.component import answer_to
from lora_edu.widgets.message_box import message_box


def judge(text: str) -> tuple[str, int]:
    return ("spam", 97) if "free" in text else ("ham", 81)


def test_its_text_has_a_line_for_each_message() -> None:
    made = message_box(judge, ["A free phone!", "Bring bread."])
    assert repr(made) == "spam, 97 % sure: A free phone!\nham, 81 % sure: Bring bread."
    assert made.data["given"][1] == {"text": "Bring bread.", "said": "ham", "sure": 81}


def test_without_scripts_its_lines_are_there_as_they_are() -> None:
    html = message_box(judge, ["A <i>free</i> phone!", "Bring bread."]).html()
    lines = "spam, 97 % sure: A &lt;i&gt;free&lt;/i&gt; phone!<br>ham, 81 % sure: Bring bread."
    assert f'<div class="lora-said">{lines}</div>' in html


def test_it_asks_the_model_what_the_learner_writes() -> None:
    made = message_box(judge, [])
    answered = answer_to("  free <b>bread</b> ", made.ask)
    assert answered == {"value": {"text": "free <b>bread</b>", "said": "spam", "sure": 97}}


class Letters:
    """A tokenizer with a token for each letter."""

    eot_token = 0

    def encode_ordinary(self, text: str) -> list[int]:
        return [*map(ord, text)]


def test_of_a_message_that_is_too_long_it_says_how_much_was_read() -> None:
    made = message_box(judge, ["x" * 8, "x" * 9], encoding=Letters(), max_tokens=8)
    note = "The model read the first 8 of its 9 tokens."
    assert [each.get("note") for each in made.data["given"]] == [None, note]
    assert repr(made).endswith(f"ham, 81 % sure: {'x' * 9} {note}")
    assert answer_to("y" * 9, made.ask)["value"]["note"] == note
    assert "note" not in answer_to("y" * 8, made.ask)["value"]


@pytest.mark.parametrize("text", ["", "  \n", "x" * 2001])
def test_nothing_and_far_too_much_are_refused_in_words(text: str) -> None:
    told = answer_to(text, message_box(judge, []).ask)["error"]
    assert told.startswith("ValueError: a message has 1 to 2,000 characters, got")
