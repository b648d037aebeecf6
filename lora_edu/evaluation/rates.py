"""What a sweep over learning rates shows: the best rate, and what learning cost at each.

A method that learns more tends to forget more. To ask which of two forgets less, compare them where
they have learnt the same: each rate is a point (loss on the task, loss on the old text), and the
points of a method, by rising rate, are a curve.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import mean
from typing import Any, NamedTuple

import torch

from lora_edu.evaluation.experiments import runs_of
from lora_edu.evaluation.metrics import mean_difference


class Point(NamedTuple):
    """One learning rate: what was learnt with it, and what was forgotten; lower is better."""

    rate: float
    learning: float
    forgetting: float


def seeds_by_rate(
    record: Mapping[str, Any], measure: str = "validation_loss", **key: Any
) -> dict[float, list[float]]:
    """Returns each seed's loss for each learning rate, by rising rate and in the seeds' order.

    Args:
        record: From `read_record`.
        measure: The loss's name in a run.
        key: What the runs have in common.

    Raises:
        ValueError: there is no such run.
    """
    found = defaultdict(list)
    for run in runs_of(record, **key):
        found[run["key"]["lr"]].append(run[measure])
    return dict(sorted(found.items()))


def losses_by_rate(
    record: Mapping[str, Any], measure: str = "validation_loss", **key: Any
) -> dict[float, float]:
    """Returns a loss for each learning rate, by rising rate: the mean over seeds.

    Args and errors are those of `seeds_by_rate`.
    """
    return {rate: mean(seeds) for rate, seeds in seeds_by_rate(record, measure, **key).items()}


def best_rate(record: Mapping[str, Any], **key: Any) -> float:
    """Returns the learning rate with the lowest validation loss, on average over seeds.

    Raises:
        ValueError: there is no such run.
    """
    losses = losses_by_rate(record, **key)
    return min(losses, key=losses.get)


def runs_at_best_rate(record: Mapping[str, Any], **key: Any) -> list[dict[str, Any]]:
    """Returns the runs with the learning rate that `best_rate` names.

    Raises:
        ValueError: there is no such run.
    """
    return runs_of(record, **key, lr=best_rate(record, **key))


def tied_rates(record: Mapping[str, Any], **key: Any) -> list[float]:
    """Returns the rates that are not shown to be worse than the best, the best included.

    A rate is out where its validation loss, minus the best rate's of the same seed, is above 0 by
    an interval of 95 %. One seed shows nothing of its spread, so with one there is no answer.

    Args:
        record: From `read_record`.
        key: What the runs have in common.

    Returns:
        By rising rate; none where a rate has not two seeds in common with the best.

    Raises:
        ValueError: there is no such run.
    """
    found = defaultdict(dict)
    for run in runs_of(record, **key):
        found[run["key"]["lr"]][run["key"]["seed"]] = run["validation_loss"]
    best, tied = found[best_rate(record, **key)], []
    for rate, losses in sorted(found.items()):
        if len(seeds := sorted(losses.keys() & best.keys())) < 2:
            return []
        one, other = (torch.tensor([of[seed] for seed in seeds]) for of in (losses, best))
        worse, half = mean_difference(one, other)
        if worse <= half:
            tied.append(rate)
    return tied


def tradeoff(
    record: Mapping[str, Any], forgetting: str, **key: Any
) -> tuple[list[Point], list[list[Point]]]:
    """Returns a method's curve of learning and forgetting, up to its best rate.

    A rate above the best learns less and forgets more, so it answers no question.

    Args:
        record: From `read_record`.
        forgetting: The name, in a run, of the loss on what was known before.
        key: What the runs have in common.

    Returns:
        The curve of the mean over seeds, and one of each seed.

    Raises:
        ValueError: there is no such run.
    """
    runs, best = runs_of(record, **key), best_rate(record, **key)
    seeds = defaultdict(list)
    for run in sorted(runs, key=lambda run: run["key"]["lr"]):
        if (rate := run["key"]["lr"]) <= best:
            point = Point(rate, run["validation_loss"], run[forgetting])
            seeds[run["key"]["seed"]].append(point)
    learning = losses_by_rate(record, **key)
    forgotten = losses_by_rate(record, forgetting, **key)
    whole = [Point(rate, learning[rate], forgotten[rate]) for rate in learning if rate <= best]
    return whole, [seeds[seed] for seed in sorted(seeds)]


def with_rates_between(
    runs: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
) -> dict[str, list]:
    """Returns the runs of one arm as a record, with another sweep's where it had rates of its own.

    A curve through more rates is closer to the truth, because it bends: a straight line between two
    points of it lies too high.

    Args:
        runs: Of one sweep.
        others: Of another sweep with the same data, steps and seeds; those at a rate that `runs`
            has are left out.

    Raises:
        ValueError: a rate has other seeds than the first of `runs`.

    Example:
        >>> one, other = ({"key": {"lr": lr, "seed": 0}} for lr in (0.1, 0.2))
        >>> len(with_rates_between([one], [one, other])["runs"])
        2
    """
    rates = {run["key"]["lr"] for run in runs}
    both = [*runs, *(run for run in others if run["key"]["lr"] not in rates)]
    seeds = defaultdict(set)
    for run in both:
        seeds[run["key"]["lr"]].add(run["key"]["seed"])
    if len({tuple(sorted(each)) for each in seeds.values()}) != 1:
        raise ValueError(f"every rate needs the same seeds, got {dict(sorted(seeds.items()))}")
    return {"runs": both}


def forgotten_at(learning: float, curve: Sequence[Point]) -> float:
    """Returns what a curve has forgotten where it has learnt so much, between two rates.

    Args:
        learning: The loss on the task.
        curve: Points by rising rate, as from `tradeoff`.

    Returns:
        The loss on what was known before; not a number where the curve does not come by.

    Example:
        >>> forgotten_at(0.5, [Point(1e-3, 1.0, 2.0), Point(1e-2, 0.0, 4.0)])
        3.0
    """
    for one, other in pairwise(curve):
        if other.learning <= learning <= one.learning:
            share = (one.learning - learning) / (one.learning - other.learning)
            return one.forgetting + share * (other.forgetting - one.forgetting)
    return math.nan


def forgotten_beyond(
    ours: Sequence[Sequence[Point]], theirs: Sequence[Sequence[Point]]
) -> dict[float, tuple[float, float]]:
    """Returns what an arm's runs have forgotten beyond another arm's curve, by our rate.

    Each run is set beside the other's curve of the same seed where that has learnt as much as the
    run, so that no line is drawn between our own rates.

    Args:
        ours: A curve of each seed, as from `tradeoff`, each at the same rates.
        theirs: A curve of each of the same seeds.

    Returns:
        For each rate the mean difference over seeds and half of its 95 % interval; rates where
        one of their curves does not come by are left out.

    Raises:
        ValueError: there is one seed alone, or the two have not as many.
    """
    found = {}
    for runs in zip(*ours, strict=True):
        pairs = zip(runs, theirs, strict=True)
        beside = [forgotten_at(run.learning, curve) for run, curve in pairs]
        if not any(map(math.isnan, beside)):
            lost = torch.tensor([run.forgetting for run in runs])
            found[runs[0].rate] = mean_difference(lost, torch.tensor(beside))
    return found
