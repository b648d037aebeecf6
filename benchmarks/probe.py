"""Makes training steps and prints the peak of this process's memory: `memory.py` starts it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from benchmarks import ours
from benchmarks.shapes import GPT2_SMALL, Shape, make_shape, random_batches, random_gpt
from benchmarks.trainer import Trainer
from lora_edu.gpt import GPT

STEPS = 2


def resident_bytes(key: str) -> int:
    """`VmRSS`, what is resident now, or `VmHWM`, the most that ever was; Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}; this measurement needs Linux")


class UsedOnce(Shape):
    """A shape for a single model, which need not copy the base."""

    def new_base(self) -> GPT:
        """Returns the base itself."""
        return self.base


def main(method: str, threads: int) -> None:
    """Trains B from random weights with "lora" or "full"."""
    torch.set_num_threads(threads)
    before = resident_bytes("VmRSS")
    batches = random_batches(GPT2_SMALL, number=1, rows=8, length=120)
    shape = UsedOnce(**vars(make_shape(random_gpt(GPT2_SMALL), batches, rank=16, alpha=16)))
    if method == "lora":
        trainer = ours.fused_trainer(shape)
    else:  # without merging an adapter first, which needs memory of its own
        trainer = Trainer(shape.base.requires_grad_(True), ours.last_token_logits, batches)
    for step in range(STEPS):
        trainer(step)
    print(json.dumps({"peak_bytes": resident_bytes("VmHWM") - before}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
