"""The record of subspaces: complete, within its bounds, and its first steps can be repeated."""

from __future__ import annotations

from statistics import mean

import pytest
import torch
from support.first_steps import check_first_steps

from lora_edu import base_fingerprint
from lora_edu.evaluation import read_record, runs_of
from lora_edu.files import data_path
from scripts import record_subspaces as script

PATH = data_path("results", "subspaces.json")


@pytest.mark.skipif(not PATH.exists(), reason="not recorded yet")
def test_the_record_has_each_run_and_each_two_of_them() -> None:
    record = read_record(PATH)
    found, planned = [run["key"] for run in record["runs"]], script.keys()
    assert len(found) == len(planned)
    assert all(key in found for key in planned)
    assert record["about"]["base_fingerprint"] == base_fingerprint("mini")
    assert len(record["about"]["layers"]) == 36
    for run in record["runs"]:
        for when in ("drawn", "trained") if "second" in run["key"] else ():
            assert all(len(shares) == 36 for shares in run[when].values())
            assert all(0 <= share <= 1.0001 for of in run[when].values() for share in of)


@pytest.mark.skipif(not PATH.exists(), reason="not recorded yet")
def test_the_first_steps_of_a_recorded_run_can_be_repeated() -> None:
    (run,) = runs_of(read_record(PATH), rank=8, seed=0)
    check_first_steps(run, lambda stop: script.train(8, 0, callbacks=[stop]))


def test_as_drawn_directions_share_what_chance_gives() -> None:
    """Of random directions in 192 dimensions, one lies in 64 others by a third."""
    found = script.of_pair((8, 0), (64, 1), steps=1)["drawn"]
    narrow = [number for number in range(36) if number % 6 < 5]  # but fc_out, which reads 768
    for measure, share in (("first in all", 64 / 192), ("8 and 8", 8 / 192)):
        assert mean(found[measure][number] for number in narrow) == pytest.approx(share, rel=0.15)


def test_a_run_shares_everything_with_itself() -> None:
    found = script.of_pair((8, 0), (8, 0), steps=1)["trained"]
    assert all(share == pytest.approx(1, abs=1e-3) for of in found.values() for share in of)


def test_w_is_largest_in_its_own_directions() -> None:
    sizes = script.of_run(8, 0, steps=20)
    for own, update, random in zip(*(sizes[n] for n in ("in_own", "in_update", "random"))):
        assert own > max(update, random)
    assert torch.tensor(sizes["update"]).gt(0).any()
