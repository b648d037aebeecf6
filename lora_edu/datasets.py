"""Data sets: the bundled ones and the real ones, split without leakage."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

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
