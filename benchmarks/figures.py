"""Figures that are no ratios: the ceilings of matrix products, and the time of an import."""

from __future__ import annotations

import statistics
import subprocess
import sys

import torch

from benchmarks.machine import matmul_gflops
from benchmarks.protocol import median_interval
from benchmarks.record import Outcome

IMPORT = (
    "import time, torch; start = time.perf_counter(); import lora_edu; "
    "print(1000 * (time.perf_counter() - start))"
)


def ceiling(dtype: torch.dtype) -> Outcome:
    """Measures what large products reach, in 10⁹ operations a second."""
    return Outcome(matmul_gflops(dtype), note="2048 × 2048 by 2048 × 2048, the best of five")


def import_time(repeats: int = 20) -> Outcome:
    """Measures `import lora_edu` where torch is imported already, in fresh processes, in ms."""
    command = [sys.executable, "-c", IMPORT]
    found = [
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(repeats + 1)
    ][1:]  # the first one reads files that the others find in memory
    return Outcome(statistics.median(found), median_interval(found), rounds=repeats)
