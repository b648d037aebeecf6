"""The source format of the notebooks: one script gives a learner's notebook and its solution.

A source is a script in Jupytext's "py:percent" format, so JupyterLab and VS Code open it as a
notebook, with three additions of ours:

    # %% [markdown]                        text, each line behind "# "
    # %%                                   code; tags=["nbval-ignore-output"] may follow
    # %% bootstrap                         becomes the link to Colab and the first code cell
    # %% exercise="10.scaling"             code with two versions:
    # <solution>
    # return alpha / rank                  (without the "# ") kept in the solution
    # </solution>
    # <student>
    # return ...  # your code              uncommented in the learner's notebook
    # </student>

A code cell whose first line is `# @title Draw both curves` is folded, in Jupyter and on Colab, and
so is a section headed `## Deeper: …`, to its heading. For that each section begins a cell, wherever
its heading stands in the source. In the opening, `{path}` and `{whole}` become minutes, see
`notebook_times.py`, a line `{drawing:one_base}` one of the course's drawings, and `{sign:01}` the
small one that says what a notebook is about.

Jupytext splits the script into cells; what is here refuses what it would take without a word,
chooses a version and adds the link to Colab, the minutes and the ids. This module is pure: text in,
notebook out. Running the notebooks is `build_notebooks.py`.
"""

from __future__ import annotations

import base64
import hashlib
import re
import tomllib
from html import escape
from pathlib import Path
from typing import Literal

import jupytext
from nbformat import NotebookNode, ValidationError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from lora_edu.plots import drawing
from scripts.drawings.signs import SIGNS
from scripts.notebook_times import DEEPER, FOLDED, with_times

Version = Literal["student", "solution"]
VERSIONS: tuple[Version, ...] = ("student", "solution")

ROOT = Path(__file__).resolve().parent.parent
# In words: a badge is a picture from another host, and broken where there is no network.
COLAB_LINK = "[Open in Colab](https://colab.research.google.com/github/{slug}/blob/main/{path})"
BOOTSTRAP = """\
# @title Install the course where it is missing, on Colab for example
from importlib.util import find_spec

if not find_spec("lora_edu"):
    %pip install -q "git+https://github.com/{slug}"
"""


DRAWING_PX = 400  # so high that the aims beneath are on a laptop's first screen
SIGN_PX = 480

#: What unfolds, with the room that JupyterLab leaves out. Of a style, it lets margins through.
SUMMARY = '<summary style="margin-bottom:.8em">'
#: The boxes of exercises and of takeaways. Their paper lets the page's shine through, so that the
#: page's letters stay readable on it, on a light page and on a dark one.
_BOX = "margin:1.2em 0;padding:.7em 1.1em .1em;border-radius:6px;border-style:solid;"
_BOXES = {
    "exercise": _BOX + "border-color:#7561c4;border-width:1px 1px 1px 6px",
    "takeaway": _BOX + "border-color:#e69f00;border-width:0;background:rgba(230,159,0,.14)",
}
#: Their labels: letters on a colour, with a contrast of 4.5 or more.
_LABEL = "padding:.15em .7em;border-radius:1em;margin-right:.4em;line-height:1.9;"
_LABELS = {
    "exercise": _LABEL + "background:#7561c4;color:#fff",
    "takeaway": _LABEL + "background:#e69f00;color:#000",
}
_DRAWING = re.compile(r"^\{drawing:(\w+)\}$", flags=re.M)
_SIGN = re.compile(r"^\{sign:(\d\d)\}$", flags=re.M)
_TAKEAWAY = re.compile(r"\*\*Takeaway:|<details><summary[^>]*><b>Takeaway</b>")
_SECTION_FOLDED = "jp-MarkdownHeadingCollapsed"  # Jupyter's mark on a section's heading


class SourceError(ValueError):
    """A source that is not in the format; the message gives the place and the fix."""


def repository_slug(root: Path = ROOT) -> str:
    """Returns "owner/name" of the repository, from `[project.urls] Repository` in pyproject.toml.

    That line is the one place which knows it: badges, bootstrap cells and Binder links follow.

    Example:
        >>> repository_slug().count("/")
        1
    """
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["project"]["urls"]["Repository"].removeprefix("https://github.com/").strip("/")


