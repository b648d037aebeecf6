"""The classifier's records: each run's first steps, which can be repeated, and its controls."""

from __future__ import annotations

import json
from functools import partial

import pytest
from support.first_steps import check_first_steps

from lora_edu.evaluation import read_record, runs_of
from lora_edu.files import data_path
from scripts import sweep_classifier as sweep


def record_of(name: str) -> dict:
    return read_record(data_path("results", f"classifier_{name}.json"))


@pytest.mark.parametrize("name", ["bundled", "real"])
def test_every_run_is_recorded_with_its_loss_after_20_steps(name: str) -> None:
    runs = record_of(name)["runs"]
    assert all(0 <= run["loss_after_20"] < 10 for run in runs)
    # A rate that was tried and then chosen begins alike both times.
    first: dict[str, set[float]] = {}
    for run in runs:
        first.setdefault(json.dumps(run["key"] | {"stage": ""}), set()).add(run["loss_after_20"])
    assert len(first) == len(runs) - 6  # of six settings the best rate's first seed is there twice
    assert all(max(losses) - min(losses) < 1e-3 for losses in first.values())


def test_the_first_steps_of_a_recorded_run_can_be_repeated() -> None:
    run = runs_of(record_of("bundled"), stage="tune", method="lora", base="mini")[0]
    model = sweep.base_model("mini", "mini", run["key"]["seed"])
    again = partial(sweep.train, model, run["key"], name="bundled", steps=sweep.STEPS["bundled"])
    check_first_steps(run, lambda stop: again(callbacks=[stop]))


def test_shuffled_labels_are_the_same_labels_on_other_texts() -> None:
    rows = sweep.rows("bundled").train
    shuffled = sweep.shuffled_labels(rows, 0)
    assert [row.token_ids for row in shuffled] == [row.token_ids for row in rows]
    assert sorted(row.target for row in shuffled) == sorted(row.target for row in rows)
    kept = sum(a.target == b.target for a, b in zip(rows, shuffled, strict=True))
    assert 0.4 < kept / len(rows) < 0.6  # as often as chance has it: half are spam
