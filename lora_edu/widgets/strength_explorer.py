"""The strength explorer: choose an adapter, drag its strength, watch the model's words change.

`components/strength.js` shows it, and answers from the recording at once, without a kernel. Only
a learner's own prompt asks the model itself, one strength after another; torch is imported then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from lora_edu.widgets.component import Component
from lora_edu.widgets.strength_record import (
    CLASSES,
    MOST_ROWS,
    STRENGTHS,
    Answer,
    Prompt,
    Recording,
    read_recording,
    with_others,
)


@dataclass(frozen=True)
class Task:
    """What an adapter was trained for, as a reader is told.

    Args:
        does: In a few words.
        example: A prompt of the kind that it reads.
        hint: The same, short enough for an empty field.
        ends: What a prompt ends with in its training data.
        needs: What every prompt of the kind has in it.
        otherwise: What a reader is told of a prompt without that.
    """

    does: str
    example: str
    hint: str
    ends: str = ""
    needs: str = ""
    otherwise: str = ""


# By the name of the adapter's folder; the first one opens the explorer.
TASKS = {
    "menu": Task(
        "turns data about a place to eat into a sentence",
        "name[Blue Cat], dish[soup]",
        "name[…], dish[…]",
        ends="\n",
        needs="[",
        otherwise="The waiter knows lists of facts such as name[…]; for free text choose tales.",
    ),
    "tales": Task(
        "tells the story as a pirate would", "The cat went to the", "Long ago there was a"
    ),
    "spam": Task("says whether a message is spam", "Win a free trip now!", "or your own message"),
}
_STRENGTHS_IN_TEXT = (-1.0, 0.0, 0.5, 1.0, 2.0)


class Answers(Protocol):
    """What answers a learner's own prompt: a `Responder`."""

    def answer(self, adapter: str, prompt: str, strength: float) -> Answer:
        """What the base with this adapter says."""

    def rows(self, adapter: str, prompt: str) -> tuple[str, ...]:
        """The watched tokens that matter."""

    def unread_tokens(self, prompt: str) -> int:
        """How many tokens at the prompt's start the model cannot read."""


def load_responder() -> Answers:
    """Loads the model behind the explorer."""
    from lora_edu.widgets.strength_responder import Responder  # and torch, which takes a second

    return Responder()


def explain(prompt: str, strength: float, answer: Answer) -> str:
    """Says in one line what is answered.

    Example:
        >>> explain("Win a prize", -0.5, Answer("", {"not spam": 0.1, "spam": 0.9}))
        'Strength −0.5: Win a prize → spam, 90 %'
    """
    return f"Strength {_signed(strength)}: {prompt.strip()} → {_said(answer).strip()}"


def _signed(strength: float) -> str:
    return f"{strength:.1f}".replace("-", "−")


def _said(answer: Answer) -> str:
    if set(answer.shares) != set(CLASSES):
        return answer.text
    return f"{answer.likeliest}, {chance(answer.shares[answer.likeliest])}"


def chance(share: float) -> str:
    """Writes a probability in whole per cent; what is not certain is never 0 or 100 %.

    Example:
        >>> chance(0.0004), chance(0.57), chance(0.9998)
        ('< 1 %', '57 %', '> 99 %')
    """
    number = round(100 * share)
    return {0: "< 1 %", 100: "> 99 %"}.get(number, f"{number} %")


def describe(name: str, prompt: Prompt, strength: float) -> str:
    """Says in words what the explorer shows of a recorded prompt."""
    now, base = prompt.at(strength), prompt.at(0.0)
    seen = [[chance(answer.shares[row]) for row in prompt.rows] for answer in (now, base)]
    rows = ", ".join(
        f"{row.replace('(', '').replace(')', '')} {share} ({was})"
        for row, share, was in zip(prompt.rows, *seen)
    )
    return (
        f"The strength explorer, with the {name} adapter. {explain(prompt.text, strength, now)} "
        f"The base alone: {_said(base).strip()} Likeliest next words, in brackets for the base "
        f"alone: {rows}. {path_in_words(strength)}"
    )


