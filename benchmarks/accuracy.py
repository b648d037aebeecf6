"""Whether the fast recipe learns what the appendix's does: both train on S, for the same steps.

Same base, same messages, same start (B zero), same learning rate. The appendix's code pads every
message to the longest and reads the last position; ours buckets and reads the last real token.

How many messages a run gets right depends on its seed, by two points either way; disturbing A and
B by 1e-5 moves it as far. So a difference between recipes needs many seeds, and its interval must
count them.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmarks import appendix, ours, trainer
from benchmarks.epoch import ROWS_A_STEP, our_precision, padded_batch
from benchmarks.protocol import mean_interval
from benchmarks.record import Outcome
from benchmarks.shapes import Shape, make_shape
from lora_edu.datasets import Batch, Batches, Row, classification_rows, load_spam
from lora_edu.pretrained import load_pretrained, load_tokenizer

EPOCHS, SEEDS = 2, 30


def accuracies(steps: int | None = None, seeds: int = SEEDS) -> Outcome:
    """Trains both and compares them on the test messages, in percentage points.

    Args:
        steps: Updates; by default two epochs.
        seeds: Of shuffle, head and A.
    """
    encoding, split = load_tokenizer("mini"), load_spam()
    limit = load_pretrained("mini").config.context_length
    train, test = (classification_rows(part, encoding, limit) for part in (split.train, split.test))
    test.sort(key=lambda row: len(row.token_ids))  # one order of messages for both
    steps = steps or EPOCHS * -(-len(train) // ROWS_A_STEP)
    recipes = {"ours": _train_ours, "appendix": _train_appendix}
    right = {
        name: np.array([recipe(seed, train, test, steps) for seed in range(seeds)], dtype=float)
        for name, recipe in recipes.items()
    }
    difference = 100 * (right["ours"] - right["appendix"])
    figures = {f"accuracy, {name}": float(runs.mean()) for name, runs in right.items()}
    if seeds > 1:
        figures["standard deviation over seeds"] = float(difference.mean(axis=1).std(ddof=1))
    return Outcome(
        float(difference.mean()),
        mean_interval(difference),
        rounds=seeds,
        figures=figures,
        note=f"{seeds} seeds, {steps} steps of {ROWS_A_STEP}, learning rate {trainer.LR}; "
        f"ours in {our_precision()}; the interval is over seeds and test messages",
    )


def _shape(seed: int, batches: list[Batch]) -> Shape:
    return make_shape(load_pretrained("mini"), batches, rank=8, alpha=16, b_std=0.0, seed=seed)


def _train_ours(seed: int, train: list[Row], test: list[Row], steps: int) -> np.ndarray:
    source = Batches(train, ROWS_A_STEP, seed=seed)
    batches = [b for epoch in range(-(-steps // len(source))) for b in source.epoch(epoch)]
    run = ours.fused_trainer(_shape(seed, batches), our_precision())
    for i in range(steps):
        run(i)
    return _correct(run.model, run.logits, _in_order(test))


def _train_appendix(seed: int, train: list[Row], test: list[Row], steps: int) -> np.ndarray:
    longest = max(len(row.token_ids) for row in train)
    dice, order = random.Random(seed), []
    while len(order) < steps * ROWS_A_STEP:
        order += dice.sample(train, len(train))
    batches = [
        padded_batch(order[i * ROWS_A_STEP : (i + 1) * ROWS_A_STEP], longest) for i in range(steps)
    ]
    run = appendix.appendix_trainer(_shape(seed, batches))
    for i in range(steps):
        run(i)
    cut = [Row(row.token_ids[:longest], row.target) for row in test]
    starts = range(0, len(cut), ROWS_A_STEP)
    parts = [padded_batch(cut[start : start + ROWS_A_STEP], longest) for start in starts]
    return _correct(run.model, run.logits, parts)


def _in_order(rows: list[Row]) -> list[Batch]:
    return list(Batches(rows, ROWS_A_STEP, shuffle=False, bucket=False).epoch(0))


@torch.inference_mode()
def _correct(model: nn.Module, logits: Callable, batches: list[Batch]) -> np.ndarray:
    """One truth value for each message, in the order of the batches."""
    model.eval()
    found = [logits(model, batch).argmax(-1) == batch.targets for batch in batches]
    return torch.cat(found).numpy()
