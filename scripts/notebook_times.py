"""How long a notebook takes, section by section, and which sections are on the marked path.

A learner reads 180 words a minute and 12 lines of code, and needs four and a half minutes for an
exercise. Formulas, code inside text and the targets of links are not counted as words; a cell that
is folded, and an exercise's own cell, not as lines. What a cell shows to be read counts as words.

The marked path is the short way through the course: every section but those headed "Deeper" and
the questions at a notebook's end. Fold-outs are beside it. `with_times` writes the minutes where
they are read, and beside them which deeper section must have run before another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nbformat import NotebookNode

from scripts.notebook_names import names_of

WORDS_A_MINUTE, LINES_A_MINUTE, MINUTES_AN_EXERCISE = 180, 12, 4.5
# The words that a cell shows unfolded, if it ends so; a test counts them.
SHOWN_WORDS = {"decision_tables()": 264, "claim_table(claims)": 870}
FOLDED = "# @title "  # a cell that begins with it is folded, on Colab by this very line
DEEPER = "Deeper"
# On a folded heading Shift+Enter makes JupyterLab jump to the top, so nobody is sent there.
FOLDED_HOW = ". Its + opens it, and a click on the next heading skips it."
BESIDE = ("Five questions", "Where next", "Further reading")
UNTIMED = ("Three sentences", *BESIDE)  # so short that a line on their minutes would be longer
PATH, WHOLE = "{path}", "{whole}"  # in a notebook's opening, filled in by `with_times`

_HEADING = re.compile(r"^## +(.+)$", flags=re.MULTILINE)
_FOLD_OUT = re.compile(r"<details>.*?</details>", flags=re.DOTALL)
_NO_WORDS = re.compile(
    r"```.*?```|\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|<[^>]*>|[◆◇] \*[^*]*\*|\{\w+\}", flags=re.DOTALL
)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_WORD = re.compile(r"[^\W\d_][\w'’-]*")


@dataclass
class Section:
    """What a learner meets between two headings; the opening has the heading ""."""

    heading: str
    words: int = 0
    lines: int = 0
    exercises: int = 0

    @property
    def on_path(self) -> bool:
        """Says whether it belongs to the marked path."""
        return not self.heading.startswith((DEEPER, *BESIDE))

    @property
    def minutes(self) -> float:
        """Without its fold-outs.

        Example:
            >>> Section("What rank means", words=360, lines=24, exercises=2).minutes
            13.0
        """
        reading = self.words / WORDS_A_MINUTE + self.lines / LINES_A_MINUTE
        return reading + MINUTES_AN_EXERCISE * self.exercises


def prose(text: str) -> str:
    """Returns Markdown without its code, formulas, tags and the targets of its links.

    Example:
        >>> prose("See [the start](00.ipynb): `x` is $x$.")
        'See the start:  is .'
    """
    return _LINK.sub(r"\1", _NO_WORDS.sub("", text))


def count_words(text: str) -> int:
    """Counts the words of some Markdown.

    Example:
        >>> count_words("See [the start](00.ipynb): `x` isn't $x$, but 3 words.")
        6
    """
    return len(_WORD.findall(prose(text)))


def sections(cells: Sequence[NotebookNode]) -> list[Section]:
    """Returns a notebook's sections in order, the opening first."""
    found = [Section("")]
    for cell in cells:
        if cell.cell_type != "markdown":
            last = cell.source.rpartition("\n")[2]
            found[-1].words += sum(n for shown, n in SHOWN_WORDS.items() if shown in last)
            if "exercise" in cell.metadata:
                found[-1].exercises += 1
            elif not cell.source.startswith(FOLDED):
                found[-1].lines += sum(bool(line.strip()) for line in cell.source.split("\n"))
            continue
        before, *rest = _HEADING.split(cell.source)
        _add_words(found[-1], before)
        for heading, text in zip(rest[::2], rest[1::2], strict=True):
            found.append(Section(heading.strip()))
            _add_words(found[-1], text)
    return found


def _add_words(section: Section, text: str) -> None:
    section.words += count_words(_FOLD_OUT.sub("", text))


def path_minutes(found: Sequence[Section]) -> float:
    """Returns how long the marked path through these sections takes."""
    return sum(section.minutes for section in found if section.on_path)


def shown_minutes(found: Sequence[Section]) -> tuple[int, int]:
    """Returns the two sums of a notebook's opening: of the marked path, and of all its sections.

    They are sums of the minutes that stand beneath the headings, so that a reader can check them.
    Hints come on top, and what has no minutes of its own: the opening and the last questions.
    """
    timed = [section for section in found[1:] if not section.heading.startswith(UNTIMED)]
    path = sum(_rounded(section) for section in timed if section.on_path)
    return path, sum(map(_rounded, timed))


def _rounded(section: Section) -> int:
    return max(1, round(section.minutes))


def needed(cells: Sequence[NotebookNode]) -> dict[str, list[str]]:
    """Returns which deeper sections have to run before another, for each that needs one.

    Those are the sections that bind a name which it reads, where none outside them does, and the
    ones that these need. What an exercise reads is left out, since its two versions differ.

    Args:
        cells: Of the whole notebook.
    """
    heading, outside, bound = "", set(), {}
    needs: dict[str, list[str]] = {}
    for cell in cells:
        if cell.cell_type == "markdown":
            heading = ([heading] + _HEADING.findall(cell.source))[-1].strip()
            continue
        reads, binds = names_of(cell.source)
        if heading.startswith(DEEPER):
            own = bound.setdefault(heading, set())
            if "exercise" not in cell.metadata:
                for other, names in bound.items():
                    if other != heading and (reads - binds - own - outside) & names:
                        known = {*needs.get(heading, ()), *needs.get(other, ()), other}
                        needs[heading] = [each for each in bound if each in known]
            own |= binds
        else:
            outside |= binds
    return needs


def with_times(cells: list[NotebookNode]) -> None:
    """Writes the minutes into a notebook's text, in place.

    The opening's `{path}` and `{whole}` become minutes. In a notebook that has a path, a line
    beneath each heading says whether the section is on it, and how long it takes. The first one
    that is folded also says how to open it, and one that needs another says so.
    """
    found, opening = sections(cells), cells[0]
    if PATH in opening.source:
        folded = next((each for each in found if each.heading.startswith(DEEPER)), None)
        needs = needed(cells)
        lines = iter(
            [_line(each, each is folded, needs.get(each.heading, ())) for each in found[1:]]
        )
        for cell in cells:
            if cell.cell_type == "markdown":
                timed_text = _HEADING.sub(lambda match: match[0] + next(lines), cell.source)
                cell.source = timed_text.rstrip("\n")
    path, whole = shown_minutes(found)
    opening.source = opening.source.replace(PATH, f"{path}").replace(WHOLE, f"{whole}")


def _line(section: Section, told_how: bool, needs: Sequence[str]) -> str:
    if section.heading.startswith(UNTIMED):
        return ""
    sign = "◆" if section.on_path else "◇"
    how = FOLDED_HOW if told_how else ""
    first = f". Run {_listed(needs)} first." if needs else ""
    return f"\n{sign} *{_rounded(section)} min{how}{first}*\n"


def _listed(headings: Sequence[str]) -> str:
    titles = [each.removeprefix(f"{DEEPER}: ") for each in headings]
    *most, last = (f"“{title[0].upper()}{title[1:]}”" for title in titles)
    return f"{', '.join(most)} and {last}" if most else last
