"""A contender that trains: one call is one step, and returns the loss before it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lora_edu.datasets import Batch

LR, WEIGHT_DECAY = 1e-3, 0.1
TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2}  # of losses that should be equal
CHECKED_STEPS = 3  # the first loss, and those after one and two updates

Logits = Callable[[nn.Module, Batch], Tensor]
MakeOptimizer = Callable[[nn.Module], torch.optim.Optimizer]


def fused_adamw(model: nn.Module) -> torch.optim.Optimizer:
    """AdamW in one pass over what is trainable; ours, full fine-tuning and PEFT all get it."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(trainable, lr=LR, weight_decay=WEIGHT_DECAY, fused=True)


class Trainer:
    """Trains a classifier, one batch a call.

    Args:
        model: Changed in place.
        logits: (model, batch) → (B, classes).
        batches: Round i takes the i-th, and starts again behind the last.
        optimizer: Of the model.
        precision: "fp32", or "bf16" for autocast.
        family: Trainers of one family compute the same in every step; all compute the same in
            the first.
    """

    def __init__(
        self,
        model: nn.Module,
        logits: Logits,
        batches: Sequence[Batch],
        *,
        optimizer: MakeOptimizer = fused_adamw,
        precision: str = "fp32",
        family: str = "",
    ) -> None:
        self.model, self.logits, self.batches = model.train(), logits, batches
        self.optimizer, self.precision, self.family = optimizer(model), precision, family

    def loss(self, batch: Batch) -> Tensor:
        """Computes the cross-entropy of the class."""
        context = nullcontext()
        if self.precision == "bf16":
            context = torch.autocast("cpu", dtype=torch.bfloat16)
        with context:
            logits = self.logits(self.model, batch)
        return F.cross_entropy(logits.float(), batch.targets)

    def __call__(self, number: int) -> float:
        """Makes a step."""
        self.optimizer.zero_grad()
        loss = self.loss(self.batches[number % len(self.batches)])
        loss.backward()
        self.optimizer.step()
        return loss.item()


class UnequalLosses(AssertionError):
    """Contenders that should compute the same do not."""


def check_equal_losses(trainers: Mapping[str, Trainer]) -> dict[str, list[float]]:
    """Makes the first steps with all; it is their warm-up, too.

    Returns:
        The losses of each.

    Raises:
        UnequalLosses: first losses differ, or later ones within a family.
    """
    losses = {name: [call(i) for i in range(CHECKED_STEPS)] for name, call in trainers.items()}
    for one, other in itertools.combinations(trainers, 2):
        tolerance = max(TOLERANCE[trainers[name].precision] for name in (one, other))
        steps = CHECKED_STEPS if trainers[one].family == trainers[other].family else 1
        for step in range(steps):
            mine, theirs = losses[one][step], losses[other][step]
            if not abs(mine - theirs) <= tolerance:  # a NaN is not equal either
                raise UnequalLosses(
                    f"after {step} updates the loss of {one!r} is {mine:.6f} and that of "
                    f"{other!r} {theirs:.6f}; they may differ by {tolerance:g}"
                )
    return losses
