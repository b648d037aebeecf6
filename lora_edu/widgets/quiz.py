"""Predict before you look: a recorded choice or number, compared with the result afterwards.

    prediction = predict("Which has more trainable parameters?", ["LoRA", "full fine-tuning"])
    …                                           # the cell that measures
    reveal(prediction, "full fine-tuning", because="it trains every weight")

A notebook that is run from top to bottom records no prediction and says so.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets

from lora_edu.plots import LINE_CHARACTERS, show_widget
from lora_edu.widgets.error_line import ErrorLine

NONE_YET = "No prediction recorded yet."
# JupyterLab takes the arrow keys for itself, even inside a group of radio buttons.
BY_KEYBOARD = " By keyboard: Tab moves, Space chooses."
WIDE = {"description_width": "initial"}


class Prediction:
    """A question with the learner's answer to it, shown by `_ipython_display_`.

    Args:
        question: The question, one sentence.
        options: The choices; empty asks for a number instead.

    Raises:
        ValueError: the question is empty, there is one option only, or two are equal.

    Example:
        >>> prediction = Prediction("Which is larger?", ["A", "B"])
        >>> prediction.value is None
        True
        >>> prediction.control.value = "B"
        >>> prediction.value
        'B'
    """

    def __init__(self, question: str, options: Sequence[str] = ()) -> None:
        if not question.strip():
            raise ValueError("question must be a sentence, got nothing")
        if len(options) == 1 or len(set(options)) < len(options):
            raise ValueError(f"options must be two or more different texts, got {list(options)}")
        self.question = question
        self.options = tuple(options)
        self.control = self._choice() if options else self._number()
        self.status = ipywidgets.HTML(NONE_YET + (BY_KEYBOARD if options else ""))
        self.error_line = ErrorLine()
        self.control.observe(self._record, "value")
        heading = ipywidgets.HTML(f"<b>Predict:</b> {escape(question)}")
        self.widget = ipywidgets.VBox([heading, self.control, self.status, self.error_line])

    def _choice(self) -> ipywidgets.RadioButtons:
        return ipywidgets.RadioButtons(
            options=self.options,
            index=None,
            description="Your choice:",
            style=WIDE,
            layout=ipywidgets.Layout(width="max-content"),
        )

    def _number(self) -> ipywidgets.Text:
        return ipywidgets.Text(
            description="Your number:",
            placeholder="such as 1500 or 2.5e6",
            continuous_update=False,
            style=WIDE,
        )

    @property
    def value(self) -> str | float | None:
        """The prediction: an option, a number, or None while there is none."""
        return self.control.value if self.options else _as_number(self.control.value)

    def _record(self, _: Any) -> None:
        with self.error_line:
            if self.value is not None:
                self.status.value = f"Recorded: <b>{escape(_written(self.value))}</b>. Now run on."
            elif self.control.value:
                self.status.value = "This is not a number. Write it like 1500 or 2.5e6."
            else:
                self.status.value = NONE_YET

    def __repr__(self) -> str:
        """Returns question and options as text, for readers without a kernel."""
        choices = "".join(f"\n  ○ {option}" for option in self.options)
        return f"Predict: {self.question}{choices or ' (a number)'}"

    def _ipython_display_(self) -> None:
        show_widget(self.widget, repr(self))


@dataclass(frozen=True)
class Reveal:
    """A prediction beside the result.

    Args:
        prediction: What the learner said, or None.
        answer: What was found.
        agrees: Whether the two agree.
        because: Why it is so, in one sentence.
    """

    prediction: str | float | None
    answer: str | float
    agrees: bool
    because: str = ""

    def __repr__(self) -> str:
        """Returns the text a notebook shows."""
        if self.prediction is None:
            said = "No prediction recorded."
        else:
            mark = "✓" if self.agrees else "✗"
            said = f"{mark} You predicted: {_written(self.prediction)}."
        why = f" Because {self.because.rstrip('.')}." if self.because else ""
        return textwrap.fill(f"{said} Found: {_written(self.answer)}.{why}", LINE_CHARACTERS)


def predict(question: str, options: Sequence[str] = ()) -> Prediction:
    """Asks for a prediction; as the last line of a cell, it shows itself.

    Args:
        question: The question, one sentence.
        options: The choices; empty asks for a number instead.

    Raises:
        ValueError: see `Prediction`.
    """
    return Prediction(question, options)


def reveal(
    prediction: Prediction, answer: str | float, *, because: str = "", tolerance: float = 0.1
) -> Reveal:
    """Compares a prediction with what was found; as the last line of a cell, it shows itself.

    Args:
        prediction: What `predict` returned.
        answer: The option that turned out right, or the number found. Tests compare its text, so
            round what differs between machines.
        because: Why, in one sentence.
        tolerance: How far, as a share of the answer, a predicted number may be off to agree.

    Raises:
        ValueError: the answer is not one of the options, or not a number where one was asked.
    """
    if prediction.options and answer not in prediction.options:
        raise ValueError(f"answer must be one of {list(prediction.options)}, got {answer!r}")
    if not prediction.options and isinstance(answer, str):
        raise ValueError(f"answer must be a number, as the question asks for one; got {answer!r}")
    said = prediction.value
    if isinstance(said, float) and not isinstance(answer, str):
        agrees = abs(said - answer) <= tolerance * abs(answer)
    else:
        agrees = said == answer
    return Reveal(said, answer, agrees, because)


def _as_number(text: str) -> float | None:
    try:
        number = float(re.sub(r"[,_\s]", "", text))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _written(value: str | float) -> str:
    """Writes a number the way prose does: 2,500,000 and 0.25."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"
