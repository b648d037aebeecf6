"""Data sets: the bundled ones and the real ones, split without leakage.

| set | bundled (we wrote it) | real (fetched once, checked by hash) |
|---|---|---|
| spam | short messages | SMS Spam Collection, Almeida et al. 2011 |
| menu | meals and cafés | E2E NLG, Novikova et al. 2017 |
| tales | a pirate's tales | |
| stories | ten small stories, to measure what was forgotten | |

A text from outside is only ever text here: nothing of it is run or evaluated.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from lora_edu.files import data_path, fetch

T = TypeVar("T")


class Example(NamedTuple):
    """A text with its class: 0 ham, 1 spam."""

    text: str
    label: int


class Pair(NamedTuple):
    """A meaning and a sentence that says it; a test meaning has several `references`."""

    meaning: str
    sentence: str
    references: tuple[str, ...] = ()


class Split(NamedTuple):
    """The three parts of a data set: learn on one, choose on one, report on one."""

    train: list
    validation: list
    test: list


def near_duplicate_key(text: str) -> str:
    """Maps texts that differ only in case, digits, spaces and punctuation to one key.

    Example:
        >>> near_duplicate_key("Call 0800-123 NOW!") == near_duplicate_key("call 0871 999 now")
        True
    """
    return re.sub(r"[\W_\d]+", " ", text.lower()).strip()


def split_by_group(
    rows: Sequence[T],
    group: Callable[[T], str],
    stratum: Callable[[T], object],
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2),
    seed: int = 0,
) -> Split:
    """Splits rows so that a group is never cut, keeping the share of each stratum.

    Args:
        rows: Anything.
        group: The key of a row's group; rows of one group land on one side.
        stratum: The row's class; each class is split by `fractions` (of its groups).
        fractions: Shares of train, validation and test; they sum to 1.
        seed: Of the shuffle.

    Raises:
        ValueError: the fractions are negative or do not sum to 1.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"fractions must be at least 0 and sum to 1, got {fractions}")
    groups: dict[str, list[T]] = defaultdict(list)
    for row in rows:
        groups[group(row)].append(row)
    strata: dict[object, list[list[T]]] = defaultdict(list)
    for key in sorted(groups):
        strata[stratum(groups[key][0])].append(groups[key])
    shuffle = random.Random(seed)
    split = Split([], [], [])
    for name in sorted(strata, key=repr):
        members = strata[name]
        shuffle.shuffle(members)
        first = round(fractions[0] * len(members))
        second = first + round(fractions[1] * len(members))
        for part, chosen in zip(split, (members[:first], members[first:second], members[second:])):
            part.extend(row for rows_of_group in chosen for row in rows_of_group)
    for part in split:
        shuffle.shuffle(part)
    return split


def read_sms(text: str) -> list[tuple[str, str]]:
    """Reads the UCI SMS Spam Collection: (label, message) rows, exact duplicates removed."""
    rows = [tuple(line.split("\t", 1)) for line in text.splitlines() if "\t" in line]
    return list(dict.fromkeys(rows))


def split_sms(rows: Sequence[tuple[str, str]], seed: int = 0) -> Split:
    """Splits SMS rows by label; near duplicates stay together."""
    return split_by_group(
        rows, group=lambda row: near_duplicate_key(row[1]), stratum=lambda row: row[0], seed=seed
    )


LABELS = {"ham": 0, "spam": 1}


def load_spam(source: str = "bundled") -> Split:
    """Short messages, ham (0) or spam (1): a `Split` of `Example`.

    Args:
        source: "bundled", or "real" for the SMS Spam Collection (UCI data set 228), split 70, 10
            and 20 % with near duplicates on one side.

    Raises:
        ValueError: another source.
        DownloadError: the real messages could not be fetched.

    Source:
        Almeida, Gómez Hidalgo and Yamakami 2011, DocEng '11, p. 259.

    Example:
        >>> {example.label for example in load_spam().train}
        {0, 1}
    """
    if source == "bundled":
        rows = Split(*(_read_bundled("spam", part) for part in Split._fields))
        return Split(*([Example(row["text"], LABELS[row["label"]]) for row in p] for p in rows))
    _check_source(source)
    text = fetch("sms_spam/SMSSpamCollection").read_text(encoding="utf-8")
    return Split(
        *([Example(row[1], LABELS[row[0]]) for row in p] for p in split_sms(read_sms(text)))
    )


