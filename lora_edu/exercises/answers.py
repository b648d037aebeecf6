"""Looking at a learner's answer without trusting it: is it blank, and what went wrong in it?"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import linecache
import textwrap
import traceback
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_LIBRARIES = ("site-packages", "dist-packages")
_PACKAGE = str(Path(__file__).resolve().parent.parent)
_STANDARD_LIBRARY = str(Path(inspect.__file__).resolve().parent)


class NotTried(Exception):
    """The answer still holds a blank."""


class ReturnedNothing(TypeError):
    """The learner's function ended without returning a value."""


class Changed(Exception):
    """The learner's function changed what it was given."""


def is_blank(answer: Any) -> bool:
    """Says whether an answer has not been written yet, or only in part.

    Example:
        >>> is_blank(...), is_blank(None), is_blank([1, ...]), is_blank(0)
        (True, True, True, False)
    """
    if answer is None or answer is ...:
        return True
    if isinstance(answer, dict):
        return any(map(is_blank, answer.values()))
    if isinstance(answer, (list, tuple)):
        return any(map(is_blank, answer))
    if isinstance(answer, types.FunctionType):
        return _has_blank_code(answer)
    if isinstance(answer, type):
        methods = [part for part in vars(answer).values() if inspect.isfunction(part)]
        return any(map(_has_blank_code, methods))
    return False


def is_half_written(answer: Any) -> bool:
    """Says whether a blank answer has something beside its blanks: code, or other members.

    Example:
        >>> is_half_written((1, ...)), is_half_written((..., ...)), is_half_written(...)
        (True, False, False)
    """
    if isinstance(answer, dict):
        return not all(map(is_blank, answer.values()))
    if isinstance(answer, (list, tuple)):
        return not all(map(is_blank, answer))
    if isinstance(answer, types.FunctionType):
        tree = _tree(answer)
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)] if tree else []
        return not functions or bool(_code(functions[0]))
    return isinstance(answer, type)


def _tree(function: types.FunctionType) -> ast.Module | None:
    """Parses a function's source; None where there is none.

    The source decides what is blank, since bytecode differs between Python versions.
    """
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, IndexError):
        return None


def _code(function: ast.FunctionDef) -> list[ast.stmt]:
    """The statements of a body that somebody wrote: no docstring, `...` or `return ...`.

    `super().__init__()` is not one either: every module's `__init__` has it, written or not.
    """
    start = ast.dump(ast.parse("super().__init__()").body[0])
    return [
        part
        for part in function.body
        if not (isinstance(part, (ast.Expr, ast.Return)) and isinstance(part.value, ast.Constant))
        and ast.dump(part) != start
    ]


def _has_blank_code(function: types.FunctionType) -> bool:
    """Says whether a function's source still has a `...` to fill in.

    An index such as `x[..., 0]` is none, and neither is a line `...` that was left standing in a
    body with code. Without source the function counts as written.
    """
    if (tree := _tree(function)) is None:
        return False
    harmless: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            harmless.update(ast.walk(node.slice))
        if isinstance(node, ast.FunctionDef) and _code(node):
            harmless.update(part.value for part in node.body if isinstance(part, ast.Expr))
    return any(
        isinstance(node, ast.Constant) and node.value is ... and node not in harmless
        for node in ast.walk(tree)
    )


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
                "needs that. Make a new one: `2 * x` and `sorted(x)`, not `x *= 2` and `x.sort()`."
            )


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


def explain_error(error: Exception) -> str:
    """Says in one or two sentences what an exception raised while checking means.

    It names the last line of the learner's own code that was running; where no such line was,
    the answer was of a kind that the checker could not use.
    """
    if isinstance(error, ReturnedNothing):
        return "Your function returned None: is the `return` missing?"
    if isinstance(error, Changed):
        return str(error)
    kind, text = type(error).__name__, _first_line(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_learners(frame)]
    if not frames and text.endswith("object is not callable"):
        return "This is a value. Hand over the function or class itself, without calling it."
    if not frames:
        return f"This answer could not be used ({kind}: {text}). Is it of the kind asked for?"
    last = frames[-1]
    line = linecache.getline(last.filename, last.lineno or 0).strip()
    return f"Your code raised {kind}: {text} (line {last.lineno} of its cell: `{line}`)"


def _first_line(error: Exception) -> str:
    """Returns the first line of an exception's text, even where its `__str__` raises."""
    try:
        return (str(error).splitlines() or [""])[0]
    except Exception:
        return ""


def _is_learners(frame: traceback.FrameSummary) -> bool:
    path = frame.filename
    if path.startswith((_PACKAGE, _STANDARD_LIBRARY)) or path.startswith("<frozen"):
        return False
    return not any(part in Path(path).parts for part in _LIBRARIES)
