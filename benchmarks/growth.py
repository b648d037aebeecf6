"""How cost grows with rank, width, length and adapters: `python -m benchmarks.growth`.

One of the four is moved while the others stay where `START` has them. Time is measured and fitted
by a line over the operations that the formulae count; memory is counted and compared with its
formula, byte for byte. Rank, width and length are those of a training step that classifies every
token, so that no block is spared a part of its work; adapters in one batch are a server's
question, so there a forward pass over one token a row is measured, one row an adapter.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks.growth_fit import FULL, FUSED, IN_TURN, TOGETHER, Fit, fit_line
from benchmarks.growth_picture import caption, memory_figure, time_figure
from benchmarks.machine import machine, versions
from benchmarks.shapes import CLASSES, draw_factors, random_batches, random_gpt
from lora_edu.adapters import Adapter, MixedAdapters
from lora_edu.budget import (
    StepSeconds,
    classifier_step_flops,
    interleaved_medians,
    kept_bytes,
    training_step,
)
from lora_edu.datasets import Batch
from lora_edu.files import atomic_write
from lora_edu.fused import fuse
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze, replace_linear_with_lora
from lora_edu.plots import png

FOLDER = Path(__file__).parent
VOCABULARY, HEAD_SIZE, FLOAT_BYTES, INDEX_BYTES = 512, 32, 4, 8
SERIES = {name: (FULL, FUSED) for name in ("rank", "width", "length")}
SERIES["adapters"] = (TOGETHER, IN_TURN)


@dataclass(frozen=True)
class Setting:
    """The sizes of one measurement."""

    rank: int = 16
    width: int = 384
    length: int = 64
    adapters: int = 1
    rows: int = 8
    layers: int = 2

    @property
    def config(self) -> GPTConfig:
        """The GPT's shape."""
        heads = self.width // HEAD_SIZE
        return GPTConfig(VOCABULARY, self.length, self.layers, heads, self.width)


START = Setting()
VALUES = {
    "rank": (1, 4, 8, 16, 32, 64, 128),
    "width": (96, 192, 384, 576, 768),
    "length": (16, 32, 64, 128, 256, 512),
    "adapters": (1, 2, 4, 8, 16, 32),
}
QUICK_START = Setting(rank=2, width=32, length=8, rows=2, layers=1)
QUICK_VALUES = {"rank": (1, 2, 4), "width": (32, 64, 96), "length": (4, 8, 16), "adapters": (1, 2)}
ROUNDS, QUICK_ROUNDS, BOX_SECONDS = 15, 1, 50.0  # the box is a panel's, without its warm-up


@dataclass(frozen=True)
class Point:
    """One measurement beside its formulae.

    Args:
        value: Of what is moved.
        flops: Operations by the formula.
        seconds: Median; a training step without its optimizer, or the forward passes of all rows.
        counted_bytes: Kept for backward; or the adapters' numbers in a mixed batch. None where
            there is nothing to count.
        formula_bytes: The same by the formula.
    """

    value: int
    flops: int
    seconds: float
    counted_bytes: int | None
    formula_bytes: int | None


def training_flops(setting: Setting, series: str) -> int:
    """Linear layers, and causal attention with 2 T² d forward and 5 T² d backward."""
    rank = setting.rank if series == FUSED else None
    tokens = setting.rows * setting.length
    linear = classifier_step_flops(setting.config, rows=tokens, tokens=tokens, rank=rank)
    return linear + 7 * setting.layers * setting.rows * setting.length**2 * setting.width


def training_bytes(setting: Setting, series: str) -> int:
    """What a step keeps: 16 numbers a token, channel and block in full, 10 fused, and small change.

    Small change: two moments of each of two norms, a log-sum for each head, x A of six layers; the
    last norm, the head, the log-probabilities, the loss's weight; indices.
    """
    config, tokens = setting.config, setting.rows * setting.length
    c = config.n_embd
    block = {FULL: 16 * c, FUSED: 10 * c + 6 * setting.rank}[series] + 4 + config.n_head
    numbers = setting.layers * block * tokens + tokens * (c + 2 + c + CLASSES) + 1
    indices = tokens + (tokens + setting.length if series == FULL else 0)
    return numbers * FLOAT_BYTES + indices * INDEX_BYTES


def serving_flops(setting: Setting) -> int:
    """Blocks of 12 d² and r · 18 d multiplications a row, and the output layer."""
    c = setting.width
    row = setting.layers * (12 * c * c + 18 * setting.rank * c) + VOCABULARY * c
    return 2 * setting.adapters * row


def serving_bytes(setting: Setting) -> int:
    """A and B of each row's adapter, for all six layers of each block."""
    return setting.adapters * setting.layers * 18 * setting.rank * setting.width * FLOAT_BYTES


def trained_model(setting: Setting, series: str) -> GPT:
    """A classifier that trains in full, or a fused LoRA."""
    model = random_gpt(setting.config)
    head = torch.nn.Linear(setting.width, CLASSES)
    if series == FUSED:
        freeze(model)
        targets = ("query", "key", "value", "out", "fc_in", "fc_out")
        replace_linear_with_lora(model, setting.rank, setting.rank, targets=targets, init="peft")
        fuse(model)
    model.head = head
    return model


