"""Claims about forgetting: what LoRA keeps of the base, beside full fine-tuning and its remedies.

Each function takes the records that it needs and returns the claim with its trials. Both methods
have the best of their rates, or are compared where they have learnt the task equally well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lora_edu.evaluation import Point, forgotten_at, mean_difference, runs_of, tradeoff
from lora_edu.tasks.claims.outcomes import FULL, LORA_8, WHOLE, tuned
from lora_edu.tasks.claims.settings import unless_coarse, unless_it_turns
from lora_edu.tasks.claims.sources import LEARNS_LESS
from lora_edu.tasks.claims.verdicts import (
    FAILS,
    NATS,
    OPEN,
    STORY_NATS,
    Claim,
    Trial,
    above_zero,
    less,
    more,
)
from lora_edu.tasks.forgetting import STEPS, curves_at_more_rates

Record = Mapping[str, Any]

# Where notebooks 06 and 08 read their curves: validation losses on menus.
MINI_LEVELS, LLM_LEVELS = (0.30, 0.25, 0.23), (0.37, 0.35, 0.32)
#: Remedy → its arm, and the same for it: with dropout full fine-tuning learns less at these rates.
REMEDIES = {
    "dropout 0.1": ("full, dropout", (0.27, 0.25)),
    "weight decay 0.1": ("full, decay", (0.24, 0.23)),
}
#: At these rates it shrinks W by 1 % at most, so it was hardly tried and can decide nothing.
HARDLY_TRIED = "weight decay 0.1"


def learns_and_forgets_less(menus: Record, real_menus: Record, llm: Record) -> Claim:
    """Both halves on test sets: the loss on the task, and that on stories, LoRA minus full.

    What is forgotten changes with the rate more than what is learnt does, so the rates beside the
    best have to agree on it.

    Args:
        menus: `generator_bundled.json`.
        real_menus: `generator_real.json`.
        llm: `llm_menu.json`.
    """
    trials = []
    for what, record, key in (
        ("menus", menus, {"stage": "final", "task": "menu"}),
        ("tales", menus, {"stage": "final", "task": "voice"}),
        ("E2E", real_menus, {"stage": "final", "task": "menu"}),
        ("menus, SmolLM2", llm, {"stage": "final"}),
    ):
        lora, full = (runs_of(record, **key, **method) for method in (LORA_8, FULL))
        trials += [
            unless_coarse(
                more(f"{what}, test loss, LoRA − full", lora, full, "test_loss", NATS),
                *tuned(record, key, LORA_8, FULL),
            ),
            unless_it_turns(
                less(f"{what}, loss on stories, LoRA − full", lora, full, "story_loss", STORY_NATS),
                "story_loss",
                *tuned(record, key, LORA_8, FULL),
            ),
        ]
    return Claim(
        "LoRA learns less and forgets less than full fine-tuning",
        f"{LEARNS_LESS}, sections 4.1 and 4.2, on code and mathematics",
        trials,
        ["06", "08"],
    )


def forgets_less_at_equal_learning(
    menus: Record, forgetting: Record, llm: Record, llm_control: Record
) -> Claim:
    """The loss on stories where both have learnt the task equally well, LoRA minus the other.

    Args:
        menus: `generator_bundled.json`, with the runs that train LoRA's 36 matrices whole.
        forgetting: `forgetting.json`, with the same at rates between.
        llm: `llm_menu.json`.
        llm_control: `forgetting_llm.json`, with the runs that train SmolLM2's matrices whole.
    """
    mini = {
        arm: curves_at_more_rates(menus, forgetting, arm)[1]
        for arm in ("lora 8", "full", "matrices")
    }
    lora, full = (
        tradeoff(llm, "story_loss", stage="tune", **method)[1] for method in (LORA_8, FULL)
    )
    control = tradeoff(llm_control, "story_loss", arm="matrices")[1]
    return Claim(
        "LoRA has forgotten less than full fine-tuning that learnt as much",
        f"{LEARNS_LESS}, section 4.3 as published in TMLR, for code; not for mathematics",
        [
            _at_levels("menus, LoRA − full", mini["lora 8"], mini["full"], MINI_LEVELS),
            _at_levels(f"menus, LoRA − {WHOLE}", mini["lora 8"], mini["matrices"], MINI_LEVELS),
            _at_levels("menus, SmolLM2, LoRA − full", lora, full, LLM_LEVELS),
            _at_levels(f"menus, SmolLM2, LoRA − {WHOLE}", lora, control, LLM_LEVELS),
        ],
        ["06", "08"],
    )


def forgets_less_than_regularised(menus: Record, forgetting: Record) -> Claim:
    """LoRA against full fine-tuning with weight decay or dropout, at equal learning.

    Args:
        menus: `generator_bundled.json`, with LoRA.
        forgetting: `forgetting.json`, with the same at rates between, and with both remedies.
    """
    lora = curves_at_more_rates(menus, forgetting, "lora 8")[1]

    def trial(remedy: str, arm: str, levels: Sequence[float]) -> Trial:
        other = tradeoff(forgetting, "story_loss", arm=arm, steps=STEPS)[1]
        idle = ", which shrinks W by 1 % at most" * (remedy == HARDLY_TRIED)
        found = _at_levels(f"menus, LoRA − full with {remedy}{idle}", lora, other, levels)
        return found._replace(verdict=OPEN) if idle else found

    return Claim(
        "LoRA has forgotten less than full fine-tuning with weight decay or dropout",
        f"{LEARNS_LESS}, section 4.5, on code; tried here at equal learning",
        [trial(remedy, arm, levels) for remedy, (arm, levels) in REMEDIES.items()],
        ["below"],
    )


def _at_levels(
    what: str,
    lora: Sequence[Sequence[Point]],
    other: Sequence[Sequence[Point]],
    levels: Sequence[float],
) -> Trial:
    """The loss on stories at each level of learning, seed by seed; one level against it decides.

    Of several against it, it is the one farthest from 0.
    """
    shown, found = [], []
    for level in levels:
        one, two = (
            torch.tensor([forgotten_at(level, seed) for seed in curves]) for curves in (lora, other)
        )
        mean, half = mean_difference(one, two)
        shown.append(STORY_NATS.signed(mean, half).removesuffix(" nats"))
        found.append(
            Trial("", above_zero(-(mean + half), -(mean - half)), mean - half, mean + half)
        )
    at = ", ".join(f"{level:.2f}" for level in levels)
    text = f"{what}, loss on stories where that on menus is {at}: {', '.join(shown)} nats"
    decisive = max(
        found, key=lambda trial: (trial.verdict == FAILS, trial.verdict == OPEN, trial.distance)
    )
    return decisive._replace(found=f"{text}, {len(lora)} seeds")
