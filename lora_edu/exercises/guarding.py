"""Calling a learner's function so that it tells what its result would hide."""

from __future__ import annotations

import copy
import functools
import types
from typing import Any

import torch
from torch import Tensor, nn


class NotTried(Exception):
    """The answer still holds a blank."""


class ReturnedNothing(TypeError):
    """The learner's function ended without returning a value."""


class Changed(Exception):
    """The learner's function changed what it was given."""


def guard(answer: Any, in_place: bool) -> Any:
    """Returns an answer that tells of itself what its results may hide, when it is called.

    A function is wrapped: where it returns `...` it raises `NotTried`, and unless it works
    `in_place`, `ReturnedNothing` where it returns nothing and `Changed` where its arguments are
    not what they were. Everything else is returned as it is.
    """
    if not isinstance(answer, types.FunctionType):
        return answer

    @functools.wraps(answer)
    def guarded(*arguments: Any) -> Any:
        given = None if in_place else copy.deepcopy(arguments)
        result = answer(*arguments)
        if result is ... or (isinstance(result, tuple) and any(part is ... for part in result)):
            raise NotTried
        if given is not None:
            _unchanged(answer, given, arguments)
            if result is None:
                raise ReturnedNothing(f"{answer.__name__} returned None")
        return result

    return guarded


def _unchanged(answer: types.FunctionType, given: tuple[Any, ...], now: tuple[Any, ...]) -> None:
    """Raises `Changed` with the name of the first argument that is not what it was."""
    names = [*answer.__code__.co_varnames[: answer.__code__.co_argcount], *["argument"] * len(now)]
    for name, before, after in zip(names, given, now, strict=False):
        if not is_as_it_was(before, after):
            raise Changed(
                f"Your function changes the `{name}` that it is given, and whoever calls it still "
                f"needs that. {_instead(name, before)}"
            )


def _instead(name: str, given: Any) -> str:
    """Says how to make a new object of that kind, in place of changing the one given."""
    if isinstance(given, nn.Module):
        return f"Compute new tensors from those in `{name}`: `+` makes one, `+=` changes one."
    if isinstance(given, Tensor):
        return f"Make a new one: `2 * {name}` or `{name}.clone()`, not `{name} *= 2`."
    kind = type(given).__name__
    if isinstance(given, (dict, list)):
        return f"Work on a copy: `{kind}({name})` makes one."
    return "Make new ones of what is in it."


def is_as_it_was(before: Any, after: Any) -> bool:
    """Says whether an object has the values of a copy made earlier, entry by entry.

    Example:
        >>> is_as_it_was([1, {"a": 2}], [1, {"a": 2}]), is_as_it_was([1, 2], [2, 1])
        (True, False)
    """
    if isinstance(before, nn.Module):
        return is_as_it_was(before.state_dict(), after.state_dict())
    if isinstance(before, Tensor):
        return before.shape == after.shape and torch.equal(before, after)
    if isinstance(before, dict):
        return list(before) == list(after) and all(
            is_as_it_was(value, after[name]) for name, value in before.items()
        )
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(is_as_it_was, before, after))
    return before is after or bool(before == after)
