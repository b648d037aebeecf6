"""Curves of learning against forgetting end at the best rate and are read between two rates."""

from __future__ import annotations

import math

import pytest

from lora_edu.evaluation.rates import (
    Point,
    best_rate,
    forgotten_at,
    forgotten_beyond,
    losses_by_rate,
    seeds_by_rate,
    tradeoff,
    with_rates_between,
)


def run(rate: float, seed: int, learning: float, forgetting: float, method: str = "a") -> dict:
    key = {"method": method, "lr": rate, "seed": seed}
    return {"key": key, "validation_loss": learning, "old": forgetting}


RECORD = {
    "command": "make it",
    "runs": [
        run(0.1, 1, 0.25, 8.0),
        run(0.01, 0, 1.0, 2.0),
        run(1.0, 0, 5.0, 9.0),
        run(0.1, 0, 0.75, 4.0),
        run(1.0, 1, 5.0, 9.0),
        run(0.01, 1, 2.0, 4.0),
        run(0.5, 0, 0.0, 0.0, "b"),
    ],
}


def test_a_rate_has_the_mean_of_its_seeds_and_the_lowest_wins() -> None:
    assert losses_by_rate(RECORD, method="a") == {0.01: 1.5, 0.1: 0.5, 1.0: 5.0}
    assert list(losses_by_rate(RECORD, "old", method="a").items())[0] == (0.01, 3.0)
    assert best_rate(RECORD, method="a") == 0.1


def test_a_rate_has_its_seeds_in_their_order() -> None:
    found = seeds_by_rate(RECORD, "old", method="a")
    assert list(found.items()) == [(0.01, [2.0, 4.0]), (0.1, [4.0, 8.0]), (1.0, [9.0, 9.0])]


def test_a_curve_ends_at_the_best_rate_and_has_one_for_each_seed() -> None:
    whole, seeds = tradeoff(RECORD, "old", method="a")
    assert whole == [Point(0.01, 1.5, 3.0), Point(0.1, 0.5, 6.0)]
    assert seeds == [
        [Point(0.01, 1.0, 2.0), Point(0.1, 0.75, 4.0)],
        [Point(0.01, 2.0, 4.0), Point(0.1, 0.25, 8.0)],
    ]


@pytest.mark.parametrize(("learning", "forgotten"), [(1.5, 3.0), (1.0, 4.5), (0.5, 6.0)])
def test_a_curve_is_read_at_its_points_and_between_them(learning, forgotten) -> None:
    whole, _ = tradeoff(RECORD, "old", method="a")
    assert forgotten_at(learning, whole) == pytest.approx(forgotten)


@pytest.mark.parametrize("learning", [0.4, 1.6])
def test_where_no_rate_has_learnt_so_much_nothing_is_made_up(learning: float) -> None:
    assert math.isnan(forgotten_at(learning, tradeoff(RECORD, "old", method="a")[0]))


def test_runs_are_set_beside_the_other_curve_at_their_own_loss() -> None:
    full = [
        [Point(0.1, 2.0, 1.0), Point(0.2, 1.0, 3.0)],
        [Point(0.1, 2.0, 1.0), Point(0.2, 1.0, 5.0)],
    ]
    runs = [
        [Point(0.5, 3.0, 9.0), Point(0.6, 1.5, 4.0)],
        [Point(0.5, 1.5, 9.0), Point(0.6, 1.0, 9.0)],
    ]
    found = forgotten_beyond(runs, full)  # at 0.5 the first seed has learnt less than full ever had
    assert list(found) == [0.6]
    gap, half = found[0.6]  # 4 - 2 and 9 - 5
    assert gap == pytest.approx(3.0) and half == pytest.approx(12.71, abs=0.01)


def test_a_curve_takes_rates_from_another_sweep_but_not_those_that_it_has() -> None:
    ours = [run(0.1, 0, 1.0, 2.0), run(0.1, 1, 1.0, 2.0)]
    theirs = [run(lr, seed, 0.5, 4.0) for lr in (0.1, 0.2) for seed in (0, 1)]
    assert losses_by_rate(with_rates_between(ours, theirs)) == {0.1: 1.0, 0.2: 0.5}
    with pytest.raises(ValueError, match="same seeds"):
        with_rates_between(ours, theirs[:3])
