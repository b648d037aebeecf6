"""What the mini GPT forgets while it learns menus: the curves of both records, as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lora_edu.evaluation import Point, runs_of, tradeoff, with_rates_between

STEPS = 375  # of the runs that are compared


def curves_at_more_rates(
    menus: Mapping[str, Any], forgetting: Mapping[str, Any], arm: str
) -> tuple[list[Point], list[list[Point]]]:
    """Returns an arm's curve of learning and forgetting, with the rates of both records.

    Args:
        menus: `generator_bundled.json`.
        forgetting: `forgetting.json`.
        arm: Its name in `forgetting`, such as "lora 8".

    Returns:
        The curve of the mean over seeds, and one of each seed, as `tradeoff` does.
    """
    method, _, rank = arm.partition(" ")
    key = {"method": method, "rank": int(rank or 0)}
    both = with_rates_between(
        runs_of(menus, stage="tune", task="menu", **key), runs_of(forgetting, arm=arm, steps=STEPS)
    )
    return tradeoff(both, "story_loss")
