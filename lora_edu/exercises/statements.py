"""Exercises whose answer is a dict of names, each with True or False, or with a chosen word."""

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
        if isinstance(value, str):
            raise Wrong(f'"{name}" must be True or False, without quotation marks.')
        if value not in (True, False):
            raise Wrong(f'"{name}" must be True or False, and {value!r} is neither.')
    return {name: bool(value) for name, value in answer.items()}


def _quoted(names: list[str]) -> str:
    """Lists names that may have commas of their own."""
    return "; ".join(f'"{name}"' for name in names)


def choices(answer: Any, names: Iterable[str], allowed: Iterable[str]) -> dict[str, str]:
    """Returns a learner's dict of chosen words, as they are spelt in `allowed`.

    Args:
        answer: What the learner wrote; capitals and spaces around a word do not matter.
        names: The names that were to be given a word.
        allowed: The words to choose among.

    Raises:
        Wrong: names are missing or added, or a word is none of those allowed.

    Example:
        >>> choices({"sky": " Blue"}, ["sky"], ["blue", "grey"])
        {'sky': 'blue'}
    """
    names, spelt = list(names), {word.casefold(): word for word in allowed}
    if not isinstance(answer, dict) or answer.keys() != set(names):
        raise Wrong(f"Keep the dict with its {len(names)} names: {_quoted(names)}.")
    for value in answer.values():
        if not isinstance(value, str) or value.strip().casefold() not in spelt:
            raise Wrong(
                f"Choose among {', '.join(sorted(spelt.values()))}; {value!r} is not among them."
            )
    return {name: spelt[value.strip().casefold()] for name, value in answer.items()}
