"""Predictions on the course's site: each answer knows the form that it answers.

No Python is behind a page. So the answer in its fold carries what `docs/site/_static/answers.js`
needs to compare it with what the reader recorded: the form's key, the answer, the tolerance, and
the same answer as it looks to someone who was right, and to someone who was wrong.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape, unescape

from nbformat import NotebookNode

from lora_edu.plots import faced
from lora_edu.widgets.component import program
from lora_edu.widgets.quiz import TOLERANCE

_KEY = re.compile(r'data-lora="([^"]+)"')
# An answer folds itself where nothing was predicted; a page has folded the whole output already.
_FOLDED = re.compile(
    r"<details><summary[^>]*>No prediction recorded[^<]*</summary>"
    r"(<div.*?<b>The answer: (.*?)</b></div>(?:<div[^>]*>(.*?)</div>)?</div>)"
    r"(<div.*</div>)?</details>$",  # to the last: what was measured may have folds of its own
    re.S,
)
_MOODS = ("right", "wrong")  # in the order that the page's script takes them
_START = re.compile(r'^start\("([^"]+)", mount, (\{.*\}), null\);$', re.M)
_START_ANEW = r"""const DATA = \2;
const again = guess => start("\1", mount, { ...DATA, guess }, null);
(globalThis.loraAgain ??= {})["\1"] = { again, start: DATA.start };
again();"""


@dataclass
class _Asked:
    """A prediction of a notebook: its form in the page, and the answer once there is one."""

    key: str
    is_number: bool
    tolerance: float
    answer: str = ""


def join_answers(notebook: NotebookNode) -> None:
    """Joins each answer in a notebook's outputs with its form; changes the outputs in place.

    Args:
        notebook: Its cells have all outputs that the page will show, asking no Python.

    Raises:
        ValueError: an answer's question is not asked above it.
    """
    asked: dict[str, _Asked] = {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        bundles = [output.data for output in cell.outputs if "text/html" in output.get("data", {})]
        for name, call in _calls(cell.source):
            if name == "predict":
                (key,) = (_KEY.search(bundle["text/html"])[1] for bundle in bundles)
                asked[call.name] = _Asked(
                    key, len(call.arguments) == 1, call.tolerance or TOLERANCE
                )
                for bundle in bundles:  # a box of words is as wide as the text
                    form = bundle["text/html"]
                    bundle["text/html"] = form.replace("<div ", '<div class="asked" ', 1)
            for bundle in bundles:
                if name == "reveal":
                    if call.name not in asked:
                        raise ValueError(f"reveal({call.name}, …) answers no question above it")
                    bundle["text/html"] = _joined(bundle["text/html"], asked[call.name], call)
                elif name == "explorer" and call.name in asked:
                    bundle["text/html"] = _marked(bundle["text/html"], asked[call.name])


@dataclass(frozen=True)
class _Call:
    """A call that a prediction has to do with, by its variable's name."""

    name: str
    arguments: tuple[ast.expr, ...] = ()
    tolerance: float | None = None


def _calls(source: str) -> Iterator[tuple[str, _Call]]:
    """Finds `name = predict(…)`, `reveal(name, …)` and `…(prediction=name)` in a cell."""
    if not re.search(r"\b(predict|reveal)\(|prediction=", source):
        return  # nor need it be plain Python: a cell may install the course
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("predict"), arguments, keywords)):
                yield "predict", _Call(name, tuple(arguments), _tolerance(keywords))
            case ast.Call(ast.Name("reveal"), [ast.Name(name), *_], keywords):
                yield "reveal", _Call(name, tolerance=_tolerance(keywords))
            case ast.Call(keywords=[*_, ast.keyword("prediction", ast.Name(name))]):
                yield "explorer", _Call(name)


def _tolerance(keywords: list[ast.keyword]) -> float | None:
    given = {each.arg: each.value for each in keywords}
    return ast.literal_eval(given["tolerance"]) if "tolerance" in given else None


def marks_a_prediction(source: str) -> bool:
    """Whether a cell shows an explorer with a prediction in it: it starts at the answer.

    Example:
        >>> marks_a_prediction("rank_explorer(prediction=guess)")
        True
    """
    return any(name == "explorer" for name, _ in _calls(source))


def _joined(html: str, asked: _Asked, call: _Call) -> str:
    """An answer that no longer folds itself, beside the two that someone who predicted may see."""

    tolerance = asked.tolerance if call.tolerance is None else call.tolerance

    def both(found: re.Match[str]) -> str:
        told, answer, why = found[1], unescape(found[2]), found[3] or ""
        asked.answer = answer.replace(",", "").replace("−", "-") if asked.is_number else ""
        message = f"Found: {answer}. {unescape(re.sub('</?code>', '`', why))}".strip()
        faces = "".join(f"<template>{faced(mood, '', message)}</template>" for mood in _MOODS)
        joined = (
            f'<div aria-live="polite" data-answers="{asked.key}" data-answer="{escape(answer)}" '
            f'data-number="{asked.answer}" data-tolerance="{tolerance}">{told}{faces}</div>'
        )
        return joined + (found[4] or "")

    return _FOLDED.sub(both, html)


def _marked(html: str, asked: _Asked) -> str:
    """An explorer that the page can start anew with a prediction in it."""
    return (
        f'<div data-guess="{asked.key}" data-number="{asked.answer}">'
        f"{_START.sub(_START_ANEW, html)}</div>"
    )


def page_script(own: str) -> str:
    """Returns the page's script as one function, with what it needs of the package before it.

    Args:
        own: `answers.js`.
    """
    return f"(() => {{\n{program('verdict')}\n{own}}})();\n"
