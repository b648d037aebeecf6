"""The first steps of a recorded run, to be compared with what the record says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

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


def check_first_steps(run: Mapping[str, Any], train: Callable[[Callable[..., None]], Any]) -> None:
    """Trains a recorded run's first steps again, to the mean loss that the record has of them."""
    losses = first_losses(train)
    assert sum(losses[10:]) / 10 == pytest.approx(run["loss_after_20"], abs=1e-3)


def check_planned(record: Mapping[str, Any], planned: Sequence[Mapping[str, Any]]) -> None:
    """Every run of a record was planned, and went to its end."""
    assert all(run["key"] in planned and run["stopped"] == "finished" for run in record["runs"])
