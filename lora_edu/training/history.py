"""What a training run leaves behind: losses, evaluations, time, and why it stopped."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any


def lower_is_better(measure: str) -> bool:
    """Whether a measure is to fall (a loss, a perplexity) or to rise (an accuracy, an F1).

    Raises:
        ValueError: the name says neither.

    Example:
        >>> lower_is_better("validation_loss"), lower_is_better("accuracy")
        (True, False)
    """
    if measure.endswith(("loss", "perplexity")):
        return True
    if measure.endswith(("accuracy", "f1")):
        return False
    raise ValueError(
        f"monitor={measure!r}: is it to rise or to fall? Give it a name that ends in "
        '"loss", "perplexity", "accuracy" or "f1"'
    )


@dataclass
class History:
    """The record of one training run.

    Args:
        steps: The numbers of the steps done, from 1.
        losses: Training loss of each step, in nats.
        learning_rates: Learning rate of each step (of the first parameter group).
        evaluations: What `evaluate` returned, each with its "step".
        stopped: Why the run ended: "finished", "early", "interrupted", or a sentence that names
            the step at which the loss was not finite; "" while it runs.
        seconds: Time spent in training steps, evaluations not counted; resumed runs add up.
        tokens: Real tokens (no padding) trained on.
        trainable_parameters: How many numbers the optimizer moved.
        precision: The format of the matrix products.
        device: Where it ran.
    """

    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)
    evaluations: list[dict[str, float]] = field(default_factory=list)
    stopped: str = ""
    seconds: float = 0.0
    tokens: int = 0
    trainable_parameters: int = 0
    precision: str = "fp32"
    device: str = "cpu"

    @property
    def last_step(self) -> int:
        """Steps done so far."""
        return len(self.steps)

    def record_step(self, loss: float, learning_rate: float, tokens: int) -> None:
        """Adds one step."""
        self.steps.append(self.last_step + 1)
        self.losses.append(loss)
        self.learning_rates.append(learning_rate)
        self.tokens += tokens

    def best(self, monitor: str) -> int | None:
        """Index of the best evaluation, the earliest of equals; None if there is none.

        Raises:
            ValueError: the evaluations hold no such measure.
        """
        best = None
        sign = 1 if lower_is_better(monitor) else -1
        for i, evaluation in enumerate(self.evaluations):
            if monitor not in evaluation:
                names = sorted(set(evaluation) - {"step"})
                raise ValueError(f"monitor={monitor!r} is not among what evaluate returns: {names}")
            value = sign * evaluation[monitor]
            if math.isfinite(value) and (
                best is None or value < sign * self.evaluations[best][monitor]
            ):
                best = i
        return best

    def out_of_patience(self, monitor: str, patience: int) -> bool:
        """Whether `patience` evaluations in a row brought nothing better."""
        best = self.best(monitor)
        return len(self.evaluations) - 1 - (-1 if best is None else best) >= patience

    def to_dict(self) -> dict[str, Any]:
        """As plain lists and numbers, for JSON."""
        return asdict(self)
