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
    "loaded = time.perf_counter(); [getattr(lora_edu, name) for name in lora_edu.__all__]; "
    "print(1000 * (loaded - start), 1000 * (time.perf_counter() - start))"
)


def ceiling(dtype: torch.dtype) -> Outcome:
    """Measures what large products reach, in 10⁹ operations a second."""
    return Outcome(matmul_gflops(dtype), note="2048 × 2048 by 2048 × 2048, the best of five")


def import_time(repeats: int = 20) -> Outcome:
    """Measures `import lora_edu` where torch is imported already, in fresh processes, in ms."""
    command = [sys.executable, "-c", IMPORT]
    found = [
        [float(word) for word in subprocess.check_output(command, text=True).split()]
        for _ in range(repeats + 1)
    ][1:]  # the first one reads files that the others find in memory
    alone, with_all_names = zip(*found, strict=True)
    figures = {"ms with every public name in use": statistics.median(with_all_names)}
    return Outcome(
        statistics.median(alone), median_interval(alone), rounds=repeats, figures=figures
    )
