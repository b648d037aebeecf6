"""What a notebook shows after a run, beside what it has stored, without running anything."""

from __future__ import annotations

import re
from configparser import RawConfigParser
from functools import cache

import nbformat
from nbformat import NotebookNode

from scripts.build_notebooks import scrub
from support.project import ROOT
from support.standard import EXEMPT_TAGS, code_cells, tags

SANITIZE = ROOT / "tests/notebooks/sanitize.cfg"
NOT_COMPARED = {"image/png"}  # as nbval
WAITS = re.compile("not (passed|tried|yours) yet")  # for an exercise, which the solution has done


def stored_outputs(name: str) -> NotebookNode:
    """Reads a learner's notebook, with what it keeps back taken from the solution."""
    learner, solution = (
        nbformat.read(ROOT / folder / f"{name}.ipynb", as_version=4)
        for folder in ("notebooks", "notebooks/solutions")
    )
    solved = {cell.id: cell for cell in code_cells(solution)}
    for cell in code_cells(learner):
        kept = cell.execution_count is None and cell.id in solved
        if kept and cell.source == solved[cell.id].source:
            cell.update(solved[cell.id])
    return learner


def differences(stored: NotebookNode, run: NotebookNode) -> list[str]:
    """Returns what stored outputs say and a run did not, a line for each cell that differs.

    Cells that nbval would not compare are left out: those that are exempt, and those that store
    nothing. An output that waits for an exercise may differ. Changes `run` as the builder changes
    what it stores.
    """
    scrub(run)
    ran = {cell.id: cell for cell in code_cells(run)}
    found = []
    for cell in code_cells(stored):
        if tags(cell) & EXEMPT_TAGS or cell.execution_count is None:
            continue
        before, after = (_said(each) for each in (cell, ran[cell.id]))
        pairs = zip(before, after, strict=False)
        alike = all(old == new or WAITS.search(new[1]) for old, new in pairs)
        if len(before) != len(after) or not alike:
            found.append(f"{cell.source[:60]!r}: stored {before}, now {after}")
    return found


def _said(cell: NotebookNode) -> list[tuple[str, str]]:
    """The kinds of a cell's outputs and their text, with what may differ replaced."""
    pieces = []
    for output in cell.outputs:
        if "text" in output:
            pieces.append((output.name, output.text))
        pieces += [
            (mime, content)
            for mime, content in sorted(output.get("data", {}).items())
            if mime not in NOT_COMPARED
        ]
    return [(kind, _sanitized(text)) for kind, text in pieces]


def _sanitized(text: str) -> str:
    for pattern, replacement in _rules():
        text = re.sub(pattern, replacement, text)
    return text


@cache
def _rules() -> list[tuple[str, str]]:
    """What nbval replaces, and by what."""
    rules = RawConfigParser()
    rules.read(SANITIZE, encoding="utf-8")
    return [(rules[name]["regex"], rules[name]["replace"]) for name in rules.sections()]