def parse(text: str) -> list[NotebookNode]:
    """Splits a source into cells, as Jupytext does, and checks them.

    Raises:
        SourceError: text before the first marker, a text line without "#", or a marker with more
            behind it than a kind of cell, `tags` and `exercise`.

    Example:
        >>> [cell.cell_type for cell in parse("# %% [markdown]\\n# Hello\\n# %%\\n1 + 1\\n")]
        ['markdown', 'code']
    """
    _check_lines(text)
    try:
        cells = jupytext.reads(text, "py:percent").cells
    except ValidationError as error:
        raise SourceError(
            f'cannot read a marker: {error.message}; tags are written tags=["…"]'
        ) from None
    for number, cell in enumerate(cells, start=1):
        cell.metadata.pop("lines_to_next_cell", None)  # Jupytext's note for writing it back
        _check_marker(number, cell)
    return cells


def _check_lines(text: str) -> None:
    """Refuses what Jupytext takes: code before the first marker, and code in a cell of text."""
    kind = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("# %%"):
            kind = "text" if "[markdown]" in line else "code"
        elif line.strip() and not kind:
            raise SourceError(f"line {number}: text before the first '# %%' marker; move it below")
        elif line.strip() and kind == "text" and not line.startswith("#"):
            raise SourceError(
                f"line {number}: {line!r} must start with '# ', being text; "
                "where it is code, put '# %%' above it"
            )


def _check_marker(number: int, cell: NotebookNode) -> None:
    """Refuses a marker that says more, or something else, than the format has."""
    if cell.cell_type == "code" and cell.metadata == {"title": "bootstrap"}:
        if cell.source.strip():
            raise SourceError(
                f"{_place(number, cell)}: a bootstrap cell has no code of its own; put '# %%' "
                "above it"
            )
        return
    known = cell.cell_type != "raw" and cell.metadata.keys() <= {"tags", "exercise"}
    if not known or not isinstance(cell.metadata.get("exercise", ""), str):
        raise SourceError(
            f"{_place(number, cell)}: cannot read its marker, which makes it a {cell.cell_type} "
            f"cell with {dict(cell.metadata)}; write '# %%', '# %% [markdown]' or "
            '\'# %% bootstrap\', then tags=["…"] or exercise="…" where needed'
        )


def _place(number: int, cell: NotebookNode) -> str:
    first = cell.source.strip().partition("\n")[0]
    return f"cell {number} ({first})" if first else f"cell {number} (empty)"


def source_for(cell: NotebookNode, version: Version) -> str:
    """Returns a cell's text in one version: its own blocks kept, the other version's dropped.

    Raises:
        SourceError: a block that is not closed, or not opened.
    """
    kept: list[str] = []
    block = ""
    for line in cell.source.split("\n"):
        tag = re.fullmatch(r"\s*# <(/?)(student|solution)>", line)
        if tag:
            if bool(tag[1]) != bool(block) or (block and block != tag[2]):
                raise SourceError(f"{line.strip()!r} does not match")
            block = "" if tag[1] else tag[2]
        elif not block or (block == version == "solution"):
            kept.append(line)
        elif block == version:
            kept.append(re.sub(r"^(\s*)# ?", r"\1", line))
    if block:
        raise SourceError(f"<{block}> is not closed")
    return "\n".join(kept).strip("\n")


def set_apart(text: str, exercises: int = 0) -> str:
    """Puts exercises and takeaways into boxes, each kind with its own colour, mark and label.

    A box is a block quote with a style of its own: where a page drops styles, as GitHub does, it is
    a block quote still, and its label is bold. A takeaway is one paragraph, or what is folded under
    one. An exercise goes on, with its hints, to the next heading or takeaway, or to the end of its
    cell.

    Args:
        text: Markdown.
        exercises: How many the notebook has, for "2/5"; 0 leaves that out.

    Example:
        >>> boxed = set_apart("Before.\\n\\n**Takeaway:** little is enough.\\n\\nAfter.")
        >>> [line[:11] for line in boxed.split("\\n\\n")]
        ['Before.', '<blockquote', '<b style="p', '</blockquot', 'After.']
    """
    text = re.sub(r"^(#+ .*)\n(?=\*\*(?:Exercise|Takeaway))", r"\1\n\n", text, flags=re.M)
    pieces, kind, folded = [], "", False
    for paragraph in text.split("\n\n"):
        starts = _begins(paragraph)
        goes_on = folded or (kind == "exercise" and not paragraph.startswith("#"))
        if kind and (starts or not goes_on):
            pieces.append("</blockquote>")
            kind = ""
        if starts:
            pieces.append(f'<blockquote style="{_BOXES[starts]}">')
            kind, paragraph = starts, _labelled(paragraph, exercises)
        folded = kind == "takeaway" and (folded or starts != "" and "<details>" in paragraph)
        folded = folded and "</details>" not in paragraph
        pieces.append(paragraph)
    return "\n\n".join(pieces + ["</blockquote>"] * bool(kind))


