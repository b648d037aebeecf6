"""Trains a classifier by one of the three methods of `lora_edu.tasks`, as the sweep does it.

Notebook 05 writes these steps out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from lora_edu.datasets import Batches, Row
from lora_edu.gpt import GPT
from lora_edu.tasks import (
    HEAD_BATCH_ROWS,
    HEAD_STEPS,
    FeatureBatches,
    feature_loss,
    features,
    prepare_classifier,
)
from lora_edu.training import History, choose_device, classification_loss, fit


def train_classifier(
    model: GPT,
    method: str,
    rows: Sequence[Row],
    *,
    lr: float,
    steps: int,
    batch_size: int = 16,
    seed: int = 0,
    device: torch.device | str | None = None,
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
        device: As `fit`.

    Returns:
        The history; for "head", `seconds` includes computing the features.
    """
    prepare_classifier(model, method, 1 + max(row.target for row in rows), seed=seed)
    if method != "head":
        batches, loss = Batches(rows, batch_size, seed=seed), classification_loss
        return fit(model, batches, loss, lr=lr, steps=steps, seed=seed, device=device)
    started = time.perf_counter()
    model.to(choose_device() if device is None else device)
    targets = torch.tensor([row.target for row in rows])
    found = features(model, Batches(rows, HEAD_BATCH_ROWS, shuffle=False)).cpu()
    batches = FeatureBatches(found, targets, HEAD_BATCH_ROWS, seed=seed)
    spent = time.perf_counter() - started
    history = fit(
        model.head, batches, feature_loss, lr=lr, steps=HEAD_STEPS, seed=seed, device=device
    )
    history.seconds += spent
    history.tokens = sum(len(row.token_ids) for row in rows)
    return history
