"""Metrics that say how sure they are: accuracy, F1, perplexity.

Source:
    Wilson 1927, JASA 22(158), p. 209 (the interval); Efron 1979, Annals of Statistics 7(1), p. 1
    (the bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lora_edu.datasets import IGNORE, Batches
from lora_edu.pretrained import logits_of
from lora_edu.training import evaluation_mode, free_threads

Z_95 = 1.959963984540054  # a standard normal lies within ± this with probability 95 %

# 97.5 % quantiles of Student's t, for 1, 2, … 19 degrees of freedom.
STUDENT_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11, 2.101, 2.093),
)
RESAMPLES = 2000  # of a bootstrap: its 2.5 % ends then rest on 50 draws each


class Interval(NamedTuple):
    """An estimate with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Predictions(NamedTuple):
    """What a classifier said about each row, in the order of the rows.

    Shape:
        labels, predicted: (N,) class ids. probabilities: (N, K), the softmax of the logits.
    """

    labels: Tensor
    predicted: Tensor
    probabilities: Tensor


def classify(model: nn.Module, batches: Batches) -> Predictions:
    """Runs a classifier over all rows: its head at the last real token of each.

    Args:
        model: A GPT whose `head` gives the logits of K classes.
        batches: Of rows whose target is a class.
    """
    labels = torch.empty(len(batches.rows), dtype=torch.long)
    probabilities = None
    device = next(model.parameters()).device
    with evaluation_mode(model), torch.inference_mode(), free_threads():
        for indices, batch in zip(batches.order(0), batches.epoch(0), strict=True):
            batch = batch.to(device)
            logits = model(batch.token_ids, positions=batch.lengths - 1).float()
            if probabilities is None:
                probabilities = torch.empty(len(batches.rows), logits.shape[1])
            labels[indices] = batch.targets.cpu()
            probabilities[indices] = logits.softmax(dim=1).cpu()
    return Predictions(labels, probabilities.argmax(dim=1), probabilities)


def student_95(freedom: int) -> float:
    """Student's t lies within ± this with probability 95 %; from 20 degrees on, the normal's.

    Raises:
        ValueError: no degree of freedom: a single run does not know its spread.

    Source:
        Student 1908, "The probable error of a mean", Biometrika 6(1), p. 1.
    """
    if freedom < 1:
        raise ValueError(f"freedom must be at least 1, got {freedom}; it is one less than the runs")
    return STUDENT_95[freedom - 1] if freedom <= len(STUDENT_95) else Z_95


def mean_difference(first: Tensor, second: Tensor) -> tuple[float, float]:
    """Mean difference of two measures over the same seeds, and half of its 95 % interval.

    Args:
        first: One value for each seed.
        second: One for each seed, in the same order.

    Raises:
        ValueError: there is one seed alone, which does not know its spread.

    Example:
        >>> difference, half = mean_difference(torch.tensor([2.0, 4.0, 6.0]), torch.zeros(3))
        >>> round(difference, 2), round(half, 2)
        (4.0, 4.97)
    """
    differences = (first - second).double()
    half = student_95(len(differences) - 1) * differences.std() / len(differences) ** 0.5
    return differences.mean().item(), half.item()


def wilson_interval(successes: int, total: int) -> Interval:
    """The 95 % interval of a share, by Wilson: it stays inside [0, 1] and holds for small counts.

    centre = (p + z²/2n) / (1 + z²/n), half width = z √(p(1-p)/n + z²/4n²) / (1 + z²/n).

    Raises:
        ValueError: `total` is below 1 or `successes` lies outside 0 … `total`.

    Source:
        Wilson 1927, JASA 22(158), p. 209.

    Example:
        >>> interval = wilson_interval(95, 100)
        >>> f"{interval.value:.2f} ({interval.low:.3f} to {interval.high:.3f})"
        '0.95 (0.888 to 0.978)'
    """
    if total < 1 or not 0 <= successes <= total:
        raise ValueError(
            f"successes must lie in 0 … total and total be at least 1, got {successes} of {total}"
        )
    share = successes / total
    shrink = 1 + Z_95**2 / total
    centre = (share + Z_95**2 / (2 * total)) / shrink
    half = Z_95 * math.sqrt(share * (1 - share) / total + (Z_95 / (2 * total)) ** 2) / shrink
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def accuracy_interval(predictions: Predictions) -> Interval:
    """Share of right answers with its 95 % interval (Wilson)."""
    right = predictions.labels == predictions.predicted
    return wilson_interval(int(right.sum()), len(right))


def confusion(predictions: Predictions) -> Tensor:
    """Counts[i, j]: rows of class i that were called class j. Shape (K, K)."""
    classes = predictions.probabilities.shape[1]
    cells = predictions.labels * classes + predictions.predicted
    return torch.bincount(cells, minlength=classes**2).reshape(classes, classes)


def f1(predictions: Predictions, positive: int = 1) -> float:
    """F1 = 2 TP / (2 TP + FP + FN) of one class; 0 where that class neither occurs nor is named."""
    labels, predicted = predictions.labels == positive, predictions.predicted == positive
    return float(_f1(labels, predicted))


def _f1(labels: Tensor, predicted: Tensor) -> Tensor:
    """F1 over the last dimension of two boolean tensors."""
    named = labels.sum(-1) + predicted.sum(-1)  # 2 TP + FP + FN
    return 2 * (labels & predicted).sum(-1) / named.clamp(min=1)


def f1_interval(predictions: Predictions, positive: int = 1, *, seed: int = 0) -> Interval:
    """F1 of one class with its 95 % interval, from a bootstrap over the examples."""
    labels, predicted = predictions.labels == positive, predictions.predicted == positive
    low, high = _bootstrap(len(labels), lambda draw: _f1(labels[draw], predicted[draw]), seed)
    return Interval(float(_f1(labels, predicted)), low, high)


def _bootstrap(size: int, statistic: Callable[[Tensor], Tensor], seed: int) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantiles of a statistic over resampled examples.

    Args:
        size: Examples.
        statistic: Maps indices (RESAMPLES, size) to values (RESAMPLES,).
        seed: Of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(size, (RESAMPLES, size), generator=generator)
    low, high = statistic(draws).double().quantile(torch.tensor([0.025, 0.975]).double()).tolist()
    return low, high


def mean_loss(model: nn.Module, batches: Batches) -> float:
    """Cross-entropy per target token in nats, each token weighing the same.

    A mean of batch means would weigh the tokens of a short batch more. The model may be our GPT or
    a causal language model of transformers.
    """
    nats, tokens = 0.0, 0
    device = next(model.parameters()).device
    with evaluation_mode(model), torch.inference_mode(), free_threads():
        for batch in batches.epoch(0):
            batch = batch.to(device)
            logits = logits_of(model(batch.token_ids)).float()
            nats += float(
                F.cross_entropy(
                    logits.flatten(0, 1),
                    batch.targets.flatten(),
                    ignore_index=IGNORE,
                    reduction="sum",
                )
            )
            tokens += int((batch.targets != IGNORE).sum())
    return nats / tokens


def perplexity(model: nn.Module, batches: Batches) -> float:
    """exp(mean loss): among so many equally likely tokens the model was, on average, choosing."""
    return float(torch.tensor(mean_loss(model, batches), dtype=torch.float64).exp())  # maybe inf
