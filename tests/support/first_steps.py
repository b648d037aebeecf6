"""The first steps of a recorded run, to be compared with what the record says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

STEPS = 20


def first_losses(train: Callable[[Callable[..., None]], Any]) -> list[float]:
    """Returns a run's losses at its first 20 steps, and ends it there.

    Args:
        train: Trains with the callback that it is given.
    """

    class Enough(Exception):
        pass

    found: list[float] = []

    def stop(_: Any, history: Any) -> None:
        found[:] = history.losses
        if len(found) == STEPS:
            raise Enough

    try:
        train(stop)
    except Enough:
        return found
    raise AssertionError(f"the run ended before step {STEPS}")
