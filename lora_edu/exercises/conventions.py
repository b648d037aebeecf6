"""Exercises on the factor before A B: by alpha, alpha / rank or alpha / sqrt(rank)."""

from __future__ import annotations

import math
from typing import Any

from lora_edu.exercises.comparing import number, same
from lora_edu.exercises.core import Wrong, exercise


@exercise("10.scaling", praise="Before you compare two runs, compare this number.")
def scaling(answer: Any) -> None:
    """Judges a function (alpha, rank, scaling) → multiplier."""
    found = {name: number(answer(24, 4, name)) for name in ("alpha", "alpha/rank")}
    over_rank_10 = number(answer(16, 10, "alpha/rank"))
    root = number(answer(24, 4, "alpha/sqrt(rank)"))
    if not same(found["alpha"], 24):
        raise Wrong('With scaling "alpha" the multiplier is alpha itself, whatever the rank.')
    if same(found["alpha/rank"], 24):
        raise Wrong("You multiplied by alpha, the paper divides it by the rank.")
    if same(found["alpha/rank"], 12) and same(root, 6):
        raise Wrong("You swapped two: the paper divides by the rank, rsLoRA by its root.")
    if same(found["alpha/rank"], 96):
        raise Wrong("You multiplied by the rank; alpha is divided by it.")
    if same(found["alpha/rank"], 1 / 6):
        raise Wrong("Upside down: alpha is divided by the rank, not the rank by alpha.")
    if not same(found["alpha/rank"], 6):
        raise Wrong('With scaling "alpha/rank", alpha 24 and rank 4 give 6.')
    if not same(over_rank_10, 1.6):
        raise Wrong("With alpha 16 and rank 10 it must be 1.6: / keeps the decimals, // does not.")
    if same(root, 6):
        raise Wrong("rsLoRA divides by the square root of the rank; you divided by the rank.")
    if same(root, 48):
        raise Wrong("You multiplied by the root of the rank; alpha is divided by it.")
    if same(root, math.sqrt(6)):
        raise Wrong("The root is taken of the rank alone, not of alpha / rank.")
    if not same(root, 12):
        raise Wrong('With scaling "alpha/sqrt(rank)", alpha 24 and rank 4 give 12.')
    if not same(number(answer(16, 10, "alpha/sqrt(rank)")), 16 / math.sqrt(10)):
        raise Wrong(
            "Right at rank 4, where half the rank is its root. With alpha 16 and rank 10 it is "
            "5.06: `rank ** 1/2` is rank / 2, and // drops the decimals."
        )


RANK, LORA_ALPHA = 16, 24  # of PEFT's adapter; each usual mistake has an answer of its own


@exercise(
    "10.translate",
    praise=f"Both multiply by {LORA_ALPHA / RANK}. Going the other way, to PEFT, alpha is "
    "multiplied by the rank.",
)
def translate(answer: Any) -> None:
    """Judges the alpha of `LoRALayer` for PEFT's `RANK` and `LORA_ALPHA`."""
    if same(answer, LORA_ALPHA):
        raise Wrong(
            f"Unchanged, the update is {RANK} times too strong: PEFT divides {LORA_ALPHA} by the "
            "rank."
        )
    if same(answer, LORA_ALPHA * RANK):
        raise Wrong(
            f"{LORA_ALPHA} × {RANK} is the way from your class to PEFT; you go the other way."
        )
    if same(answer, LORA_ALPHA / math.sqrt(RANK)):
        raise Wrong("That is rsLoRA's rule. PEFT's default divides by the rank, not by its root.")
    if not same(answer, LORA_ALPHA / RANK):
        raise Wrong("PEFT multiplies by lora_alpha / rank. Which alpha gives that by itself?")
