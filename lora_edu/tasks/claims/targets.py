"""Claims about where LoRA goes: which layers, at as many trainable numbers.

Each function takes `forgetting.json`, whose arms differ in one thing at a time. An arm has the best
of its rates, by the same validation set on which it is then compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lora_edu.evaluation import runs_of
from lora_edu.tasks.claims.settings import Sweep, at_best_rates
from lora_edu.tasks.claims.sources import LORA, NO_REGRET
from lora_edu.tasks.claims.verdicts import Claim, less, more
from lora_edu.tasks.forgetting import STEPS

ATTENTION, MLP, ALL = "lora 10, attention", "lora 8, mlp", "lora 4"


def attention_alone(forgetting: Mapping[str, Any]) -> Claim:
    """LoRA on attention's four layers against LoRA on the MLP's two.

    Args:
        forgetting: The record.
    """
    numbers = _numbers(forgetting, ATTENTION)
    what = f"menus, validation loss, attention − MLP, {numbers} numbers each"
    return Claim(
        "With as many parameters, attention alone does worse than the MLP alone",
        f"{NO_REGRET}, “Layers Where LoRA Is Applied”",
        [at_best_rates(more, what, *(_sweep(forgetting, arm) for arm in (ATTENTION, MLP)))],
        ["03"],
    )


def more_kinds_of_layers(forgetting: Mapping[str, Any]) -> Claim:
    """LoRA on all six kinds of layers at rank 4 against two or four kinds at a higher rank.

    Args:
        forgetting: The record.
    """
    fewer = f"{_numbers(forgetting, ALL)} numbers − {_numbers(forgetting, MLP)}"
    trials = [
        at_best_rates(
            less,
            f"menus, validation loss, all six at rank 4 − {name}, {fewer}",
            *(_sweep(forgetting, each) for each in (ALL, arm)),
        )
        for name, arm in (("attention at 10", ATTENTION), ("MLP at 8", MLP))
    ]
    return Claim(
        "With as many parameters, more kinds of layers do better than a higher rank",
        f"{LORA}, section 7.1 and table 5, for attention's four",
        trials,
        ["03"],
    )


def _sweep(forgetting: Mapping[str, Any], arm: str) -> Sweep:
    """An arm's runs of the usual length, at all its rates."""
    return forgetting, {"arm": arm, "steps": STEPS}


def _numbers(forgetting: Mapping[str, Any], arm: str) -> str:
    return f"{runs_of(forgetting, arm=arm)[0]['trainable_parameters']:,}"
