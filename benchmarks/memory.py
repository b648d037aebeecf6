"""Memory of a training step at size B: what is saved for backward, and the peak of a process."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks import ours, peft_peers
from benchmarks.record import Outcome
from benchmarks.shapes import TARGETS, Shape, shape_b
from benchmarks.trainer import Trainer
from lora_edu.budget import gpt_shape, memory_budget


def saved_bytes(trainer: Trainer) -> int:
    """Counts what a loss keeps for its backward pass: each storage once, parameters left out."""
    batch = trainer.batches[0]
    known = {p.untyped_storage().data_ptr() for p in trainer.model.parameters()}
    known |= {t.untyped_storage().data_ptr() for t in vars(batch).values()}
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor  # kept, so that no other tensor gets its address

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = trainer.loss(batch)
    total = sum(storages.values())
    del loss
    return total


def saved_activations(make_shape: Callable[[], Shape] = shape_b) -> Outcome:
    """Compares the bytes that fused LoRA and PEFT on our GPT save."""
    shape = make_shape()
    found = {
        "ours": saved_bytes(ours.fused_trainer(shape)),
        "ours, readable": saved_bytes(ours.readable_trainer(shape)),
        "PEFT": saved_bytes(peft_peers.peft_trainer(shape)),
    }
    figures = {f"MB saved, {name}": value / 1e6 for name, value in found.items()}
    return Outcome(found["ours"] / found["PEFT"], figures=figures, note="counted, not timed")


def formula_bytes(method: str, shape: Shape) -> float:
    """What `lora_edu.budget.memory` says a step of this method needs, in float32."""
    rows, length = shape.batches[0].token_ids.shape
    return memory_budget(
        gpt_shape(shape.base.config).with_classifier(shape.base.head.out_features),
        method,
        rank=shape.rank,
        targets=TARGETS,
        storage="float32",
        batch_size=rows,
        length_tokens=length,
    ).total_bytes


def peak_memory(repeats: int = 3) -> Outcome:
    """Compares peaks of LoRA and full fine-tuning in processes of their own with the formula.

    The value is their ratio over the formula's.
    """
    peaks = {m: [probe(m) for _ in range(repeats)] for m in ("lora", "full")}
    middle = {method: statistics.median(values) for method, values in peaks.items()}
    shape = shape_b()
    formula = {method: formula_bytes(method, shape) for method in peaks}
    measured = middle["lora"] / middle["full"]
    expected = formula["lora"] / formula["full"]
    figures = {f"peak MB, {method}": value / 1e6 for method, value in middle.items()}
    figures |= {f"formula MB, {method}": value / 1e6 for method, value in formula.items()}
    figures |= {"measured LoRA / full": measured, "formula LoRA / full": expected}
    return Outcome(
        measured / expected,
        rounds=repeats,
        figures=figures,
        note="median of fresh processes; peak resident memory over that before the model",
    )


def probe(method: str) -> int:
    """Runs a few steps in a fresh process; returns the bytes its peak adds to the bare imports."""
    command = [sys.executable, "-m", "benchmarks.probe", method, str(torch.get_num_threads())]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return json.loads(found.stdout.splitlines()[-1])["peak_bytes"]
