"""A box for the learner's own message: typed, sent to the model, and answered above the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from lora_edu.datasets import Encoding
from lora_edu.widgets.component import Component

#: Message → its class, and how sure the model is of it, in per cent.
Judge = Callable[[str], tuple[str, int]]

_MOST_CHARACTERS = 2000  # of a message; a model reads far less


def message_box(
    judge: Judge,
    given: Sequence[str],
    *,
    encoding: Encoding | None = None,
    max_tokens: int | None = None,
) -> Component:
    """Makes the box, with what the model says of the given messages.

    Args:
        judge: Asks the model.
        given: Messages that are there at first.
        encoding: Counts a message's tokens. With it the box says of a longer one how many of its
            tokens were read.
        max_tokens: How many the model reads, from the start; None reads all.
    """

    def judged(text: str) -> dict[str, Any]:
        said, sure = judge(text)
        found = {"text": text, "said": said, "sure": sure}
        if encoding and max_tokens and (count := len(encoding.encode_ordinary(text))) > max_tokens:
            found["note"] = f"The model read the first {max_tokens} of its {count:,} tokens."
        return found

    found = [judged(text) for text in given]
    words = "\n".join(_line(**each) for each in found)
    return _Box("message", {"given": found}, alt=words, ask=lambda own: judged(read(own)))


class _Box(Component):
    """The box; where no script runs, what is said of the given messages, a line for each."""

    def _picture(self) -> str:
        return f'<div class="lora-said">{"<br>".join(escape(self.alt).splitlines())}</div>'


def read(message: Any) -> str:
    """Returns the learner's message, without blanks around it.

    Raises:
        ValueError: nothing is in it, or far too much.

    Example:
        >>> read(" Win a phone! ")
        'Win a phone!'
    """
    text = str(message).strip()
    if not 0 < len(text) <= _MOST_CHARACTERS:
        raise ValueError(
            f"a message has 1 to {_MOST_CHARACTERS:,} characters, got {len(text):,}; write another"
        )
    return text


def _line(text: str, said: str, sure: int, note: str = "") -> str:
    return f"{said}, {sure} % sure: {text} {note}".rstrip()
