"""The notebook standard as rules: each takes a notebook and returns what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

from nbformat import NotebookNode

from scripts.notebook_answers import withheld
from scripts.notebook_format import BOOTSTRAP, COLAB_LINK, repository_slug
from scripts.notebook_times import FOLDED

Rule = Callable[[NotebookNode, str], list[str]]
RULES: list[Rule] = []

LONGEST_CELL_LINES = 20
LONGEST_FOLDED_LINES = 60  # a folded cell shows its title alone: a few such rows are a wall
LONGEST_PRINTED_LINE = 118  # JupyterLab, 1366 px wide, breaks a longer one in the midst of a word
LONGEST_SHOWN_LINES = 14  # of an open cell that ends in what it shows: the rest is how to draw it
LONG_CELL_TAG = "long"  # a class that is being taught
EXEMPT_TAGS = {"nbval-ignore-output", "nbval-skip"}
LARGEST_EXEMPT_SHARE = 0.15
FEWEST_EXERCISES = 3
OPENING = (r"\*\*You will be able to", r"\*\*You need", r"\*\*Time")
ENDING = ("Three sentences to remember", "Five questions", "Where next", "Further reading")
SHORT = "20_minutes"  # one sitting, with nothing to solve: no exercises, no questions at its end
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/])/(?:home|root|Users|tmp|work|var|opt|usr|mnt|content|private)/\w"
    r"|(?<!\w)[A-Z]:\\\w|site-packages"
)
PROGRESS = re.compile(r"\d+%\||\bit/s\b|\bs/it\b|[█▏▎▍▌▋▊▉]|\r")
IMAGE_WITHOUT_ALT = re.compile(r"!\[\s*\]\(|<img(?![^>]*\balt=\"[^\"]+\")[^>]*>")
TITLE_WITH_MARKS = re.compile(r"# @title .*[`*$]")
# JupyterLab sets the text of a column to the right, unless the table says otherwise.
COLUMN_WITHOUT_SIDE = re.compile(r"\|\s*-+\s*\|")
BARS = re.compile(r"\S *\|\s")
IN_BRACKETS = re.compile(r"\[[^\[\]]*\]")
HYPHEN = re.compile(r"(?<![\w.])-(?=\.?\d)")
SHARE = re.compile(r"\d(?:%| per ?cent)")
SHOWS = re.compile(r"(?:table|cards|show|picture|display|line_chart|bar_chart|point_chart)\(")
FIGURE = re.compile(r"\b[Tt]he figure\b")
FOLD_OUT = re.compile(r"<details>.*?</details>", flags=re.DOTALL)
CHECK = re.compile(r"\bcheck\(\s*\"(\d\d\.\w+)\"")


def rule(function: Rule) -> Rule:
    """Adds a function to the rules."""
    RULES.append(function)
    return function


def problems(notebook: NotebookNode, path: str) -> list[str]:
    """Returns what is wrong with a notebook that lies at `path` in the repository."""
    return [f"{each.__name__}: {found}" for each in RULES for found in each(notebook, path)]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def output_texts(cell: NotebookNode) -> Iterator[str]:
    """Yields the texts of a cell's outputs, pictures left out."""
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        for mime, content in output.get("data", {}).items():
            if mime.startswith("text/"):
                yield re.sub(r"data:image/[^\"]+", "", content)


def printed(cell: NotebookNode) -> Iterator[str]:
    """Yields the texts that a page shows as such: not those beside HTML or Markdown."""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        yield output.get("text", "")
        if not {"text/html", "text/markdown"} & set(data):
            yield data.get("text/plain", "")


def lines_with(pattern: re.Pattern[str], text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if pattern.search(line)]


