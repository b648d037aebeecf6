"""Predict before you look: a recorded choice or number, compared with the result afterwards.

    prediction = predict("Which has more trainable parameters?", ["LoRA", "full fine-tuning"])
    …                                           # the cell that measures
    reveal(prediction, "full fine-tuning", because="it trains every weight")

A notebook that is run from top to bottom records no prediction and says so.

The form is a piece of the page that tells Python what is chosen; no widget view is stored. Python
writes the choice into the stored output, so it is there when the notebook is opened again.
"""

from __future__ import annotations

import hashlib
import secrets
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

from IPython.display import display

from lora_edu.plots import LINE_CHARACTERS, faced, widths_px
from lora_edu.widgets.component import SESSION, Component, connect
from lora_edu.widgets.number_said import number_said
from lora_edu.widgets.units import digits
from lora_edu.widgets.verdict import verdict

NONE_YET = "No prediction recorded."
TOLERANCE = 0.1  # of a number, as a share of the answer
_EXACT = 0.01  # a smaller tolerance wants the number itself

_INSET_PX = 17  # of what was measured, beneath the words of an answer
_times_asked: Counter[str] = Counter()  # each question in this kernel
_latest: dict[tuple[str, ...], Prediction] = {}  # question and options → what `predict` made of it


class Prediction:
    """A question with the learner's answer to it, shown by `_ipython_display_`.

    Args:
        question: The question, one sentence.
        options: The choices; empty asks for a number instead.
        tolerance: How far, as a share of the answer, a number may be off to agree. The form of one
            that may hardly be off asks for the exact number.

    Raises:
        ValueError: the question is empty, there is one option only, or two are equal.

    Example:
        >>> prediction = Prediction("Which is larger?", ["A", "B"])
        >>> prediction.value is None
        True
        >>> prediction.say("B")
        >>> prediction.value
        'B'
    """

    def __init__(
        self, question: str, options: Sequence[str] = (), *, tolerance: float = TOLERANCE
    ) -> None:
        if not question.strip():
            raise ValueError("question must be a sentence, got nothing")
        if len(options) == 1 or len(set(options)) < len(options):
            raise ValueError(f"options must be two or more different texts, got {list(options)}")
        self.question = question
        self.options = tuple(options)
        self.tolerance = tolerance
        #: The prediction: an option, a number, or None while there is none.
        self.value: str | float | None = None
        #: Why what was typed last is no answer; "" when it is one.
        self.note = ""
        self._typed = ""
        asked = "\n".join((question, *options))
        _times_asked[asked] += 1
        self._asked = f"{asked}\n{_times_asked[asked]}"
        self._display_id = f"prediction-{secrets.token_hex(8)}"
        self._is_shown = False
        self._is_answered = False  # an answer was shown already
        self._is_late = False  # and what is recorded now came after it

    def say(self, said: str) -> None:
        """Records an answer; one that cannot be read leaves no prediction, and `note` says why.

        Args:
            said: An option, or a number as a learner types it; "" takes the prediction back.
        """
        value, note = self._read(said)
        if value is not None:
            _written(value)  # what cannot be written is not recorded
        self._typed, self.value, self.note = said, value, note
        self._is_late = self._is_answered
        if self._is_shown:
            self._show(update=True)

    def _read(self, said: str) -> tuple[str | float | None, str]:
        if not said.strip():
            nothing_yet = not self._typed.strip() and not self.options
            return None, "Type a number first." if nothing_yet else ""
        if self.options:
            return (said, "") if said in self.options else (None, "This is none of the choices.")
        try:
            return number_said(said, self.question), ""
        except ValueError as error:
            return None, str(error)

    def _compare(self) -> str | float | None:
        """Returns the prediction to an answer that is shown now; one made later is late."""
        was_late, self._is_late, self._is_answered = self._is_late, False, True
        if was_late and self._is_shown:
            self._show(update=True)
        return self.value

    def _answer(self, said: str) -> dict[str, Any]:
        """Answers the form: what it tells beneath."""
        self.say(said)
        return self._state()

    def _state(self) -> dict[str, Any]:
        said = None if self.value is None else _written(self.value)
        return {"said": said, "note": self.note, "late": self._is_late}

    def __repr__(self) -> str:
        """Returns question and options as text, for readers without a kernel."""
        if self.options:
            marks = ("●" if option == self.value else "○" for option in self.options)
            return f"Predict: {self.question}" + "".join(
                f"\n  {mark} {option}" for mark, option in zip(marks, self.options)
            )
        wanted = "the exact number" if self.is_exact else "a number"
        said = wanted if self.value is None else f"recorded: {_written(self.value)}"
        return f"Predict: {self.question} ({said})"

    @property
    def is_exact(self) -> bool:
        """Whether the number itself is wanted, not a guess near it."""
        return not self.options and self.tolerance < _EXACT

    @property
    def key(self) -> str:
        """Names the form in its page: the same before and after an answer, for this form alone."""
        return f"lx{hashlib.sha256(self._asked.encode()).hexdigest()[:8]}-{SESSION}"

    def still(self) -> str:
        """Returns question and answer as HTML that needs no script."""
        lines = [escape(line.strip()) for line in repr(self).split("\n")]
        return f"<div><b>{lines[0]}</b>" + "".join(f"<br>{line}" for line in lines[1:]) + "</div>"

    def _ipython_display_(self) -> None:
        self._is_shown = True
        connect(self.key, self._answer)
        self._show(update=False)

    def _show(self, update: bool) -> None:
        bundle = {"text/html": _Form(self).html(), "text/plain": repr(self)}
        display(bundle, raw=True, display_id=self._display_id, update=update)


