"""The messages of appendix E, in the parts that its code makes of the SMS Spam Collection.

All spam and as many ham messages, drawn at random; shuffled; the first 70 % to train on, the next
10 % for validation, the rest for the test. Its code does that with pandas and the seed 123, twice;
NumPy draws the same numbers, so that these are its very messages: 1,045, 149 and 300.

It keeps duplicates, which `load_spam("real")` does not: 37 of its 300 test messages are in its
training part, word for word. `seen_in_training` says which.

Source:
    Raschka 2024, "Build a Large Language Model From Scratch", chapter 6 and appendix E.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from lora_edu.datasets import LABELS, Example, Split
from lora_edu.files import fetch

SEED = 123
TRAIN, VALIDATION = 0.7, 0.1


def appendix_split() -> Split:
    """Fetches the collection once, checked by its hash, and splits it as appendix E does.

    Raises:
        DownloadError: the messages could not be fetched.
    """
    return split(read(fetch("sms_spam/SMSSpamCollection").read_text(encoding="utf-8")))


def read(text: str) -> list[Example]:
    """The messages as pandas reads them: a quotation mark at the start joins two lines into one."""
    rows = csv.reader(io.StringIO(text), delimiter="\t")
    return [Example(message, LABELS[label]) for label, message in rows]


def split(examples: Sequence[Example]) -> Split:
    """Balances and splits messages as appendix E does."""
    spam = [example for example in examples if example.label == LABELS["spam"]]
    ham = [example for example in examples if example.label == LABELS["ham"]]
    mixed = _drawn([*_drawn(ham, len(spam)), *spam], 2 * len(spam))
    first = int(len(mixed) * TRAIN)
    second = first + int(len(mixed) * VALIDATION)
    return Split(mixed[:first], mixed[first:second], mixed[second:])


def seen_in_training(split: Split) -> list[int]:
    """For each test message 1 if the same text is in the training part, else 0."""
    seen = {example.text for example in split.train}
    return [int(example.text in seen) for example in split.test]


def _drawn(rows: Sequence[Example], count: int) -> list[Example]:
    """What `DataFrame.sample` draws with that seed."""
    chosen = np.random.RandomState(SEED).choice(len(rows), size=count, replace=False)
    return [rows[index] for index in chosen]
