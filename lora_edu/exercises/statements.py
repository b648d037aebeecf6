"""Exercises of the kind "True or false?": a dict of names, each with True or False."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lora_edu.exercises.core import Wrong


def judge_statements(
    answer: Any, truth: Mapping[str, bool], misconceptions: Mapping[str, str]
) -> None:
    """Compares a learner's dict of statements with the truth, in the order of `truth`.

    Args:
        answer: What the learner wrote.
        truth: True or False by the name of each statement.
        misconceptions: What to say where a statement was judged wrongly, by its name.

    Raises:
        Wrong: names are missing, a value is neither True nor False, or a statement is judged
            wrongly; the message starts with the name of the first such statement.

    Example:
        >>> judge_statements({"flat": False}, {"flat": False}, {"flat": "it is round"})
    """
    given = statements(answer, truth)
    for name, wanted in truth.items():
        if given[name] != wanted:
            raise Wrong(f'"{name}": {misconceptions[name]}.')


def statements(answer: Any, names: Iterable[str]) -> dict[str, bool]:
    """Returns a learner's dict of statements; 0 and 1 of any library count as False and True.

    Args:
        answer: What the learner wrote.
        names: The statements' names.

    Raises:
        Wrong: names are missing or added, or a value is neither True nor False.

    Example:
        >>> statements({"flat": 0}, ["flat"])
        {'flat': False}
    """
    if not isinstance(answer, dict) or answer.keys() != set(names):
        raise Wrong(f"Keep the dict with the names {', '.join(names)}.")
    for name, value in answer.items():
        if value not in (True, False):
            raise Wrong(f'"{name}" must be True or False, without quotation marks.')
    return {name: bool(value) for name, value in answer.items()}
