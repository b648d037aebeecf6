"""What is measured, by name, and a line through its times: seconds ≈ a + b · operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

FULL, FUSED = "full fine-tuning", "LoRA, fused"
TOGETHER, IN_TURN = "in one batch", "one after another"


class Fit(NamedTuple):
    """seconds ≈ a + b · operations.

    Args:
        a_seconds: What is spent however little there is to compute.
        b_seconds: For one more operation.
        worst: The largest deviation of a measured time from the line, as a share of that time.
    """

    a_seconds: float
    b_seconds: float
    worst: float

    def seconds(self, flops: float) -> float:
        """Returns the line's time for a number of operations."""
        return self.a_seconds + self.b_seconds * flops

    @property
    def gflops(self) -> float:
        """10⁹ operations a second, once a is spent."""
        return 1e-9 / self.b_seconds


def fit_line(flops: Sequence[float], seconds: Sequence[float]) -> Fit:
    """Fits by least squares of the relative deviations, so that short times count as much as long.

    Raises:
        ValueError: fewer than two points, or not the same number of both.
    """
    if len(flops) != len(seconds) or len(flops) < 2:
        raise ValueError(
            f"flops has {len(flops)} values and seconds {len(seconds)}; give two or more of each"
        )
    x, y = np.asarray(flops, dtype=float), np.asarray(seconds, dtype=float)
    scale = x.max()  # operations are of another size than 1: without it lstsq would lose digits
    (a, b), *_ = np.linalg.lstsq(np.stack([1 / y, x / scale / y], axis=1), np.ones(len(y)))
    worst = np.abs((a + b * x / scale) / y - 1).max()
    return Fit(float(a), float(b / scale), float(worst))
