"""What is measured: one row for each line of the table, and the races that serve them.

Rows of one race are measured together: contenders that several rows need run once a round.
"""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.accuracy import accuracies
from benchmarks.decode import base_b, base_s, decoders, generators
from benchmarks.epoch import epoch_doubt, epoch_note, epochs
from benchmarks.figures import ceiling, few_rows, import_time
from benchmarks.memory import peak_memory, saved_activations
from benchmarks.protocol import LEAST_ROUNDS, Rounds
from benchmarks.shapes import shape_b, shape_s
from benchmarks.step_rows import BOOK, PEFT, STEP_ROWS
from benchmarks.steps import forwards, steps
from benchmarks.table import Race, Row, Target, paired

# Steps make their warm-up while their losses are checked.
RACES = {
    "steps S": Race(partial(steps, shape_s), Rounds(100, 200, warmup=0)),
    "steps B": Race(partial(steps, shape_b), Rounds(20, 900, warmup=0)),
    "steps S, bf16": Race(
        partial(steps, shape_s, precision="bf16"), Rounds(100, 100, 0), precision="bf16"
    ),
    "steps B, bf16": Race(
        partial(steps, shape_b, precision="bf16"), Rounds(20, 300, 0), precision="bf16"
    ),
    "epoch": Race(
        epochs,
        Rounds(20, 400, warmup=1),
        control="appendix",
        note=epoch_note,
        doubt=epoch_doubt,
    ),
    "forward S": Race(partial(forwards, shape_s, repeats=5), Rounds(100, 90)),
    "forward B": Race(partial(forwards, shape_b), Rounds(30, 120)),
    "decode S": Race(partial(decoders, base_s, 8, repeats=10), Rounds(100, 90)),
    "decode B": Race(partial(decoders, base_b, 16, repeats=2), Rounds(20, 90)),
    "generation": Race(generators, Rounds(40, 90)),
}

ROWS = {
    "ceiling_fp32": Row(
        "large matrix products, fp32",
        "–",
        Target(),
        unit=" GFLOP/s",
        measure=lambda quick: ceiling(torch.float32),
    ),
    "ceiling_bf16": Row(
        "large matrix products, bf16",
        "–",
        Target(),
        unit=" GFLOP/s",
        measure=lambda quick: ceiling(torch.bfloat16),
    ),
    **STEP_ROWS,
    "epoch_B": paired(
        "epoch",
        "ours",
        "appendix",
        "B: our epoch of the SMS task / the appendix's",
        "~0.08",
        Target(high=0.12),
        BOOK,
    ),
    "accuracy_S": Row(
        "S: accuracy after the same steps, ours − the appendix's",
        "0 within noise",
        Target(-1, 1),
        BOOK,
        unit=" points",
        measure=lambda quick: accuracies(4, 1) if quick else accuracies(),
        least_rounds=LEAST_ROUNDS,
    ),
    "saved_B": Row(
        "B: bytes saved for backward, ours / PEFT on our GPT",
        "0.63",
        Target(high=0.70),
        PEFT,
        measure=lambda quick: saved_activations(),
    ),
    "memory_B": Row(
        "B: peak memory LoRA / full, over what the formula says",
        "1",
        Target(high=1.1),
        measure=lambda quick: peak_memory(1 if quick else 3),
    ),
    "merged_S": paired(
        "forward S",
        "merged",
        "base",
        "S: forward, merged / base",
        "1.00",
        Target(0.98, 1.02),
    ),
    "merged_B": paired(
        "forward B",
        "merged",
        "base",
        "B: forward, merged / base",
        "1.00",
        Target(0.98, 1.02),
    ),
    "unmerged_S": paired(
        "forward S",
        "unmerged",
        "base",
        "S: forward, unmerged / base",
        "1.06",
        Target(high=1.18),
    ),
    "unmerged_B": paired(
        "forward B",
        "unmerged",
        "base",
        "B: forward, unmerged / base",
        "1.03",
        Target(high=1.07),
    ),
    "adapters8_S": paired(
        "decode S",
        "sequential",
        "batched",
        "S: decode with 8 adapters, one by one / in one batch",
        "8",
        Target(low=4),
    ),
    "adapters8_decoder_S": paired(
        "decode S",
        "sequential, generate's decoder",
        "batched, generate's decoder",
        "S: decode with 8 adapters, both with generate's decoder, one by one / in one batch",
    ),
    "adapters8_peft_S": paired(
        "decode S",
        "PEFT, mixed",
        "batched",
        "S: decode with 8 adapters in one batch, PEFT / ours",
        "–",
        Target(low=1.5),
        PEFT,
    ),
    "adapters8_B": paired(
        "decode B",
        "sequential",
        "batched",
        "B: decode with 8 adapters, one by one / in one batch",
        "8",
        Target(low=4),
    ),
    "adapters8_peft_B": paired(
        "decode B",
        "PEFT, mixed",
        "batched",
        "B: decode with 8 adapters in one batch, PEFT / ours",
        "–",
        Target(low=1.5),
        PEFT,
    ),
    "few_rows_B": Row(
        "B: what a batch of 8 can gain in the base's products, one row 8 times / 8 rows at once",
        "8",
        Target(),
        measure=lambda quick: few_rows(3 if quick else 20),
    ),
    "generation_S": paired(
        "generation",
        "transformers",
        "ours",
        "S: generation, our tokens a second / those of transformers' `generate`",
        "–",
        Target(low=2.5),
        ("transformers",),
    ),
    "import": Row(
        "`import lora_edu`, where torch is imported",
        "0",
        Target(high=50),
        unit=" ms",
        measure=lambda quick: import_time(2 if quick else 20),
    ),
}
