"""Claims about where LoRA goes: which layers, at as many trainable numbers.

Each function takes `forgetting.json`, whose arms differ in one thing at a time. An arm has the best
of its rates, by the same validation set on which it is then compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lora_edu.evaluation import runs_at_best_rate
from lora_edu.tasks.claims.settings import unless_coarse
from lora_edu.tasks.claims.sources import LORA, NO_REGRET
from lora_edu.tasks.claims.verdicts import NATS, Claim, less, more
from lora_edu.tasks.forgetting import STEPS

ATTENTION, MLP, ALL = "lora 10, attention", "lora 8, mlp", "lora 4"


def attention_alone(forgetting: Mapping[str, Any]) -> Claim:
    """LoRA on attention's four layers against LoRA on the MLP's two.

    Args:
        forgetting: The record.
    """
    attention, mlp = of_arm(forgetting, ATTENTION), of_arm(forgetting, MLP)
    what = f"menus, validation loss, attention − MLP, {_numbers(attention)} numbers each"
    return Claim(
        "With as many parameters, attention alone does worse than the MLP alone",
        f"{NO_REGRET}, “Layers Where LoRA Is Applied”",
        [
            unless_coarse(
                more(what, attention, mlp, "validation_loss", NATS),
                *((forgetting, _sweep(arm)) for arm in (ATTENTION, MLP)),
            )
        ],
        ["03"],
    )


def more_kinds_of_layers(forgetting: Mapping[str, Any]) -> Claim:
    """LoRA on all six kinds of layers at rank 4 against two or four kinds at a higher rank.

    Args:
        forgetting: The record.
    """
    wide, narrow = of_arm(forgetting, ALL), of_arm(forgetting, MLP)
    fewer = f"{_numbers(wide)} numbers − {_numbers(narrow)}"
    trials = [
        unless_coarse(
            less(
                f"menus, validation loss, all six at rank 4 − {name}, {fewer}",
                wide,
                of_arm(forgetting, arm),
                "validation_loss",
                NATS,
            ),
            *((forgetting, _sweep(each)) for each in (ALL, arm)),
        )
        for name, arm in (("attention at 10", ATTENTION), ("MLP at 8", MLP))
    ]
    return Claim(
        "With as many parameters, more kinds of layers do better than a higher rank",
        f"{LORA}, section 7.1 and table 5, for attention's four",
        trials,
        ["03"],
    )


def of_arm(record: Mapping[str, Any], arm: str) -> list[dict[str, Any]]:
    """Returns an arm's runs of the usual length at its best rate.

    Args:
        record: `forgetting.json`.
        arm: One of its arms.
    """
    return runs_at_best_rate(record, **_sweep(arm))


def _sweep(arm: str) -> dict[str, Any]:
    return {"arm": arm, "steps": STEPS}


def _numbers(runs: list[dict[str, Any]]) -> str:
    return f"{runs[0]['trainable_parameters']:,}"
