"""Records of experiments, runs with seeds in a JSON file, and what they add up to.

A record is one file in `data/results/`. It names the command and the versions that made it and
holds one entry a run. The scripts that write them share `scripts/runs.py`.

Two kinds of luck are kept apart in a summary: that of the *seed* (another start, another order:
the spread between runs on the same test set) and that of the *sample* (another test set of the
same kind: the spread under resampled test examples).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lora_edu.evaluation.metrics import RESAMPLES, Z_95, student_95

Score = Callable[[Tensor, Tensor, Tensor], Tensor]  # labels, predicted, weights


def read_record(path: str | Path) -> dict[str, Any]:
    """Reads a record: "command", "versions", "about" and "runs".

    Raises:
        ValueError: the file is not a record.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        content["about"], content["runs"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is not a record of experiments; delete it and run anew") from None
    return content


def runs_of(record: Mapping[str, Any], **key: Any) -> list[dict[str, Any]]:
    """Returns the runs of a record whose key holds these values, in the order of the seeds.

    Raises:
        ValueError: there is none.

    Example:
        >>> record = {"runs": [{"key": {"seed": 1}}, {"key": {"seed": 0}}]}
        >>> runs_of(record, seed=1)
        [{'key': {'seed': 1}}]
    """
    found = [run for run in record["runs"] if key.items() <= run["key"].items()]
    if not found:
        raise ValueError(f"the record holds no run with {key}; make it with: {record['command']}")
    return sorted(found, key=lambda run: run["key"]["seed"])


def digits(text: str) -> Tensor:
    """Turns recorded classes, a string with a digit for each, into a tensor.

    Example:
        >>> digits("0110")
        tensor([0, 1, 1, 0])
    """
    return torch.tensor([int(digit) for digit in text])


def predictions_of(record: Mapping[str, Any], **key: Any) -> Tensor:
    """Returns the classes that the final runs of a record predicted, a row for each seed.

    Args:
        record: Of classifiers, as `scripts/sweep_classifier.py` writes it.
        key: Which runs; the pre-trained base and the true labels where nothing else is said.

    Shape:
        (S, N) for S seeds and N test messages.

    Raises:
        ValueError: there is no such run.
    """
    runs = runs_of(record, stage="final", **{"base": "mini", "labels": "true"} | key)
    return torch.stack([digits(run["predicted"]) for run in runs])


class Summary(NamedTuple):
    """A score over several seeds on one test set.

    `value` is the mean over seeds; `low` and `high` end its 95 % interval,
    value ± √(t² seed_sd² / S + 1.96² sample_sd²) with S seeds, cut to what a score can be, where t
    is Student's, 4.3 for three seeds and 2.8 for five. `seed_sd` is the standard deviation between
    seeds; `sample_sd` that of the mean under resampled test examples; `seeds` is S.
    """

    value: float
    low: float
    high: float
    seed_sd: float
    sample_sd: float
    seeds: int

    @property
    def seed_half(self) -> float:
        """Half the width for the luck of the seeds alone, t seed_sd / √S; 0 where S is 1."""
        few = self.seeds < 2
        return 0.0 if few else student_95(self.seeds - 1) * self.seed_sd / self.seeds**0.5

    @property
    def sample_half(self) -> float:
        """Half the width for the luck of the test examples alone, 1.96 sample_sd."""
        return Z_95 * self.sample_sd


def accuracy_score(labels: Tensor, predicted: Tensor, weights: Tensor) -> Tensor:
    """Share of right answers along the last dimension, each example with its weight.

    Shape:
        Each argument (..., N); output (...).
    """
    return ((labels == predicted) * weights).sum(-1) / weights.sum(-1)


def f1_score(labels: Tensor, predicted: Tensor, weights: Tensor) -> Tensor:
    """F1 = 2 TP / (2 TP + FP + FN) of class 1 along the last dimension, with weights.

    Shape:
        Each argument (..., N); output (...).
    """
    spam, alarm = labels == 1, predicted == 1
    named = ((spam.double() + alarm.double()) * weights).sum(-1)
    return 2 * ((spam & alarm) * weights).sum(-1) / named.clamp(min=1)


def summarise(
    labels: Tensor,
    predicted: Tensor,
    score: Score,
    *,
    groups: Tensor | None = None,
    highest: float = 1.0,
    seed: int = 0,
) -> Summary:
    """Sums up the runs of one method: mean, interval, and the two kinds of luck apart.

    Args:
        labels: (N,) true classes of the test set.
        predicted: (S, N) predicted classes, a row for each seed; one row knows no luck of seeds.
        score: `accuracy_score` or `f1_score`.
        groups: (N,) the group of each example, from 0. Examples of one group tend to be right or
            wrong together, so whole groups are resampled; by default each example is its own.
        highest: The most that a score can be; the least is 0.
        seed: Of the bootstrap over test examples.
    """
    resampled = _resampled(labels, predicted, score, groups, seed)
    return _summary(_scores(labels, predicted, score), resampled, 0.0, highest)


def compare(
    labels: Tensor,
    first: Tensor,
    second: Tensor,
    score: Score,
    *,
    groups: Tensor | None = None,
    highest: float = 1.0,
    seed: int = 0,
) -> Summary:
    """Sums up how much better the first method scores than the second on the same test set.

    Both are resampled together, so the luck of the test set that they share cancels. Where the
    interval holds 0, the experiment has not told the two apart.

    Args:
        labels: (N,) true classes.
        first: (S, N) predictions of the first method; run i goes with run i of the second.
        second: (S, N) predictions of the second.
        score: `accuracy_score` or `f1_score`.
        groups: As in `summarise`.
        highest: As in `summarise`.
        seed: Of the bootstrap.
    """
    difference = _scores(labels, first, score) - _scores(labels, second, score)
    resampled = _resampled(labels, first, score, groups, seed)
    resampled = resampled - _resampled(labels, second, score, groups, seed)
    return _summary(difference, resampled, -highest, highest)


def _scores(labels: Tensor, predicted: Tensor, score: Score) -> Tensor:
    """The score of each run on the test set as it is."""
    return score(labels, predicted, torch.ones(len(labels), dtype=torch.double))


def _resampled(
    labels: Tensor, predicted: Tensor, score: Score, groups: Tensor | None, seed: int
) -> Tensor:
    """The mean score over seeds on `RESAMPLES` test sets, their groups drawn with replacement."""
    groups = torch.arange(len(labels)) if groups is None else groups
    count = int(groups.max()) + 1
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(count, (RESAMPLES, count), generator=generator)
    times = torch.zeros(RESAMPLES, count, dtype=torch.double)
    times.scatter_add_(1, draws, torch.ones_like(times))
    weights = times[:, groups]  # how often each example was drawn
    return torch.stack([score(labels, run, weights) for run in predicted]).mean(0)


def _summary(scores: Tensor, resampled: Tensor, least: float, most: float) -> Summary:
    value, seeds = scores.mean().item(), len(scores)
    seed_sd = scores.std().item() if seeds > 1 else 0.0
    summary = Summary(value, least, most, seed_sd, resampled.std().item(), seeds)
    half = math.hypot(summary.seed_half, summary.sample_half)
    return summary._replace(low=max(least, value - half), high=min(most, value + half))
