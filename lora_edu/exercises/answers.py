"""Looking at a learner's answer without trusting it: is it blank, and what went wrong in it?"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import textwrap
import traceback
import types
from pathlib import Path
from typing import Any

from lora_edu.exercises.guarding import Changed, ReturnedNothing

_LIBRARIES = ("site-packages", "dist-packages")
_PACKAGE = str(Path(__file__).resolve().parent.parent)
# As Python words the call of a function or class whose parameters do not fit.
_OTHER_ARGUMENTS = re.compile(
    r"\(\) (takes (no|from|\d+) .*argument|takes no arguments|missing \d+ required positional)"
)
_STANDARD_LIBRARY = str(Path(inspect.__file__).resolve().parent)


def is_blank(answer: Any) -> bool:
    """Says whether an answer has not been written yet, or only in part.

    `None` alone is what a cell without an answer leaves. Inside a collection somebody wrote it.

    Example:
        >>> is_blank(...), is_blank(None), is_blank([1, ...]), is_blank([1, None])
        (True, True, True, False)
    """
    return answer is None or _has_blank(answer)


def _has_blank(answer: Any) -> bool:
    """Says whether there is a `...` to fill in, in whatever part of the answer."""
    if answer is ...:
        return True
    if isinstance(answer, dict):
        return any(map(_has_blank, answer.values()))
    if isinstance(answer, (list, tuple)):
        return any(map(_has_blank, answer))
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
        return not all(map(_has_blank, answer.values()))
    if isinstance(answer, (list, tuple)):
        return not all(map(_has_blank, answer))
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


def explain_error(error: Exception) -> str:
    """Says in one or two sentences what an exception raised while checking means.

    It names the last line of the learner's own code that was running; where no such line was,
    the answer was of a kind that the checker could not use.
    """
    if isinstance(error, ReturnedNothing):
        return "Your function returned None: is the `return` missing, or not always reached?"
    if isinstance(error, Changed):
        return str(error)
    kind, text = type(error).__name__, first_line(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_learners(frame)]
    if not frames and text.endswith("object is not callable"):
        return "This is a value. Hand over the function or class itself, without calling it."
    if not frames and _OTHER_ARGUMENTS.search(text):
        return "It takes another number of arguments than the exercise gives it. Keep those there."
    if not frames:
        return f"This answer could not be used ({kind}: {text}). Is it of the kind asked for?"
    last = frames[-1]
    line = linecache.getline(last.filename, last.lineno or 0).strip()
    said = f"Your code raised {kind}: {text} (line {last.lineno} of its cell: `{line}`)"
    if text.startswith("The size of tensor a") and "*" in line and "+" not in line:
        said += " `*` multiplies number by number; the matrix product is `@`."
    return said


def first_line(error: Exception) -> str:
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