@rule
def opens_with_title_promise_aims_needs_and_time(notebook: NotebookNode, path: str) -> list[str]:
    first = notebook.cells[0]
    parts = [part.strip() for part in first.source.split("\n\n") if part.strip()]
    found = []
    if first.cell_type != "markdown" or not re.match(r"# \S", first.source):
        found.append("the first cell must be text and start with '# Title'")
    if len(parts) < 2 or not re.fullmatch(r"[A-Z][^\n]*[.!]", parts[1]):
        found.append("a promise of one line, one sentence, must follow the title")
    found += [
        f"the first cell lacks {mark}"
        for mark in OPENING
        if not re.search(mark, parts[-1]) and not any(re.search(mark, part) for part in parts)
    ]
    time = next((part for part in parts if re.search(OPENING[2], part)), "")
    if not re.search(r"\d.*CPU", time, re.S) or "GPU" not in time:
        found.append("the time must be given for a CPU and for a GPU")
    return found


@rule
def installs_itself_like_all_others(notebook: NotebookNode, path: str) -> list[str]:
    slug = repository_slug()
    first = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    found = []
    if notebook.cells[first].source != BOOTSTRAP.format(slug=slug).strip():
        found.append("the first code cell is not the bootstrap cell")
    if notebook.cells[first - 1].source != COLAB_LINK.format(slug=slug, path=path):
        found.append("no link to Colab for this notebook above the bootstrap cell")
    return found


@rule
def headings_form_an_outline(notebook: NotebookNode, path: str) -> list[str]:
    marks = [mark for text in texts(notebook) for mark in re.findall(r"^(#+) \S", text, re.M)]
    levels = [len(mark) for mark in marks]
    found = [] if levels.count(1) == 1 else [f"one title is needed, there are {levels.count(1)}"]
    if any(below > above + 1 for above, below in pairwise(levels)):
        found.append(f"a heading level is skipped: {levels}")
    return found


@rule
def cells_are_short(notebook: NotebookNode, path: str) -> list[str]:
    """What a learner reads; a folded cell may hold all that one figure or answer needs."""
    return [
        f"{cell.source.count(chr(10)) + 1} lines in the cell that starts {cell.source[:50]!r}"
        for cell in code_cells(notebook)
        if cell.source.count("\n") >= _longest(cell) and LONG_CELL_TAG not in tags(cell)
    ]


def _longest(cell: NotebookNode) -> int:
    return LONGEST_FOLDED_LINES if _is_folded(cell) else LONGEST_CELL_LINES