class _Form(Component):
    """The form of a prediction; where no script runs, question and answer as a list."""

    def __init__(self, asked: Prediction) -> None:
        data = {"question": asked.question, "options": list(asked.options), "typed": asked._typed}
        data |= {"exact": asked.is_exact} | asked._state()
        super().__init__("predict", data, alt=repr(asked), ask=asked._answer)
        self._asked = asked

    @property
    def key(self) -> str:
        # The same before and after the answer: the form that asks hears it.
        return self._asked.key

    def _picture(self) -> str:
        return self._asked.still()


class Shown(Protocol):
    """What a cell can end in, such as a table; its `repr` is the same in plain text."""

    def _repr_html_(self) -> str: ...


@dataclass(frozen=True)
class Reveal:
    """A prediction beside the result.

    Args:
        prediction: What the learner said, or None.
        answer: What was found.
        agrees: Whether the two agree.
        verdict: How well, in a few words.
        because: Why it is so, in one sentence.
        measured: What the answer was read from, one thing after the other: texts, tables, pictures.
    """

    prediction: str | float | None
    answer: str | float
    agrees: bool
    verdict: str = ""
    because: str = ""
    measured: Sequence[str | Shown] = ()

    def __repr__(self) -> str:
        """Returns the text a notebook shows."""
        if self.prediction is None:
            said = NONE_YET
        else:
            mark = "✓" if self.agrees else "✗"
            said = f"{mark} {self._said(self.prediction)}"
        told = textwrap.fill(f"{said} {self._found()}", LINE_CHARACTERS)
        return "\n".join([told, *map(str, self.measured)])

    def _said(self, prediction: str | float) -> str:
        return f"You predicted: {_written(prediction)}. That is {self.verdict}."

    def _found(self) -> str:
        return f"Found: {_written(self.answer)}. {self._why()}".strip()

    def _why(self) -> str:
        return f"Why: {self.because.rstrip('.')}." if self.because else ""

    def _repr_html_(self) -> str:
        """Returns the answer with a face; folded as long as nothing was predicted."""
        if self.prediction is None:
            unfold = "No prediction recorded. Make one above and run this cell again, or unfold"
            told = faced("told", f"The answer: {_written(self.answer)}", self._why())
            # A margin, so that its triangle does not touch the cell's number.
            style = "cursor:pointer;line-height:1.5;margin:4px 0 4px 9px"
            summary = f'<summary style="{style}">{unfold}.</summary>'
            return f"<details>{summary}{told}{self._measured_html()}</details>"
        said = self._said(self.prediction)
        told = faced("right" if self.agrees else "wrong", said, self._found())
        return told + self._measured_html()

    def _measured_html(self) -> str:
        """What was measured, beneath the answer and as far from the edge."""
        style = f"margin:4px 0 8px {_INSET_PX}px;max-width:{widths_px()['wide'] - _INSET_PX}px;"
        style += "line-height:1.5;overflow-x:auto"
        return "".join(f'<div style="{style}">{_html(each)}</div>' for each in self.measured)


def _html(shown: str | Shown) -> str:
    if isinstance(shown, str):
        return escape(shown).replace("\n", "<br>")
    return shown._repr_html_()


def predict(
    question: str, options: Sequence[str] = (), *, tolerance: float = TOLERANCE
) -> Prediction:
    """Asks for a prediction; as the last line of a cell, it shows itself.

    A cell that is run again keeps what was recorded.

    Args:
        question: The question, one sentence.
        options: The choices; empty asks for a number instead.
        tolerance: See `Prediction`.

    Raises:
        ValueError: see `Prediction`.
    """
    made, asked = Prediction(question, options, tolerance=tolerance), (question, *options)
    earlier = _latest.get(asked)
    if earlier is not None and earlier.value is not None:
        made.say(earlier._typed)
    _latest[asked] = made
    return made


def reveal(
    prediction: Prediction,
    answer: str | float,
    *,
    because: str = "",
    measured: str | Shown | Sequence[str | Shown] = (),
    tolerance: float | None = None,
) -> Reveal:
    """Compares a prediction with what was found; as the last line of a cell, it shows itself.

    A prediction that is made afterwards says in its form that this must run again.

    Args:
        prediction: What `predict` returned.
        answer: The option that turned out right, or the number found. Tests compare its text, so
            round what differs between machines.
        because: Why, in one sentence.
        measured: What the answer was read from: a text, a table, a `picture`, or several of them.
            They are folded with the answer, while what a cell above shows would stand open.
        tolerance: How far, as a share of the answer, a predicted number may be off to agree; by
            default as `predict` was told.

    Raises:
        ValueError: the answer is not one of the options, or not a number where one was asked.
    """
    if prediction.options and answer not in prediction.options:
        raise ValueError(f"answer must be one of {list(prediction.options)}, got {answer!r}")
    if not prediction.options and isinstance(answer, str):
        raise ValueError(f"answer must be a number, as the question asks for one; got {answer!r}")
    several = isinstance(measured, Sequence) and not isinstance(measured, str)
    folded = tuple(measured if several else [measured] if measured else [])
    said = prediction._compare()
    if said is None:
        return Reveal(None, answer, agrees=False, because=because, measured=folded)
    allowed = prediction.tolerance if tolerance is None else tolerance
    agrees, words = verdict(said, answer, question=prediction.question, tolerance=allowed)
    return Reveal(said, answer, agrees, words, because, folded)


def _written(value: str | float) -> str:
    """Writes a number the way prose does: 2,500,000 and 0.25."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}".replace("-", "−") if float(value).is_integer() else digits(value, 4)