def loss_of_tokens(model: GPT, batch: Batch) -> torch.Tensor:
    """Gives every token of a row the row's class."""
    targets = batch.targets.repeat_interleave(batch.token_ids.shape[1])
    return torch.nn.functional.cross_entropy(model(batch.token_ids).flatten(0, 1), targets)


def training_point(setting: Setting, series: str) -> tuple[Callable[[], StepSeconds], int]:
    """Returns a step to time, and the bytes that it keeps for backward."""
    model = trained_model(setting, series)
    (batch,) = random_batches(setting.config, 1, setting.rows, setting.length)
    return (
        training_step(model, batch, loss_of_tokens),
        kept_bytes(model, batch, loss_of_tokens),
    )


def serving_point(setting: Setting, series: str) -> tuple[Callable[[], StepSeconds], int | None]:
    """Returns forward passes to time, and the bytes of the adapters in a mixed batch."""
    base = random_gpt(setting.config)
    factors = draw_factors(base, setting.rank, b_std=0.02)
    adapter = Adapter(setting.rank, setting.rank, "alpha/rank", factors, {})
    names = [str(number) for number in range(setting.adapters)]
    mixed = MixedAdapters(base, dict.fromkeys(names, adapter))
    tokens = torch.arange(setting.adapters)[:, None]

    @torch.inference_mode()
    def run() -> StepSeconds:
        rows, calls = (names, 1) if series == TOGETHER else (names[:1], setting.adapters)
        with mixed.rows(rows):
            start = time.perf_counter()
            for _ in range(calls):
                base(tokens[: len(rows)])
            return StepSeconds(time.perf_counter() - start, 0.0, 0.0)

    return run, mixed_bytes(base, mixed, names) if series == TOGETHER else None


def mixed_bytes(base: GPT, mixed: MixedAdapters, names: Sequence[str]) -> int:
    """Counts the A and B that the layers of `base` hold for one batch."""
    with mixed.rows(names):
        held = [part for layer in base.modules() for part in vars(layer).values()]
    return sum(part.untyped_storage().nbytes() for part in held if torch.is_tensor(part))


def measure(
    panel: str, start: Setting, values: Sequence[int], rounds: int, box_seconds: float = BOX_SECONDS
) -> dict[str, list[Point]]:
    """Measures one panel: series → points."""
    serving = panel == "adapters"
    settings = {value: replace(start, **{panel: value}) for value in values}
    if serving:
        settings = {value: replace(each, length=1) for value, each in settings.items()}
    wanted = [(series, value) for series in SERIES[panel] for value in values]
    if panel == "rank":  # full fine-tuning has none: once is enough
        wanted = [(s, v) for s, v in wanted if s != FULL or v == values[0]]
    steps, counted = {}, {}
    for key in wanted:
        make = serving_point if serving else training_point
        steps[key], counted[key] = make(settings[key[1]], key[0])
    found = interleaved_medians(steps, rounds=rounds, limit_seconds=box_seconds)
    points: dict[str, list[Point]] = {series: [] for series in SERIES[panel]}
    for series, value in wanted:
        setting, bytes_ = settings[value], counted[series, value]
        times = found[series, value]
        flops = serving_flops(setting) if serving else training_flops(setting, series)
        formula = serving_bytes(setting) if serving else training_bytes(setting, series)
        points[series].append(
            Point(
                value=value,
                flops=flops,
                seconds=times.forward + times.backward,
                counted_bytes=bytes_,
                formula_bytes=None if bytes_ is None else formula,
            )
        )
    return points


def fits(points: Mapping[str, Sequence[Point]]) -> dict[str, Fit]:
    """Fits a line to each series that has points enough to say something."""
    return {
        series: fit_line([point.flops for point in found], [point.seconds for point in found])
        for series, found in points.items()
        if len(found) > 2
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and writes the record and both figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--output", type=Path, help="folder; by default benchmarks, none if quick")
    chosen = parser.parse_args(arguments)
    start, values, rounds = START, VALUES, ROUNDS
    if chosen.quick:
        start, values, rounds = QUICK_START, QUICK_VALUES, QUICK_ROUNDS
    panels = {}
    for name, moved in values.items():
        panels[name] = measure(name, start, moved, rounds)
        print(f"{name}: {sum(map(len, panels[name].values()))} points", flush=True)
    record = {
        "command": "python -m benchmarks.growth" + " --quick" * chosen.quick,
        "machine": machine(),
        "versions": versions(),
        "start": asdict(start),
        "rounds": rounds,
        "panels": {
            name: {series: [asdict(point) for point in found] for series, found in each.items()}
            for name, each in panels.items()
        },
        "fits": {
            name: {series: fit._asdict() for series, fit in fits(each).items()}
            for name, each in panels.items()
        },
    }
    record["findings"] = caption(record).splitlines()
    print(*record["findings"], sep="\n")
    folder = chosen.output or (None if chosen.quick else FOLDER)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / "growth.json") as file:
            file.write_text(json.dumps(record, indent=1) + "\n")
        (folder / "growth.png").write_bytes(png(time_figure(record)))
        (folder / "growth_memory.png").write_bytes(png(memory_figure(record)))


if __name__ == "__main__":
    main()