def _begins(paragraph: str) -> str:
    """The kind of box that a paragraph begins, or ""."""
    if paragraph.startswith("**Exercise"):
        return "exercise"
    return "takeaway" if _TAKEAWAY.match(paragraph) else ""


def _labelled(paragraph: str, exercises: int) -> str:
    """A box's first paragraph, with its label set apart."""
    of = f"/{exercises}" if exercises else ""
    exercise = rf'<b style="{_LABELS["exercise"]}">✎ Exercise \1{of}\2</b><br>\n'
    takeaway = f'<b style="{_LABELS["takeaway"]}">☞ Takeaway\\1</b>'
    paragraph = re.sub(r"^\*\*Exercise (\d+)(.*?)\.\*\*\s*", exercise, paragraph)
    return re.sub(r"(?:\*\*Takeaway(:)\*\*|<b>Takeaway()</b>,?)", takeaway, paragraph, count=1)


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
    exercises = len(re.findall(r"^# \*\*Exercise", text, flags=re.M))
    for number, cell in enumerate(parse(text), start=1):
        if "title" in cell.metadata:
            cells.append(new_markdown_cell(COLAB_LINK.format(slug=slug, path=path)))
            code = BOOTSTRAP.format(slug=slug).strip()
            cells.append(new_code_cell(code, metadata=_folded(code)))
            continue
        try:
            source = source_for(cell, version)
        except SourceError as error:
            raise SourceError(f"{_place(number, cell)}: {error}") from None
        if cell.cell_type == "markdown":
            cells += _text_cells(source, cell.metadata, exercises)
        else:
            cells.append(new_code_cell(source, metadata=cell.metadata | _folded(source)))
    with_times(cells)
    _number(cells)
    notebook = new_notebook(cells=cells)
    notebook.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    if folded := [cell.id for cell in cells if _SECTION_FOLDED in cell.metadata]:
        notebook.metadata.colab = {"collapsed_sections": folded}
    notebook.nbformat_minor = 5
    return notebook


def _text_cells(source: str, metadata: NotebookNode, exercises: int) -> list[NotebookNode]:
    """Cuts text before each section's heading, and behind the heading of one that is folded.

    What is folded gets some room beneath: Jupyter draws the next paragraph right under it.
    """
    cells = []
    for text in re.split(r"^(?=## )", source, flags=re.M):
        if text.startswith(f"## {DEEPER}"):
            heading, _, text = text.partition("\n")
            cells.append(new_markdown_cell(heading, metadata=metadata | {_SECTION_FOLDED: True}))
        if text.strip():
            text = _SIGN.sub(_signed, _DRAWING.sub(_drawn, text.replace("<summary>", SUMMARY)))
            cells.append(
                new_markdown_cell(set_apart(text.strip("\n"), exercises), metadata=metadata)
            )
    return cells


def _drawn(match: re.Match[str]) -> str:
    """A drawing within text, where no cell has been run yet: it needs neither file nor network."""
    shown = drawing(match[1])
    return _image(shown.svg, shown.alt, DRAWING_PX)


def _signed(match: re.Match[str]) -> str:
    """The sign of a notebook, likewise."""
    sheet = SIGNS[match[1]]()
    return _image(sheet.svg(), sheet.description, SIGN_PX)


def _image(svg: str, alt: str, width_px: int) -> str:
    data = base64.b64encode(svg.encode()).decode()
    source = f"data:image/svg+xml;base64,{data}"
    return f'<img alt="{escape(alt)}" width="{width_px}" src="{source}">'


def _folded(source: str) -> dict[str, object]:
    """What makes Jupyter and Colab fold a cell; nothing for one that is to be read."""
    if not source.startswith(FOLDED):
        return {}
    return {"cellView": "form", "jupyter": {"source_hidden": True}}


def _number(cells: list[NotebookNode]) -> None:
    """Gives each cell an id made from its text, so that an edit changes one id, not all."""
    seen: dict[str, int] = {}
    for cell in cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        if _SECTION_FOLDED in cell.metadata:
            cell.metadata["id"] = cell.id  # the name by which Colab folds a section
