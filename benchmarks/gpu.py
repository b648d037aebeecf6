"""The step table on one CUDA GPU: `python -m benchmarks.gpu`, one call under ten minutes.

S and B as on the CPU, but with batches of one length, so that `torch.compile` makes one program of
each: S is the mini GPT with 16 × 64 tokens and rank 8, B GPT-2 124M's shape with 8 × 120 tokens
and rank 16. Formats: "fp32" has TF32 off, "tf32" lets products round to 10 bits of mantissa,
"bf16" is autocast over float32 weights, of which `ours, fused` holds the frozen ones in bfloat16
(`hold_base`; no product changes). All have the fused AdamW.

The losses of the first steps are compared before anything is timed; the contenders then take turns,
with the GPU's own events around a few steps each. `ours, fused (again)` is timed a second time in
each round: its ratio to itself is the control. The record is written after each race.

    python -m benchmarks.gpu --output benchmarks/gpu.json
    python -m benchmarks.gpu --device cpu --quick    # sees that it runs, on a tiny shape
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from benchmarks import ours
from benchmarks.machine import machine, versions
from benchmarks.protocol import AGAIN, paired_ratio, turn
from benchmarks.shapes import GPT2_SMALL, Shape, make_shape, random_batches, random_gpt
from benchmarks.trainer import CHECKED_STEPS, Trainer, UnequalLosses
from lora_edu.datasets import Batch
from lora_edu.files import atomic_write
from lora_edu.fused import hold_base
from lora_edu.gpt import GPTConfig
from lora_edu.pretrained import load_pretrained
from lora_edu.training import BF16_CAPABILITY

NO_GPU = (
    "no CUDA GPU here; run this where torch.cuda.is_available() is True, or see that it runs, on a "
    "tiny shape, with: python -m benchmarks.gpu --device cpu --quick"
)
FUSED, READABLE, FULL, PEFT = "ours, fused", "ours, readable", "full", "PEFT"
TOLERANCE = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 2e-2}  # of losses that should be equal
TINY = GPTConfig(vocab_size=40, context_length=16, n_layer=1, n_head=2, n_embd=32)
COMPILE_SECONDS = 90.0  # left at least, or compiling a contender is not begun


@dataclass(frozen=True)
class Plan:
    """What is measured, and for how long."""

    shapes: Mapping[str, Callable[[], Shape]]
    rounds: int
    steps: int  # in each timed call
    backend: str  # of torch.compile
    seconds: float


def s() -> Shape:
    """The mini GPT, rank 8."""
    base = load_pretrained("mini")
    return make_shape(base, random_batches(base.config, 4, 16, 64), rank=8, alpha=16)


def b() -> Shape:
    """GPT-2 124M's shape, rank 16."""
    return make_shape(random_gpt(GPT2_SMALL), random_batches(GPT2_SMALL, 4, 8, 120), 16, 16)


def tiny() -> Shape:
    """Small enough for any processor."""
    return make_shape(random_gpt(TINY), random_batches(TINY, 2, 2, 8), rank=2, alpha=4)


PLAN = Plan({"B": b, "S": s}, rounds=25, steps=4, backend="inductor", seconds=540.0)
QUICK = Plan({"tiny": tiny}, rounds=2, steps=1, backend="aot_eager", seconds=540.0)


def models() -> tuple[dict[str, Callable[[Shape], nn.Module]], dict[str, str]]:
    """Contender → what builds its model, and contender → why it is left out: PEFT, if not there."""

    def full(shape: Shape) -> nn.Module:
        return ours.merged(shape).requires_grad_(True)  # so that the first loss is equal

    found = {FUSED: ours.fused, READABLE: ours.adapted, FULL: full}
    try:
        from benchmarks.peft_peers import on_our_gpt
    except ModuleNotFoundError as error:
        return found, {PEFT: f"{error.name} is not installed; pip install 'lora-edu[peers]'"}
    return found | {PEFT: on_our_gpt}, {}


class OnDevice(Trainer):
    """A trainer whose model and batches are on a device, and whose formats are those above."""

    def __init__(
        self, model: nn.Module, batches: Sequence[Batch], device: str, precision: str
    ) -> None:
        moved = [batch.to(device) for batch in batches]
        super().__init__(model.to(device), ours.last_token_logits, moved, precision=precision)
        self.device = device

    def loss(self, batch: Batch) -> Tensor:
        """Computes the cross-entropy of the class."""
        half = self.precision == "bf16"
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=half):
            logits = self.logits(self.model, batch)
        return nn.functional.cross_entropy(logits.float(), batch.targets)

    def step(self, number: int) -> None:
        """Makes a step without waiting for its loss, so that the processor can run ahead."""
        self.optimizer.zero_grad()
        self.loss(self.batches[number % len(self.batches)]).backward()
        self.optimizer.step()

    def seconds(self, steps: int) -> float:
        """Times some steps: seconds of one."""
        if self.device != "cuda":
            start = time.perf_counter()
            for number in range(steps):
                self.step(number)
            return (time.perf_counter() - start) / steps
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for number in range(steps):
            self.step(number)
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) / 1000 / steps


def first_steps(trainer: OnDevice) -> tuple[list[float], int | None]:
    """Makes the first steps: their losses, and the most memory held once the optimizer has states.

    A compiled model is compiled in the first of them.
    """
    losses = [trainer(0)]
    if trainer.device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    losses += [trainer(number) for number in range(1, CHECKED_STEPS)]
    return losses, torch.cuda.max_memory_allocated() if trainer.device == "cuda" else None


