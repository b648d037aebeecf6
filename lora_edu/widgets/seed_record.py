"""The recorded seeds of the spam filters, packed for the page: right answers, run by run.

Three ways to train, each at the rate that was best for it in validation, on the pre-trained base,
with the same seeds: two methods with one seed see the same batches in the same order, so they are
compared in pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch

from lora_edu.evaluation import (
    Interval,
    accuracy_score,
    compare,
    digits,
    predictions_of,
    read_record,
)
from lora_edu.files import data_path

#: Two ways to train, as a reader says them; the difference is the first minus the second.
PAIRS = (("full", "LoRA"), ("LoRA", "head"), ("full", "head"))
#: Sets of messages with their record: the course's own, and the SMS Spam Collection.
SETS = {"our messages": "bundled", "real messages": "real"}
_PLACES = 1  # kept of the record's interval, in points, as notebooks print it


@dataclass(frozen=True)
class Seeds:
    """The runs on one set of messages.

    Args:
        messages: In the test part.
        right: By way to train: of how many messages the run with seed 0, 1, … was right.
        record: By pair, the mean difference over all seeds in points with its 95 % interval, for
            the luck of the seeds and of the messages, from `compare`.
    """

    messages: int
    right: Mapping[str, Sequence[int]]
    record: Mapping[tuple[str, str], Interval]

    @property
    def count(self) -> int:
        """How many seeds were recorded."""
        return len(self.right["LoRA"])


@cache
def recorded() -> dict[str, Seeds]:
    """Reads the runs that ship, by set of messages.

    Example:
        >>> {name: (seeds.count, seeds.messages) for name, seeds in recorded().items()}
        {'our messages': (5, 515), 'real messages': (5, 1031)}
    """
    return {name: _seeds(source) for name, source in SETS.items()}


def _seeds(source: str) -> Seeds:
    record = read_record(data_path("results", f"classifier_{source}.json"))
    truth = digits(record["about"]["test_labels"])
    groups = torch.tensor(record["about"]["test_groups"])
    names = dict.fromkeys(name for pair in PAIRS for name in pair)
    said = {name: predictions_of(record, method=name.lower()) for name in names}

    def interval(first: str, second: str) -> Interval:
        found = compare(truth, said[first], said[second], accuracy_score, groups=groups)
        return Interval(*(round(100 * each, _PLACES) for each in found[:3]))

    return Seeds(
        messages=len(truth),
        right={name: (runs == truth).sum(1).tolist() for name, runs in said.items()},
        record={pair: interval(*pair) for pair in PAIRS},
    )
