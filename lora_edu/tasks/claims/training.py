"""Claims about how LoRA is trained: the rates of A and B, which starts at zero, the batch.

Each function takes `settings.json`, whose arms differ in one thing at a time. An arm has the best
of its rates, by the same validation set on which it is then compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import Any

from lora_edu.evaluation import runs_at_best_rate
from lora_edu.tasks.claims.settings import TUNED_MENUS, at_best_rates, unless_coarse
from lora_edu.tasks.claims.sources import LORA_PLUS, NO_REGRET, STARTS
from lora_edu.tasks.claims.verdicts import NATS, Claim, less, more

Record = Mapping[str, Any]
Runs = list[dict[str, Any]]

LOSS = "validation_loss"
USUAL = "lora 8"


def separate_rates(settings: Record) -> Claim:
    """B with a higher rate than A, the better of two ratios, against one rate for both.

    Args:
        settings: The record.
    """
    ratios = {name: _of(settings, name) for name in ("B's rate × 4", "B's rate × 16")}
    best = min(ratios, key=lambda name: mean(run[LOSS] for run in ratios[name]))
    what = f"menus, validation loss, {best} (the better of 4 and 16) − one rate"
    return Claim(
        "A higher learning rate for B than for A does better than one rate for both",
        f"{LORA_PLUS}, abstract",
        [at_best_rates(less, what, *((settings, {"arm": arm}) for arm in (best, USUAL)))],
        ["below"],
    )


def zero_b(settings: Record) -> Claim:
    """The usual start, A random and B zero, against A zero, with B drawn at two sizes.

    Args:
        settings: The record.
    """
    trials = []
    for arm, size in (
        ("A zero, usual", "B drawn by its rows"),
        ("A zero, small", "B as small as A would be"),
    ):
        what = f"menus, validation loss, B zero − A zero, {size}"
        both = ((settings, {"arm": each}) for each in (USUAL, arm))
        trials.append(at_best_rates(less, what, *both))
    return Claim(
        "It is better to start with B zero and A random than the other way round",
        f"{STARTS}, abstract",
        trials,
        ["02"],
    )


def larger_batches(settings: Record, menus: Record) -> Claim:
    """What LoRA is behind full fine-tuning, with four times the rows in a batch and as many in all.

    Args:
        settings: The record.
        menus: `generator_bundled.json`, which has full fine-tuning in batches of 16.
    """
    large = [(settings, {"arm": f"{name}, batches of 64"}) for name in ("lora 8", "full")]
    small = [(settings, {"arm": USUAL}), (menus, TUNED_MENUS | {"method": "full"})]
    behind = [
        _gap(*(runs_at_best_rate(record, **key) for record, key in pair)) for pair in (large, small)
    ]
    what = "menus, LoRA − full, validation loss, batches of 64 − of 16"
    return Claim(
        "Larger batches, at as many rows in all, cost LoRA more than full fine-tuning",
        f"{NO_REGRET}, “Batch size effects”: in some scenarios",
        [unless_coarse(more(what, *behind, "gap", NATS), *large, *small)],
        ["below"],
    )


def _of(settings: Record, arm: str) -> Runs:
    return runs_at_best_rate(settings, arm=arm)


def _gap(lora: Runs, full: Runs) -> Runs:
    """What LoRA is behind, seed by seed."""
    pairs = zip(lora, full, strict=True)
    return [{"key": one["key"], "gap": one[LOSS] - other[LOSS]} for one, other in pairs]
