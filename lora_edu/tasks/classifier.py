"""Three ways to make a classifier of a GPT: train a new head only, LoRA, or everything.

All three put a new linear head on the last real token's features. They differ in what else learns:

| method | trains | frozen |
|---|---|---|
| "head" | the head | the GPT: its features are computed once and kept |
| "lora" | the head and A, B beside every linear layer of the blocks | the GPT |
| "full" | everything | nothing |
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lora_edu.datasets import Batches, Row
from lora_edu.evaluation import Predictions, accuracy_interval, f1
from lora_edu.gpt import GPT
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.training import (
    History,
    choose_device,
    classification_loss,
    evaluation_mode,
    fit,
    own_random_state,
)

METHODS = ("head", "lora", "full")
LORA_TARGETS = ("query", "key", "value", "out", "fc_in", "fc_out")
LORA = {"rank": 8, "alpha": 16, "scaling": "alpha/rank", "init": "peft"}

# Once the features are there, a step of the head costs next to nothing: it gets many.
HEAD_STEPS, HEAD_BATCH_ROWS = 400, 64


def prepare_classifier(model: GPT, method: str, classes: int = 2, *, seed: int = 0) -> None:
    """Turns a pre-trained GPT into a classifier ready for `fit`, in place.

    Args:
        model: Changed in place.
        method: One of `METHODS`.
        classes: Width of the new head.
        seed: Of the head's and LoRA's random start.

    Raises:
        ValueError: the method is unknown.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    weight = model.final_norm.weight
    with own_random_state(seed, weight.device):
        if method != "full":
            freeze(model)
        if method == "lora":
            replace_linear_with_lora(model, targets=LORA_TARGETS, **LORA)
        head = nn.Linear(model.config.n_embd, classes)
    model.head = head.to(weight.device, weight.dtype)


@torch.no_grad()
def features(model: GPT, batches: Batches) -> Tensor:
    """What the head sees of each row: the final norm's output at the last real token.

    Shape:
        (N, C), in the order of `batches.rows`.
    """
    device = model.final_norm.weight.device
    found = torch.empty(len(batches.rows), model.config.n_embd, device=device)
    head = model.head
    with evaluation_mode(model):
        model.head = nn.Identity()
        try:
            for indices, batch in zip(batches.order(0), batches.epoch(0), strict=True):
                batch = batch.to(device)
                found[indices] = model(batch.token_ids, positions=batch.lengths - 1)
        finally:
            model.head = head
    return found


@dataclass(frozen=True)
class FeatureBatch:
    """Rows of features with their classes: what a head alone is trained on.

    Shape:
        features (B, C), lengths (B,) of ones, targets (B,).
    """

    features: Tensor
    lengths: Tensor
    targets: Tensor

    def to(self, device: torch.device | str) -> FeatureBatch:
        """Returns the same batch on another device."""
        return FeatureBatch(*(part.to(device) for part in vars(self).values()))


class FeatureBatches:
    """Features in shuffled batches, an epoch at a time, for `fit`.

    Args:
        features: (N, C).
        targets: (N,) classes.
        batch_size: Rows in a batch.
        seed: Of the shuffle.
    """

    def __init__(
        self, features: Tensor, targets: Tensor, batch_size: int, *, seed: int = 0
    ) -> None:
        self.features, self.targets = features, targets
        self.batch_size, self.seed = batch_size, seed

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.targets) // self.batch_size)

    def epoch(self, number: int) -> Iterator[FeatureBatch]:
        """Yields the batches of epoch `number`; the order depends on it and the seed alone."""
        order = list(range(len(self.targets)))
        random.Random(f"{self.seed}/{number}").shuffle(order)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            ones = torch.ones(len(chosen), dtype=torch.long)
            yield FeatureBatch(self.features[chosen], ones, self.targets[chosen])


def feature_loss(head: nn.Module, batch: FeatureBatch) -> Tensor:
    """Cross-entropy of a head on ready-made features: nats per example."""
    return F.cross_entropy(head(batch.features).float(), batch.targets)


def train_classifier(
    model: GPT,
    method: str,
    rows: Sequence[Row],
    *,
    lr: float,
    steps: int,
    batch_size: int = 16,
    seed: int = 0,
    **options: Any,
) -> History:
    """Trains one of the three methods on rows with classes, in place.

    Args:
        model: A pre-trained GPT; it becomes the classifier.
        method: One of `METHODS`.
        rows: Training rows; their classes are 0 … K - 1.
        lr: Peak learning rate.
        steps: Updates of "lora" and "full"; a head on cached features makes `HEAD_STEPS`.
        batch_size: Rows a step of "lora" and "full".
        seed: Of the new parameters, the shuffle and dropout.
        options: Passed on to `fit`, such as `device` or `callbacks`.

    Returns:
        The history; for "head", `seconds` includes computing the features.
    """
    prepare_classifier(model, method, 1 + max(row.target for row in rows), seed=seed)
    if method != "head":
        batches, loss = Batches(rows, batch_size, seed=seed), classification_loss
        return fit(model, batches, loss, lr=lr, steps=steps, seed=seed, **options)
    started = time.perf_counter()
    model.to(options.get("device") or choose_device())
    targets = torch.tensor([row.target for row in rows])
    found = features(model, Batches(rows, HEAD_BATCH_ROWS, shuffle=False)).cpu()
    batches = FeatureBatches(found, targets, HEAD_BATCH_ROWS, seed=seed)
    spent = time.perf_counter() - started
    history = fit(model.head, batches, feature_loss, lr=lr, steps=HEAD_STEPS, seed=seed, **options)
    history.seconds += spent
    history.tokens = sum(len(row.token_ids) for row in rows)
    return history


def measures(predictions: Predictions, prefix: str) -> dict[str, float]:
    """Loss in nats per text, accuracy, and F1 of class 1, under names that start with `prefix`."""
    right = predictions.probabilities[range(len(predictions.labels)), predictions.labels]
    return {
        f"{prefix}_loss": -right.clamp(min=1e-12).log().mean().item(),
        f"{prefix}_accuracy": accuracy_interval(predictions).value,
        f"{prefix}_f1": f1(predictions),
    }
