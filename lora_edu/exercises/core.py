"""The framework of the exercises: registering a checker, and judging an answer with it.

A checker is a function of the learner's answer. It returns nothing when the answer is right, and
raises `Wrong` with the misconception when it is not:

    @exercise("10.scaling", praise="Before you compare two runs, compare this number.")
    def scaling(answer):
        if answer(16, 4) == 16:
            raise Wrong("You multiplied by alpha alone; the paper divides by the rank.")
        if answer(16, 4) != 4:
            raise Wrong("For alpha 16 and rank 4 the multiplier is 16 / 4 = 4.")

Whatever the learner's code does, `check` returns a `Verdict` and never raises. The table of the
exercises is in `course.py`; a room is imported when one of its exercises is first asked for. What
each checker must accept and refuse is in the tests, `tests/samples/`.
"""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from lora_edu.exercises.answers import explain_error, is_blank, is_half_written
from lora_edu.exercises.course import ROOMS
from lora_edu.exercises.guarding import NotTried, guard
from lora_edu.plots import Mood, faced

State = Literal["passed", "wrong", "not tried"]
_MARKS = {"passed": "✓", "wrong": "✗", "not tried": "○"}
_MOODS: dict[State, Mood] = {"passed": "right", "wrong": "wrong", "not tried": "open"}
_WORDS = {"passed": "passed", "wrong": "not yet", "not tried": "not tried yet"}
_STILL_BLANK = "A `...` is still in it: replace every one."
_REGISTRY: dict[str, Exercise] = {}


class Wrong(Exception):
    """Raised by a checker: the answer shows this misconception.

    Args:
        misconception: One or two sentences to the learner: what the answer does, and what it
            should do instead. They do not give the solution away.
    """

    def __init__(self, misconception: str) -> None:
        super().__init__(misconception)
        self.misconception = misconception


@dataclass(frozen=True)
class Verdict:
    """What `check` found; a notebook shows it as one short paragraph of text.

    Args:
        name: The exercise, "10.scaling".
        state: "passed", "wrong" or "not tried".
        message: Why it is wrong, or what to do; "" where nothing is to be said.
    """

    name: str
    state: State
    message: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.state == "passed"

    def __repr__(self) -> str:
        """Returns the text a notebook shows."""
        text = f"{_MARKS[self.state]} {self.name}: {_WORDS[self.state]}. {self.message}".strip()
        return textwrap.fill(text, width=92, break_long_words=False, break_on_hyphens=False)

    def place(self) -> str:
        """Returns which of its notebook's exercises it is: "exercise 3 of 6"."""
        notebook = [name for name in ROOMS if name.split(".")[0] == self.name.split(".")[0]]
        if self.name not in notebook:
            return ""
        return f"exercise {notebook.index(self.name) + 1} of {len(notebook)}"

    def _repr_html_(self) -> str:
        """Returns the same with a face, where a page can show one."""
        heading = _WORDS[self.state].capitalize()
        # Beneath the cell that says the name, what a learner looks for is the number.
        return faced(_MOODS[self.state], heading, self.message, aside=self.place() or self.name)


@dataclass(frozen=True)
class Exercise:
    """A registered exercise.

    Args:
        name: "NN.word", where NN is the number of the notebook.
        checker: Returns nothing for a right answer, raises `Wrong` otherwise.
        praise: What to say when the answer is right.
        in_place: The answer is a function that changes its argument and returns nothing.
    """

    name: str
    checker: Callable[[Any], None]
    praise: str
    in_place: bool


def exercise(
    name: str, *, praise: str = "", in_place: bool = False
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Registers the decorated checker as exercise `name`; see `Exercise` for the arguments.

    Raises:
        ValueError: the name is taken, or is not in the table.
    """
    if name not in ROOMS:
        raise ValueError(f"name must be in the table of course.py, got {name!r}")

    def register(checker: Callable[[Any], None]) -> Callable[[Any], None]:
        taken = _REGISTRY.get(name)
        if taken and taken.checker.__qualname__ != checker.__qualname__:  # a reload is no clash
            raise ValueError(f"name must be new, got {name!r}, which is registered already")
        _REGISTRY[name] = Exercise(name, checker, praise, in_place)
        return checker

    return register


def exercises(notebook: str) -> list[Exercise]:
    """Returns the exercises of a notebook, in the order in which it asks them.

    Args:
        notebook: Two digits, such as "02".

    Raises:
        ValueError: there are no exercises for that notebook.
    """
    return [_from_its_room(name) for name in _names(notebook)]


def _names(notebook: str) -> list[str]:
    names = [name for name in ROOMS if name.split(".")[0] == notebook]
    if not names:
        raise ValueError(f"notebook must name one with exercises, got {notebook!r}")
    return names


def _from_its_room(name: str) -> Exercise:
    importlib.import_module(f"lora_edu.exercises.{ROOMS[name]}")
    return _REGISTRY[name]


def check(name: str, answer: Any = ...) -> Verdict:
    """Judges an answer: passed, or the misconception behind it, or not tried yet.

    An answer counts as not tried while it is `None` or `...`, or while a function, class or
    collection has a `...` to fill in. Where only a part is blank, the message says so.

    Args:
        name: The exercise, such as "10.scaling".
        answer: A value, function or class. Nothing it does makes this function raise.

    Returns:
        A verdict; as the last line of a cell it shows itself.

    Raises:
        ValueError: there is no exercise of that name.
    """
    known = _names(name.split(".")[0])
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known)}; got {name!r}")
    task = _from_its_room(name)
    try:
        if is_blank(answer):
            raise NotTried
        task.checker(guard(answer, task.in_place))
    except NotTried:
        return Verdict(name, "not tried", _STILL_BLANK if is_half_written(answer) else "")
    except Wrong as wrong:
        return Verdict(name, "wrong", wrong.misconception)
    except Exception as error:  # the learner's code may raise anything
        return Verdict(name, "wrong", explain_error(error))
    return Verdict(name, "passed", task.praise)