def _is_folded(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and cell.source.startswith(FOLDED)


@rule
def what_only_draws_is_folded(notebook: NotebookNode, path: str) -> list[str]:
    """A table or a figure teaches by what it shows, and seldom by the lines that lay it out."""
    return [
        f"{len(lines)} lines for {last!r}: fold them, or what lays it out"
        for cell in code_cells(notebook)
        if not _is_folded(cell) and "exercise" not in cell.metadata
        for *lines, last in [cell.source.split("\n")]
        if len(lines) >= LONGEST_SHOWN_LINES and SHOWS.match(last.strip())
    ]


@rule
def figures_spoken_of_are_seen(notebook: NotebookNode, path: str) -> list[str]:
    """Without a prediction an answer stays folded, and the figure in it: name the answer, then."""
    found, said, seen = [], "", False
    for cell in [*notebook.cells, None]:
        if cell is None or (cell.cell_type == "markdown" and "## " in cell.source):
            if said and not seen:
                found.append(f"{said!r}, but its section shows none before a prediction")
            said, seen = "", False
        if cell and cell.cell_type == "markdown":
            match = FIGURE.search(FOLD_OUT.sub("", cell.source))
            said = said or (cell.source[match.start() :][:50] if match else "")
        elif cell:
            htmls = [output.get("data", {}).get("text/html", "") for output in cell.outputs]
            revealed = re.search(r"\breveal\(", cell.source)
            seen |= not revealed and any("lora-figure" in html for html in htmls)
    return found


@rule
def no_row_of_folded_cells_shows_nothing(notebook: NotebookNode, path: str) -> list[str]:
    """Of two folded cells in a row, the first shows something; else they are one cell.

    What a learner's notebook keeps back is judged in the solution. The first cell, which installs
    the course, is the same in all, and remains one.
    """
    kept_back = [] if "/solutions/" in path else withheld(notebook.cells)
    installs = code_cells(notebook)[0]
    return [
        f"a row of folded cells: {cell.source[:50]!r} shows nothing, merge it into the next"
        for cell, after in pairwise(notebook.cells)
        if _is_folded(cell) and _is_folded(after)
        if not cell.outputs and cell is not installs and cell not in kept_back
    ]


@rule
def titles_of_folded_cells_are_plain_text(notebook: NotebookNode, path: str) -> list[str]:
    """No page renders Markdown there: backticks, stars and dollars would show as such."""
    firsts = (cell.source.partition("\n")[0] for cell in code_cells(notebook))
    return [f"{first!r}" for first in firsts if TITLE_WITH_MARKS.match(first)]


@rule
def every_cell_has_been_run_in_order(notebook: NotebookNode, path: str) -> list[str]:
    """Without a count nbval would pass over a cell in silence; the solution leaves none out."""
    kept_back = [] if "/solutions/" in path else withheld(notebook.cells)
    run = [cell for cell in code_cells(notebook) if "nbval-skip" not in tags(cell)]
    run = [cell for cell in run if cell not in kept_back]
    counts = [cell.execution_count for cell in run]
    if None in counts:
        return [f"not run: {run[counts.index(None)].source[:50]!r}"]
    return [] if counts == sorted(counts) and counts[0] == 1 else [f"run out of order: {counts}"]


@rule
def no_stored_output_answers_a_prediction(notebook: NotebookNode, path: str) -> list[str]:
    if "/solutions/" in path:
        return []
    return [
        f"stores what comes before its answer is asked for: {cell.source[:50]!r}"
        for cell in withheld(notebook.cells)
        if cell.outputs or cell.execution_count is not None
    ]


@rule
def few_outputs_are_exempt_from_comparison(notebook: NotebookNode, path: str) -> list[str]:
    kept_back = withheld(notebook.cells)
    shown = [
        cell
        for cell in code_cells(notebook)
        if cell.outputs or "nbval-skip" in tags(cell) or cell in kept_back
    ]
    exempt = [cell for cell in shown if tags(cell) & EXEMPT_TAGS]
    share = len(exempt) / max(len(shown), 1)
    if share <= LARGEST_EXEMPT_SHARE:
        return []
    return [f"{len(exempt)} of {len(shown)} cells with output are exempt, {share:.0%}"]


@rule
def nothing_of_the_machine_is_stored(notebook: NotebookNode, path: str) -> list[str]:
    found = ["metadata.widgets is stored"] if "widgets" in notebook.metadata else []
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        if any("widget-view" in mime for output in outputs for mime in output.get("data", {})):
            found.append("the id of a live widget is stored")
        for text in [cell.source, *output_texts(cell)]:
            found += [f"absolute path: {line}" for line in lines_with(ABSOLUTE_PATH, text)]
    return found


@rule
def outputs_are_clean(notebook: NotebookNode, path: str) -> list[str]:
    found = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"traceback: {output.ename}: {output.evalue}")
            if output.get("name") == "stderr":
                found.append(f"stderr: {output.text[:80]!r}")
        for text in output_texts(cell):
            found += [f"progress bar: {line[:80]!r}" for line in lines_with(PROGRESS, text)]
    return found


@rule
def printed_lines_are_short(notebook: NotebookNode, path: str) -> list[str]:
    printed = [o.text for cell in code_cells(notebook) for o in cell.outputs if "text" in o]
    lines = [line for text in printed for line in text.splitlines()]
    return [line for line in lines if len(line) > LONGEST_PRINTED_LINE]


@rule
def columns_of_tables_have_a_side(notebook: NotebookNode, path: str) -> list[str]:
    return [line for text in texts(notebook) for line in lines_with(COLUMN_WITHOUT_SIDE, text)]


@rule
def tables_are_tables(notebook: NotebookNode, path: str) -> list[str]:
    """Columns that stand in text between bars; a table of lora_edu.plots, or one of Markdown."""
    return [
        f"a table made of bars: {line!r}"
        for cell in code_cells(notebook)
        for text in printed(cell)
        for line in lines_with(BARS, text)
    ]


