"""What a notebook shows after a run, beside what it has stored, without running anything."""

from __future__ import annotations

import re
from configparser import RawConfigParser
from functools import cache

from nbformat import NotebookNode

from scripts.build_notebooks import scrub
from support.project import ROOT
from support.standard import EXEMPT_TAGS, code_cells, tags

SANITIZE = ROOT / "tests/notebooks/sanitize.cfg"
NOT_COMPARED = {"image/png"}  # as nbval


def differences(stored: NotebookNode, run: NotebookNode) -> list[str]:
    """Returns what stored outputs say and a run did not, a line for each cell that differs.

    Cells that nbval would not compare are left out: those that are exempt, and those whose output
    is kept back. Changes `run` as the builder changes what it stores.
    """
    scrub(run)
    ran = {cell.id: cell for cell in code_cells(run)}
    found = []
    for cell in code_cells(stored):
        if tags(cell) & EXEMPT_TAGS or cell.execution_count is None:
            continue
        before, after = (_said(each) for each in (cell, ran[cell.id]))
        if before != after:
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
