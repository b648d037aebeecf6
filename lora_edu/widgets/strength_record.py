"""What the shipped adapters answered at each strength: the recording, and how it is read.

`data/results/strengths.json` is made by `scripts/record_strengths.py`. With it the strength
explorer answers at once, and the same on every machine; the model behind it is not even loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_edu.files import data_path

STRENGTHS = tuple(step / 10 for step in range(-10, 21))
CLASSES = ("not spam", "spam")  # of the one shipped adapter that has a head
MOST_ROWS = 5  # next tokens that the explorer shows


@dataclass(frozen=True)
class Answer:
    """What a model with an adapter of some strength says to a prompt.

    Args:
        text: The greedy continuation; "" from a classifier.
        shares: Probability of each watched next token, or of each class.
    """

    text: str
    shares: dict[str, float]

    @property
    def likeliest(self) -> str:
        """The watched token, or the class, with the largest probability."""
        return max(self.shares, key=self.shares.__getitem__)


@dataclass(frozen=True)
class Prompt:
    """A prompt with an answer for each of `STRENGTHS`."""

    text: str
    answers: tuple[Answer, ...]

    def at(self, strength: float) -> Answer:
        """The answer at the recorded strength next to this one."""
        return self.answers[min(range(len(STRENGTHS)), key=lambda i: abs(STRENGTHS[i] - strength))]

    @property
    def rows(self) -> tuple[str, ...]:
        """The watched tokens that matter: those likeliest at some strength from 0 on."""
        answers = [a for a, strength in zip(self.answers, STRENGTHS, strict=True) if strength >= 0]
        return matter({name: max(a.shares[name] for a in answers) for name in answers[0].shares})


def with_others(rows: Sequence[str], answer: Answer) -> tuple[str, ...]:
    """Returns the rows, and behind them the other watched tokens, for where one is likeliest.

    Example:
        >>> with_others(["b"], Answer("", {"a": 0.1, "b": 0.6}))
        ('b', 'a')
    """
    return (*rows, *(name for name in answer.shares if name not in rows))


Recording = Mapping[str, Sequence[Prompt]]


def matter(peaks: Mapping[str, float]) -> tuple[str, ...]:
    """Returns the `MOST_ROWS` names with the largest values, in the order they came in.

    Example:
        >>> matter({"a": 0.1, "b": 0.6, "c": 0.2, "d": 0.0, "e": 0.3, "f": 0.4})
        ('a', 'b', 'c', 'e', 'f')
    """
    largest = sorted(peaks, key=peaks.__getitem__, reverse=True)[:MOST_ROWS]
    return tuple(name for name in peaks if name in largest)


def read_recording(path: Path | None = None) -> Recording:
    """Reads the recorded answers: name of an adapter → its prompts."""
    path = path or data_path("results", "strengths.json")
    stored = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: [
            Prompt(prompt["text"], tuple(Answer(**answer) for answer in prompt["answers"]))
            for prompt in prompts
        ]
        for name, prompts in stored["answers"].items()
    }