@rule
def numbers_are_written_one_way(notebook: NotebookNode, path: str) -> list[str]:
    """A minus is −, save in values as Python writes them, in brackets; a share is 5 %."""
    return [
        f"{kind}: {line!r}"
        for cell in code_cells(notebook)
        for text in printed(cell)
        for kind, pattern in (("a hyphen for a minus", HYPHEN), ("a share", SHARE))
        for line in lines_with(pattern, IN_BRACKETS.sub("[]", text))
    ]


@rule
def nothing_is_printed_above_an_answer(notebook: NotebookNode, path: str) -> list[str]:
    """It would stand open above the answer, which is folded until there is a prediction."""
    return [
        f"printed above the answer: {output.text[:50]!r}"
        for cell in code_cells(notebook)
        if re.search(r"^reveal\(", cell.source, re.M)
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    ]


@rule
def every_picture_has_a_text(notebook: NotebookNode, path: str) -> list[str]:
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for mime in output.get("data", {}):
                alt = output.metadata.get(mime, {}).get("alt", "")
                if mime.startswith("image/") and not alt.strip():
                    found.append(f"no alt text: cell {cell.source[:50]!r}")
        for text in [cell.source, *output_texts(cell)] if cell.cell_type == "markdown" else []:
            found += [f"no alt text: {line}" for line in lines_with(IMAGE_WITHOUT_ALT, text)]
    return found


@rule
def learner_predicts_before_looking(notebook: NotebookNode, path: str) -> list[str]:
    source = "\n".join(cell.source for cell in code_cells(notebook))
    asked, told = (len(re.findall(rf"\b{call}\(", source)) for call in ("predict", "reveal"))
    return [] if 0 < asked <= told else [f"{asked} predictions asked for, {told} revealed"]


@rule
def exercises_mark_themselves(notebook: NotebookNode, path: str) -> list[str]:
    """The solution passes every check; the learner's notebook fails none and starts untried."""
    names: dict[str, str] = {}
    kept_back = [] if "/solutions/" in path else withheld(notebook.cells)
    for cell in code_cells(notebook):
        for name in CHECK.findall(cell.source):
            shown = f"{name}: not tried yet." if cell in kept_back else ""
            names[name] = names.get(name, shown) + "\n".join(output_texts(cell))
    number = path.split("/")[-1][:2]
    found = [f"{name} belongs to another notebook" for name in names if name[:2] != number]
    if len(names) < FEWEST_EXERCISES and SHORT not in path:
        found.append(f"{len(names)} exercises, at least {FEWEST_EXERCISES} are needed")
    if sum(text.count("<details>") for text in texts(notebook)) < len(names):
        found.append("fewer hints (<details>) than exercises")
    expected = ": passed." if "/solutions/" in path else ": not tried yet."
    found += [
        f"{name} shows {shown[:60]!r}, expected '{name}{expected}'"
        for name, shown in names.items()
        if f"{name}{expected}" not in shown
    ]
    return found


@rule
def ends_with_what_to_keep(notebook: NotebookNode, path: str) -> list[str]:
    text = "\n\n".join(texts(notebook))
    parts = re.split(r"^#{2,3} (.+)$", text, flags=re.M)
    headings, bodies = [heading.strip() for heading in parts[1::2]], parts[2::2]
    ending = ENDING if SHORT not in path else (ENDING[0], *ENDING[2:])
    if tuple(headings[-len(ending) :]) != ending:
        return [f"the last headings must be {', '.join(ending)}; they are {headings[-4:]}"]
    last = dict(zip(ending, bodies[-len(ending) :], strict=True))
    wanted = {name: count for name, count in zip(ENDING, (3, 5), strict=False) if name in last}
    items = {name: len(re.findall(r"^(?:[-*]|\d+\.) ", last[name], re.M)) for name in wanted}
    found = [] if items == wanted else [f"three sentences and five questions: there are {items}"]
    onward, reading = last["Where next"], last["Further reading"]
    if "](" not in onward or not re.search(r"\]\(http|arXiv", reading):
        found.append("where next needs a link to a notebook, further reading a source")
    return found
