"""The source format of the notebooks: one script gives a learner's notebook and its solution.

A source is a Python script in cells (the "py:percent" format of Jupytext, with three additions):

    # %% [markdown]                        text, each line behind "# "
    # %%                                   code; tags=["nbval-ignore-output"] may follow
    # %% bootstrap                         becomes the Colab badge and the first code cell
    # %% exercise="02.scaling"             code with two versions:
    # <solution>
    # return alpha / rank                  (without the "# ") kept in the solution
    # </solution>
    # <student>
    # return ...  # your code              uncommented in the learner's notebook
    # </student>

This module is pure: text in, notebook out. Running the notebooks is `build_notebooks.py`.
"""

from __future__ import annotations

import ast
import hashlib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

Version = Literal["student", "solution"]
VERSIONS: tuple[Version, ...] = ("student", "solution")

ROOT = Path(__file__).resolve().parent.parent
_MARKER = re.compile(r"^# %%(?P<rest>.*)$")
_ATTRIBUTE = re.compile(r"(\w+)=(\[[^\]]*\]|\"[^\"]*\")")

BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/{slug}/blob/main/{path})"
)
BOOTSTRAP = """\
try:
    import lora_edu  # noqa: F401
except ImportError:  # on Colab: install the course; LORA_EDU_WHEEL names another source
    import os

    course = os.environ.get("LORA_EDU_WHEEL", "git+https://github.com/{slug}")
    %pip install -q "{{course}}"
"""


class SourceError(ValueError):
    """A source that is not in the format; the message gives the line and the fix."""


@dataclass
class Cell:
    """One cell of a source.

    Args:
        kind: "markdown", "code" or "bootstrap".
        lines: The text, markdown without the leading "# ".
        line: Where the marker stands in the source, counted from 1.
        tags: The cell's tags, such as "nbval-ignore-output".
        exercise: The exercise's name, "" where there is none.
    """

    kind: str
    lines: list[str]
    line: int
    tags: list[str] = field(default_factory=list)
    exercise: str = ""


def repository_slug(root: Path = ROOT) -> str:
    """Returns "owner/name" of the repository, from `[project.urls] Repository` in pyproject.toml.

    That line is the one place which knows it: badges, bootstrap cells and Binder links follow.

    Example:
        >>> repository_slug().count("/")
        1
    """
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["project"]["urls"]["Repository"].removeprefix("https://github.com/").strip("/")


def parse(text: str) -> list[Cell]:
    """Splits a source into cells.

    Raises:
        SourceError: text before the first marker, an unknown kind of cell, or a markdown line
            that does not start with "#".

    Example:
        >>> [cell.kind for cell in parse("# %% [markdown]\\n# Hello\\n# %%\\n1 + 1\\n")]
        ['markdown', 'code']
    """
    cells: list[Cell] = []
    for number, line in enumerate(text.splitlines(), start=1):
        marker = _MARKER.match(line)
        if marker:
            cells.append(_new_cell(marker["rest"].strip(), number))
        elif cells:
            cells[-1].lines.append(line)
        elif line.strip():
            raise SourceError(f"line {number}: text before the first '# %%' marker; move it below")
    for cell in cells:
        if cell.kind == "markdown":
            cell.lines = [_uncomment(line, cell.line) for line in cell.lines]
        cell.lines = "\n".join(cell.lines).strip("\n").split("\n")
    return cells


def _new_cell(rest: str, number: int) -> Cell:
    attributes = {name: ast.literal_eval(value) for name, value in _ATTRIBUTE.findall(rest)}
    kind = _ATTRIBUTE.sub("", rest).strip() or "code"
    kinds = {"code": "code", "[markdown]": "markdown", "bootstrap": "bootstrap"}
    if kind not in kinds or not attributes.keys() <= {"tags", "exercise"}:
        raise SourceError(
            f"line {number}: cannot read {rest!r}; write '# %%', '# %% [markdown]' or "
            '\'# %% bootstrap\', then tags=["…"] or exercise="…" where needed'
        )
    return Cell(kinds[kind], [], number, attributes.get("tags", []), attributes.get("exercise", ""))


def _uncomment(line: str, where: int) -> str:
    if line and not line.startswith("#"):
        raise SourceError(f"cell at line {where}: {line!r} must start with '# '")
    return line[2:] if line.startswith("# ") else line[1:]


def lines_for(cell: Cell, version: Version) -> list[str]:
    """Returns a cell's lines in one version: its own blocks kept, the other version's dropped.

    Raises:
        SourceError: a block that is not closed, or not opened.
    """
    kept: list[str] = []
    block = ""
    for line in cell.lines:
        tag = re.fullmatch(r"\s*# <(/?)(student|solution)>", line)
        if tag:
            if bool(tag[1]) != bool(block) or (block and block != tag[2]):
                raise SourceError(f"cell at line {cell.line}: {line.strip()!r} does not match")
            block = "" if tag[1] else tag[2]
        elif not block or (block == version == "solution"):
            kept.append(line)
        elif block == version:
            kept.append(re.sub(r"^(\s*)# ?", r"\1", line))
    if block:
        raise SourceError(f"cell at line {cell.line}: <{block}> is not closed")
    return "\n".join(kept).strip("\n").split("\n")


def to_notebook(text: str, version: Version, path: str, slug: str) -> NotebookNode:
    """Turns a source into a notebook without outputs.

    Args:
        text: The source.
        version: "student" or "solution".
        path: Where the notebook will lie in the repository, for the Colab link.
        slug: "owner/name" of the repository.

    Raises:
        SourceError: the source is not in the format.
    """
    cells: list[NotebookNode] = []
    for cell in parse(text):
        if cell.kind == "bootstrap":
            cells.append(new_markdown_cell(BADGE.format(slug=slug, path=path)))
            cells.append(new_code_cell(BOOTSTRAP.format(slug=slug).strip()))
            continue
        source = "\n".join(lines_for(cell, version))
        make = new_markdown_cell if cell.kind == "markdown" else new_code_cell
        cells.append(make(source, metadata=_metadata(cell)))
    _number(cells)
    notebook = new_notebook(cells=cells)
    notebook.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    notebook.nbformat_minor = 5
    return notebook


def _metadata(cell: Cell) -> dict[str, object]:
    metadata: dict[str, object] = {"tags": cell.tags} if cell.tags else {}
    return metadata | ({"exercise": cell.exercise} if cell.exercise else {})


def _number(cells: list[NotebookNode]) -> None:
    """Gives each cell an id made from its text, so that an edit changes one id, not all."""
    seen: dict[str, int] = {}
    for cell in cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
