"""Answers to the exercises on what to measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from samples import Samples

Classes = Sequence[int]
Slots = dict[str, str]


def _counts(labels: Classes, predicted: Classes) -> tuple[int, int, int]:
    """Returns right alarms, false alarms and misses."""
    pairs = list(zip(labels, predicted, strict=True))
    return pairs.count((1, 1)), pairs.count((0, 1)), pairs.count((1, 0))


def _f1(labels: Classes, predicted: Classes) -> float:
    right, false, missed = _counts(labels, predicted)
    return 2 * right / max(1, 2 * right + false + missed)


def _terms(labels: Classes, predicted: Classes) -> tuple[int, int]:
    right, false, missed = _counts(labels, predicted)
    return 2 * right, max(1, 2 * right + false + missed)


def _f1_in_float32(labels: Classes, predicted: Classes) -> Tensor:
    labels, predicted = torch.tensor(labels), torch.tensor(predicted)
    right = (labels * predicted).sum()
    return 2 * right / (labels.sum() + predicted.sum()).clamp(min=1)


def _f1_of_sets(labels: Classes, predicted: Classes) -> float:
    spam = {i for i, label in enumerate(labels) if label}
    alarms = {i for i, label in enumerate(predicted) if label}
    return 2 * len(spam & alarms) / max(1, len(spam) + len(alarms))


def _harmonic_mean(labels: Classes, predicted: Classes) -> float:
    both = _precision(labels, predicted), _recall(labels, predicted)
    return 2 * both[0] * both[1] / sum(both) if all(both) else 0.0


def _precision(labels: Classes, predicted: Classes) -> float:
    right, false, _ = _counts(labels, predicted)
    return right / max(1, right + false)


def _recall(labels: Classes, predicted: Classes) -> float:
    right, _, missed = _counts(labels, predicted)
    return right / max(1, right + missed)


def _plain_mean(labels: Classes, predicted: Classes) -> float:
    return (_precision(labels, predicted) + _recall(labels, predicted)) / 2


def _accuracy(labels: Classes, predicted: Classes) -> float:
    return sum(a == b for a, b in zip(labels, predicted, strict=True)) / len(labels)


def _of_ham(labels: Classes, predicted: Classes) -> float:
    return _f1([1 - label for label in labels], [1 - label for label in predicted])


def _right_alarms_once(labels: Classes, predicted: Classes) -> float:
    right, false, missed = _counts(labels, predicted)
    return right / max(1, right + false + missed)


def _divides_by_no_alarms(labels: Classes, predicted: Classes) -> float:
    right, false, missed = _counts(labels, predicted)
    precision, recall = right / (right + false), right / (right + missed)
    return 2 * precision * recall / (precision + recall)


def _divides_where_all_is_quiet(labels: Classes, predicted: Classes) -> float:
    right, false, missed = _counts(labels, predicted)
    return 2 * right / (2 * right + false + missed)


def _count(meant: Slots, said: Slots) -> tuple[int, int, int]:
    missing = sum(slot not in said for slot in meant)
    wrong = sum(slot in said and said[slot] != value for slot, value in meant.items())
    added = sum(slot not in meant for slot in said)
    return missing, wrong, added


def _count_of_sets(meant: Slots, said: Slots) -> tuple[int, int, int]:
    both = meant.keys() & said.keys()
    wrong = sum(meant[slot] != said[slot] for slot in both)
    return len(meant) - len(both), wrong, len(said) - len(both)


def _wrong_at_most_once(meant: Slots, said: Slots) -> tuple[int, int, int]:
    missing, wrong, added = _count(meant, said)
    return missing, min(wrong, 1), added


def _whatever_the_case(meant: Slots, said: Slots) -> tuple[int, int, int]:
    small = ({slot: value.lower() for slot, value in text.items()} for text in (meant, said))
    return _count(*small)


def _pairs_only(meant: Slots, said: Slots) -> tuple[int, int, int]:
    return len(meant.items() - said.items()), 0, len(said.items() - meant.items())


def _pairs_and_wrong(meant: Slots, said: Slots) -> tuple[int, int, int]:
    missing, _, added = _pairs_only(meant, said)
    return missing, _count(meant, said)[1], added


Numbers = Sequence[float]


def _mean(nats: Numbers, tokens: Numbers) -> float:
    return sum(nats) / sum(tokens)


def _per_text(nats: Numbers, tokens: Numbers) -> list[float]:
    return [n / t for n, t in zip(nats, tokens)]


SAMPLES = {
    "09.f1": Samples(
        right=[
            _f1,
            _f1_in_float32,
            lambda labels, predicted: Fraction(*_terms(labels, predicted)),
            _f1_of_sets,
            _harmonic_mean,
        ],
        wrong=[
            (_accuracy, "That is accuracy"),
            (_of_ham, "the F1 of ham"),
            (lambda labels, predicted: _f1(labels, predicted) / 2, "The factor 2 above the line"),
            (_right_alarms_once, "counts twice, above the line and below"),
            (_divides_by_no_alarms, "divide by zero"),
            (_precision, "That is precision"),
            (_recall, "That is recall"),
            (_plain_mean, "not the plain mean"),
            (lambda labels, predicted: 0.3, "With 1 right alarm"),
            (_divides_where_all_is_quiet, "neither spam nor an alarm you divide"),
            (lambda labels, predicted: 0.4, "4 / (4 + 2 + 1)"),
            (lambda labels, predicted: round(_f1(labels, predicted), 1), "4 / (4 + 2 + 1)"),
            (lambda labels, predicted: _f1(labels, predicted) or 0.5, "never says spam has F1 0"),
            (
                lambda labels, predicted: predicted.sort() or _f1(labels, predicted),
                "changes the `predicted` that",
            ),
            (lambda labels, predicted: str(_f1(labels, predicted)), "without quotation marks"),
        ],
    ),
    "06.slots": Samples(
        right=[
            _count,
            lambda meant, said: list(_count(meant, said)),
            lambda meant, said: torch.tensor(_count(meant, said)),
            lambda meant, said: np.array(_count(meant, said), dtype=float),
            _count_of_sets,
        ],
        wrong=[
            (lambda meant, said: (4, 1, 2), "wrong, but not missing as well"),
            (lambda meant, said: (3, 1, 3), "wrong, but not added as well"),
            (_pairs_only, "as pairs"),
            (
                lambda meant, said: (
                    len(meant.keys() - said.keys()),
                    0,
                    len(said.keys() - meant.keys()),
                ),
                "never compare the values",
            ),
            (lambda meant, said: _count(said, meant), "have changed places"),
            (
                lambda meant, said: (*_count(meant, said)[:2], 0),
                "coffee and a diner were made up",
            ),
            (lambda meant, said: sum(_count(meant, said)), "Return three numbers"),
            (_pairs_and_wrong, "you count it as missing and as added, too"),
            (lambda meant, said: (3, 1, 2), "has no errors; yours counts some"),
            (lambda meant, said: tuple(map(str, _count(meant, said))), "without quotation marks"),
            (lambda meant, said: said.clear() or (3, 1, 2), "changes the `said` that"),
            (lambda meant, said: (0, 0, 0), "So 3 are missing"),
            (_whatever_the_case, "old oak is not how Old Oak is written"),
            (_wrong_at_most_once, "two are wrong"),
            (lambda meant, said: (3, 1, 2) if len(meant) == 5 else (0, 0, 0), "two are wrong"),
        ],
    ),
    "06.perplexity": Samples(
        right=[
            lambda nats, tokens: math.exp(_mean(nats, tokens)),
            lambda nats, tokens: (torch.tensor(nats).sum() / torch.tensor(tokens).sum()).exp(),
            lambda nats, tokens: np.exp(np.sum(nats) / np.sum(tokens)),
            lambda nats, tokens: math.e ** _mean(nats, tokens),
            lambda nats, tokens: math.prod(math.exp(n / sum(tokens)) for n in nats),
        ],
        wrong=[
            (
                lambda nats, tokens: sum(map(math.exp, _per_text(nats, tokens))) / len(nats),
                "averaged perplexities",
            ),
            (
                lambda nats, tokens: math.exp(sum(_per_text(nats, tokens)) / len(nats)),
                "Each text weighs the same",
            ),
            (lambda nats, tokens: 2 ** _mean(nats, tokens), "in nats, not in bits"),
            (_mean, "That is the mean loss"),
            (
                lambda nats, tokens: math.exp(sum(nats)),
                "Divide by the number of tokens before",
            ),
            (lambda nats, tokens: math.exp(sum(nats) / len(nats)), "by the number of texts"),
            (lambda nats, tokens: math.exp(-_mean(nats, tokens)), "The sign is wrong"),
            (lambda nats, tokens: 2.0, "2.909 nats per token"),
            (lambda nats, tokens: math.exp(320 / 110), "use nats and tokens"),
            (lambda nats, tokens: [math.exp(_mean(nats, tokens))], "yours is a list"),
            (lambda nats, tokens: math.exp(sum(nats) / 110), "use nats and tokens"),
            (lambda nats, tokens: math.exp(320 / sum(tokens)), "use nats and tokens"),
            (lambda nats, tokens: str(math.exp(_mean(nats, tokens))), "without quotation marks"),
        ],
    ),
}
