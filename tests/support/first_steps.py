"""A recorded run's first steps, made again, and what every record of a sweep holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from scripts.runs import first_losses, loss_after_20


def check_first_steps(
    run: Mapping[str, Any], train: Callable[[Callable[..., None]], Any]
) -> list[float]:
    """Trains a recorded run's first steps again, to the mean loss that the record has of them.

    Returns:
        The loss of each step.
    """
    losses = first_losses(train)
    assert loss_after_20(losses) == pytest.approx(run["loss_after_20"], abs=1e-3)
    return losses


def check_planned(record: Mapping[str, Any], planned: Sequence[Mapping[str, Any]]) -> None:
    """Every run of a record was planned, and went to its end."""
    assert all(run["key"] in planned and run["stopped"] == "finished" for run in record["runs"])
