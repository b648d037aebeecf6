"""Records how much memory a training process takes on SmolLM2: LoRA and full fine-tuning.

    python -m scripts.llm_memory        # two minutes

Each method has a process of its own, one thread, three steps of 8 rows as in `sweep_llm`; what
counts is the most that the process had in memory at any moment (`ru_maxrss`), libraries included.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import torch

from lora_edu.datasets import Batches
from lora_edu.files import atomic_write, data_path
from lora_edu.tasks import RANK
from lora_edu.training import fit, next_token_loss
from scripts.llm_tasks import fresh_model, menu_rows, prepare
from scripts.sweep_llm import BATCH_ROWS

METHODS = ("lora", "full")
STEPS = 3


def peak_bytes(method: str) -> int:
    """Trains for `STEPS` steps and returns the most memory that this process has had."""
    torch.set_num_threads(1)
    model = fresh_model()
    prepare(model, method, rank=RANK, seed=0)
    batches = Batches(menu_rows().train, BATCH_ROWS, seed=0)
    fit(model, batches, next_token_loss, lr=1e-4, steps=STEPS, device="cpu", precision="fp32")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Measures a method that is named, or each in a process of its own."""
    if len(sys.argv) > 1:
        print(peak_bytes(sys.argv[1]))
        return
    command = [sys.executable, "-m", "scripts.llm_memory"]
    peaks = {
        method: int(subprocess.run([*command, method], check=True, capture_output=True).stdout)
        for method in METHODS
    }
    record = {"command": "python -m scripts.llm_memory", "steps": STEPS, "peak_bytes": peaks}
    with atomic_write(data_path("results", "llm_memory.json")) as path:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(record)


if __name__ == "__main__":
    main()