def load_menu(source: str = "bundled") -> Split:
    """Meanings with sentences that say them: a `Split` of `Pair`.

    A meaning is a list of slots, `dish[tomato soup], price[cheap]`. In validation and test each
    meaning stands there once, with all its sentences in `references`; `sentence` is the first.

    Args:
        source: "bundled", or "real" for the E2E NLG data set in its authors' split, whose parts
            share no meaning, not even with the names taken out. Exact duplicates are removed, and
            so are the training sentences that validation or test has nearly alike.

    Raises:
        ValueError: another source.
        DownloadError: the real data could not be fetched.

    Source:
        Novikova, Dušek and Rieser 2017, arXiv:1706.09254.

    Example:
        >>> len(load_menu().test[0].references) > 1
        True
    """
    if source == "bundled":
        parts = [
            [(row["meaning"], row["sentence"]) for row in _read_bundled("menu", part)]
            for part in Split._fields
        ]
    else:
        _check_source(source)
        parts = read_e2e(fetch("e2e_nlg/e2e-dataset.zip").read_bytes())
    train, validation, test = parts
    seen = {near_duplicate_key(sentence) for _, sentence in (*validation, *test)}
    train = [row for row in train if near_duplicate_key(row[1]) not in seen]
    return Split(
        [Pair(*row) for row in train], _with_references(validation), _with_references(test)
    )


def load_tales() -> Split:
    """Short tales in a pirate's voice: a `Split` of `str`.

    Example:
        >>> max(map(len, load_tales().test)) < 1000
        True
    """
    return Split(*([row["text"] for row in _read_bundled("tales", p)] for p in Split._fields))


def load_stories() -> list[str]:
    """Ten small stories like those the base has read, written for this course: none was.

    Their loss before and after training on something else says what was forgotten.

    Example:
        >>> load_stories()[0][:25]
        'One windy day, Nora and h'
    """
    path = data_path("stories", "stories.jsonl")
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]


def read_e2e(archive: bytes) -> list[list[tuple[str, str]]]:
    """Reads the E2E zip: (meaning, sentence) rows of train, dev and test, duplicates removed."""
    parts = []
    with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
        for name in ("trainset", "devset", "testset_w_refs"):
            table = io.StringIO(zipped.read(f"e2e-dataset/{name}.csv").decode("utf-8"))
            rows = ((row["mr"], row["ref"]) for row in csv.DictReader(table))
            parts.append(list(dict.fromkeys(rows)))
    return parts


def parse_meaning(meaning: str) -> dict[str, str]:
    """Takes `dish[tomato soup], price[cheap]` apart: {"dish": "tomato soup", "price": "cheap"}.

    Raises:
        ValueError: the text is not of this form.

    Example:
        >>> parse_meaning("dish[tomato soup], price[cheap]")
        {'dish': 'tomato soup', 'price': 'cheap'}
    """
    if not re.fullmatch(r"[^][,]+\[[^][]*\](, [^][,]+\[[^][]*\])*", meaning):
        raise ValueError(f"meaning must look like 'dish[soup], price[cheap]', got {meaning!r}")
    return dict(re.findall(r"([^][,]+?)\[([^][]*)\](?:, )?", meaning))


def _with_references(rows: Sequence[tuple[str, str]]) -> list[Pair]:
    sentences: dict[str, list[str]] = defaultdict(list)
    for meaning, sentence in rows:
        sentences[meaning].append(sentence)
    return [Pair(meaning, said[0], tuple(said)) for meaning, said in sentences.items()]


def _read_bundled(name: str, part: str) -> list[dict]:
    path = data_path(name, f"{part}.jsonl")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _check_source(source: str) -> None:
    if source != "real":
        raise ValueError(f'source must be "bundled" or "real", got {source!r}')