def check_losses(losses: Mapping[str, Sequence[float]], precision: str) -> None:
    """Compares the first losses of all, and the later ones of all that train an adapter.

    Raises:
        UnequalLosses: two that should be equal are not.
    """
    for name, found in losses.items():
        for step in range(1 if name == FULL else CHECKED_STEPS):
            if not abs(found[step] - losses[FUSED][step]) <= TOLERANCE[precision]:
                raise UnequalLosses(
                    f"after {step} updates the loss of {name!r} is {found[step]:.6f} and that of "
                    f"{FUSED!r} {losses[FUSED][step]:.6f}; they may differ by "
                    f"{TOLERANCE[precision]:g}"
                )


def race(
    shape: Shape, device: str, precision: str, plan: Plan, compiled: bool, left: Callable[[], float]
) -> dict:
    """Times all contenders in one format; returns a row of the record.

    Args:
        shape: Base, batches and adapter.
        device: "cuda", or "cpu" to see that it runs.
        precision: A key of `TOLERANCE`.
        plan: Rounds, steps, backend.
        compiled: Whether to compile each model.
        left: Seconds that may still be spent.
    """
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.compiler.reset()
    gc.collect()
    trainers: dict[str, OnDevice] = {}
    losses, peaks = {}, {}
    contenders, left_out = models()
    for name, make in contenders.items():
        if compiled and left() < COMPILE_SECONDS:
            left_out[name] = "out of time"
            continue
        before = torch.cuda.memory_allocated() if device == "cuda" else 0
        model = make(shape)
        if precision == "bf16" and name == FUSED:
            hold_base(model)
        trainer = OnDevice(model, shape.batches, device, precision)
        if compiled:
            trainer.model = torch.compile(trainer.model, backend=plan.backend)
        try:
            losses[name], peak = first_steps(trainer)
        except TorchDynamoException as error:  # one that cannot be compiled: the others can
            left_out[name] = " ".join(str(error).split())[:300]
            continue
        peaks[name] = None if peak is None else peak - before
        trainers[name] = trainer
    if FUSED in trainers:
        check_losses(losses, precision)
        trainers[FUSED + AGAIN] = trainers[FUSED]
    times: dict[str, list[float]] = {name: [] for name in trainers}
    for number in range(plan.rounds if trainers else 0):
        if number and left() < 0:
            break
        for name in turn(list(trainers), number):
            times[name].append(trainers[name].seconds(plan.steps))
    batch = shape.batches[0].token_ids
    return {
        "precision": precision,
        "compiled": compiled,
        "tokens_a_step": batch.numel(),
        "losses": losses,
        "median_seconds": {name: statistics.median(found) for name, found in times.items()},
        "peak_bytes": peaks,
        "ratios": ratios(times),
        "rounds": max(map(len, times.values()), default=0),
        "left_out": left_out,
    }


def ratios(times: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Paired ratios of our steps, as far as both were timed, and the control's."""
    wanted = [(FUSED, READABLE), (FUSED, FULL), (FUSED, PEFT), (READABLE, PEFT)]
    wanted.append((FUSED + AGAIN, FUSED))
    return {
        f"{top} / {bottom}": asdict(paired_ratio(times[top], times[bottom]))
        for top, bottom in wanted
        if top in times and bottom in times
    }


def formats(device: str) -> list[str]:
    """The formats that a device computes itself; bf16 is emulated before Ampere, TF32 unknown."""
    if device != "cuda":
        return ["fp32", "bf16"]
    modern = torch.cuda.get_device_capability() >= BF16_CAPABILITY
    return ["fp32", "tf32", "bf16"] if modern else ["fp32"]


def races(device: str) -> Iterator[tuple[str, bool]]:
    """Format, and whether compiled, in the order of running: what takes longest comes last."""
    yield from ((precision, False) for precision in formats(device))
    yield formats(device)[-1], True


def table(rows: Sequence[dict]) -> str:
    """The record as text: milliseconds, tokens a second, peak memory, ratios."""
    lines = []
    for row in rows:
        lines.append(f"{row['shape']}, {row['precision']}{', compiled' * row['compiled']}:")
        for name, seconds in row["median_seconds"].items():
            peak = row["peak_bytes"].get(name)
            memory = "" if peak is None else f" | peak {peak / 1e9:.2f} GB"
            speed = row["tokens_a_step"] / seconds
            lines.append(f"  {name:20} {1e3 * seconds:8.2f} ms | {speed:10,.0f} tokens/s{memory}")
        for name, ratio in row["ratios"].items():
            interval = f"{ratio['low']:.3f} to {ratio['high']:.3f}"
            lines.append(f"  {name}: {ratio['median']:.3f} ({interval})")
        lines += [f"  {name} is left out: {why}" for name, why in row["left_out"].items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs all races and writes the record after each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="a tiny shape, two rounds")
    parser.add_argument("--seconds", type=float, help="time to spend, by default nine minutes")
    parser.add_argument("--output", type=Path, help="the record, such as benchmarks/gpu.json")
    chosen = parser.parse_args(arguments)
    if chosen.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit(NO_GPU)
    plan = QUICK if chosen.quick else PLAN
    end = time.monotonic() + (chosen.seconds or plan.seconds)
    gpu = torch.cuda.get_device_name() if chosen.device == "cuda" else None
    record: dict = {"gpu": gpu, "machine": machine(), "versions": versions(), "rows": []}
    wanted = [(name, *how) for how in races(chosen.device) for name in plan.shapes]
    shapes = {name: make() for name, make in plan.shapes.items()}
    for name, precision, compiled in wanted:
        row = race(
            shapes[name], chosen.device, precision, plan, compiled, lambda: end - time.monotonic()
        )
        record["rows"].append({"shape": name} | row)
        print(table(record["rows"][-1:]), flush=True)
        if chosen.output is not None:
            with atomic_write(chosen.output) as file:
                file.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