def path_in_words(strength: float) -> str:
    """Says what a layer does at a strength s, y = x W + s · x ΔW: the text of the drawing.

    Example:
        >>> path_in_words(-0.5).partition(". ")[2]
        'What comes through A and B is multiplied by −0.5, so it is taken away.'
    """
    if strength == 0:
        does = "nothing is added: y is that of the base alone"
    elif strength < 0:
        does = "it is taken away"
    elif strength == 1:
        does = "it is added as it was trained"
    else:
        does = f"{'less' if strength < 1 else 'more'} is added than was trained"
    return (
        "In each adapted layer, x goes through the frozen W, and beside it through A and B. "
        f"What comes through A and B is multiplied by {_signed(strength)}, so {does}."
    )


def strength_explorer(
    recording: Recording | None = None, make_responder: Callable[[], Answers] = load_responder
) -> Component:
    """Makes the strength explorer.

    Args:
        recording: Recorded answers; those that ship by default.
        make_responder: Makes what answers own prompts, when the first one comes.
    """
    recording = read_recording() if recording is None else recording
    names = [name for name in TASKS if name in recording]
    first = recording[names[0]][0]
    lines = [explain(first.text, strength, first.at(strength)) for strength in _STRENGTHS_IN_TEXT]
    adapters = [_adapter(name, recording[name]) for name in names]
    return Component(
        "strength",
        {"strengths": STRENGTHS, "most": MOST_ROWS, "adapters": adapters},
        alt=describe(names[0], first, 1.0),
        text="\n".join([f"{names[0]}: {TASKS[names[0]].does}", *lines]),
        ask=_Asked(make_responder),
    )


def _adapter(name: str, prompts: list[Prompt]) -> dict[str, Any]:
    """An adapter as the page has it."""
    task = TASKS[name]
    return {
        "name": name,
        "does": task.does,
        "example": task.example,
        "hint": task.hint,
        "ends": task.ends,
        "needs": task.needs,
        "otherwise": task.otherwise,
        "classifies": set(prompts[0].rows) == set(CLASSES),
        "prompts": [_prompt(prompt) for prompt in prompts],
    }


def _prompt(prompt: Prompt) -> dict[str, Any]:
    """A recorded prompt as the page has it."""
    rows = with_others(prompt.rows, prompt.answers[0])
    answers = [_answer(answer, rows) for answer in prompt.answers]
    return {"text": prompt.text, "rows": rows, "answers": answers}


def _answer(answer: Answer, rows: tuple[str, ...]) -> dict[str, Any]:
    """An answer as the page has it: `first` is the place of the row that the text begins with."""
    name = answer.likeliest
    first = rows.index(name) if name in rows and _says(answer, name) else None
    return {
        "text": answer.text,
        "shares": [round(answer.shares[row], 4) for row in rows],
        "first": first,
    }


def _says(answer: Answer, name: str) -> bool:
    """Whether what is said begins with a token; where another one is likelier, it does not."""
    if name in (*CLASSES, "(end)"):
        return not answer.text.strip()
    return answer.text.strip(" ").replace("\n", "↵").startswith(name.partition("(")[0])


class _Asked:
    """Answers the page's requests, one strength each."""

    def __init__(self, make_responder: Callable[[], Answers]) -> None:
        self._make_responder = make_responder
        self._responder: Answers | None = None

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answers {"adapter": …, "prompt": …, "strength": …}."""
        if self._responder is None:
            self._responder = self._make_responder()
        adapter, prompt = request["adapter"], request["prompt"]
        answer = self._responder.answer(adapter, prompt, request["strength"])
        rows = with_others(self._responder.rows(adapter, prompt), answer)
        unread = self._responder.unread_tokens(prompt)
        return {"answer": _answer(answer, rows), "rows": rows, "unread": unread}
