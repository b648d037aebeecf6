"""Texts and classes of your own, from a CSV or JSONL file, split and ready to train on.

What people's files are like is met halfway: Excel's semicolons, tabs, a byte order mark, other
names for the two columns. What cannot be used is refused with the place and the fix.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lora_edu.datasets.sets import Example, Split, near_duplicate_key, split_by_group
from lora_edu.files import user_path

FEWEST_TEXTS = 10  # different ones of a class: 7 to learn from, 1 to choose by, 2 to report on
_SEPARATORS = (",", ";", "\t")


class OwnTexts(NamedTuple):
    """Your texts in three parts, and the name of each class; `Example.label` is its place there."""

    split: Split
    classes: tuple[str, ...]


def load_texts(path: str | Path, *, text: str = "text", label: str = "label") -> OwnTexts:
    """Reads texts with a class each from a CSV or JSONL file, and splits them 70, 10 and 20 %.

    Near duplicates, texts that differ only in case, digits and punctuation, land in one part.

    Args:
        path: A .csv file with a line of column names, or a .jsonl file with an object a line.
        text: The column or key of the texts.
        label: The column or key of their classes; words or whole numbers, two or more of them.

    Raises:
        ValueError: the file cannot be used; the message says where and what to do.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "soup.csv"
        >>> said = [f"{'very ' * n}{word},{word}" for word in ("hot", "cold") for n in range(10)]
        >>> _ = path.write_text(chr(10).join(["text,label", *said]))
        >>> own = load_texts(path)
        >>> own.classes, [len(part) for part in own.split]
        (('cold', 'hot'), [14, 2, 4])
    """
    path = user_path(path)
    content = _content(path)
    read = {".csv": _csv_rows, ".jsonl": _json_rows}[path.suffix.lower()]
    pairs = [_pair(path, line, row, text, label) for line, row in read(path, content)]
    if " " in text and label in {named for _, named in pairs}:  # no names of columns, then
        raise ValueError(
            f"{path}: its first line, {text!r} and {label!r}, is a text and its label, so it would "
            "be lost; put a line above it that names the columns: text,label"
        )
    if not pairs:
        raise ValueError(f"{path} has no texts; give it a line for each")
    classes = _classes(path, pairs)
    split = split_by_group(
        [Example(said, classes.index(name)) for said, name in pairs],
        group=lambda example: _key(example.text),
        stratum=lambda example: example.label,
    )
    return OwnTexts(split, classes)


def _content(path: Path) -> str:
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise ValueError(f"{path} must end in .csv or .jsonl; save it in one of these formats")
    if not path.is_file():
        raise ValueError(f"{path} is not a file; look at its name and at the folder")
    try:
        return path.read_text(encoding="utf-8-sig")  # Excel puts a byte order mark first
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{path} is not in UTF-8 (byte {error.start}); save it again, in Excel as "CSV UTF-8"'
        ) from None


Row = Mapping[str, Any]


def _csv_rows(path: Path, content: str) -> Iterator[tuple[int, Row]]:
    """Yields line number and cells of each row that is not empty."""
    header = content.lstrip().partition("\n")[0]
    separator = max(_SEPARATORS, key=header.count)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip() for cell in cells]
            elif len(cells) != len(names):
                raise ValueError(
                    f"{path}, line {reader.line_num}: {len(cells)} columns, but the first line "
                    f"names {len(names)}; put a text that has {separator!r} in it in quotation "
                    "marks"
                )
            else:
                yield reader.line_num, dict(zip(names, cells))
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {reader.line_num}: {error}; look for a quotation mark that is not closed"
        ) from None


def _json_rows(path: Path, content: str) -> Iterator[tuple[int, Row]]:
    """Yields line number and object of each line that is not empty."""
    for line, written in enumerate(content.split("\n"), start=1):
        if not written.strip():
            continue
        try:
            row = json.loads(written)
        except ValueError as error:
            raise ValueError(
                f"{path}, line {line}: this is no JSON ({error}); each line needs an object such "
                'as {"text": "Hello", "label": "ham"}'
            ) from None
        if not isinstance(row, dict):
            raise ValueError(
                f"{path}, line {line}: an object such as "
                f'{{"text": "Hello", "label": "ham"}} is needed, got {written.strip()[:40]}'
            )
        yield line, row


def _pair(path: Path, line: int, row: Row, text: str, label: str) -> tuple[str, str]:
    """Returns a row's text and the name of its class."""
    place = f"{path}, line {line}"
    for argument, name in (("text", text), ("label", label)):
        if name not in row:
            there = f"there is no {name!r}, only {', '.join(map(repr, row))}"
            say = f'say which has the {argument}s: load_texts(…, {argument}="…")'
            if path.suffix.lower() == ".csv":
                there = f"{path}: the first line has to name the columns; {there}"
                raise ValueError(f"{there}. Put text,label above your texts. Or, if it does, {say}")
            raise ValueError(f"{place}: {there}; {say}")
    said, named = row[text], row[label]
    if not isinstance(said, str) or not said.strip():
        raise ValueError(f"{place}: {text!r} must be a text, got {said!r}; fill it in or delete it")
    if not isinstance(named, str | int) or not str(named).strip():
        raise ValueError(
            f"{place}: {label!r} must be a word or a whole number, got {named!r}; fill it in or "
            "delete the line"
        )
    return said.strip(), str(named).strip()


def _classes(path: Path, pairs: list[tuple[str, str]]) -> tuple[str, ...]:
    """Returns the classes in order, if each has texts for all three parts."""
    different: dict[str, set[str]] = defaultdict(set)
    first_class: dict[str, str] = {}
    for said, name in pairs:  # near duplicates of two classes go where the first of them goes
        different[name]
        if first_class.setdefault(_key(said), name) == name:
            different[name].add(_key(said))
    if len(different) < 2:
        raise ValueError(
            f"{path} has one class only, {next(iter(different))!r}; there is nothing to tell apart"
        )
    few = {name: len(keys) for name, keys in different.items() if len(keys) < FEWEST_TEXTS}
    if few:
        rare = ", ".join(f"{name!r} ({count})" for name, count in sorted(few.items())[:3])
        raise ValueError(
            f"{path}: a class needs at least {FEWEST_TEXTS} different texts; too few have {rare}. "
            "Texts that differ in digits, case or punctuation alone count as one. Add texts, or "
            "join or delete such classes"
        )
    return tuple(sorted(different))


def _key(text: str) -> str:
    """The key of near duplicates; a text without letters is its own."""
    return near_duplicate_key(text) or text
