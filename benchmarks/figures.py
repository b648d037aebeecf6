"""Figures that are no ratios: the ceilings of matrix products, and the time of an import."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import torch
from torch import nn

from benchmarks.decode import base_b
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


@torch.inference_mode()
def few_rows(repeats: int = 20, rows: int = 8) -> Outcome:
    """Measures all products of B's base for one token: one row `rows` times, and all at once."""
    layers = [layer for layer in base_b().modules() if isinstance(layer, nn.Linear)]
    inputs = {layer: torch.randn(rows, layer.in_features) for layer in layers}

    def seconds(count: int) -> float:
        start = time.perf_counter()
        for layer in layers:
            layer(inputs[layer][:count])
        return time.perf_counter() - start

    pairs = [(seconds(1), seconds(rows)) for _ in range(repeats + 1)][1:]
    gains = [rows * one / many for one, many in pairs]
    one, many = (statistics.median(times) for times in zip(*pairs, strict=True))
    spent = {"one row": one, f"{rows} rows": many}
    return Outcome(statistics.median(gains), median_interval(gains), repeats, seconds=spent)


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
