"""The runs on LoRA's settings: what each arm changes, and that its first steps come again."""

from __future__ import annotations

import json

import pytest
from support.first_steps import check_first_steps, check_planned

from lora_edu.evaluation import read_record
from lora_edu.files import data_path
from lora_edu.lora import LoRALayer
from lora_edu.pretrained import load_pretrained
from lora_edu.training.optimizer import trainable_parameters
from scripts import sweep_settings as sweep

RECORD = data_path("results", "settings.json")
LORA_1 = 6 * (4 * (192 + 192) + 2 * (192 + 768))  # numbers at rank 1


def layers_of(arm: str) -> list[LoRALayer]:
    model = load_pretrained("mini")
    sweep.prepare(model, sweep.ARMS[arm], seed=0)
    return [layer for layer in model.modules() if isinstance(layer, LoRALayer)]


def test_every_run_comes_once_and_the_first_seed_of_all_before_the_others() -> None:
    keys = sweep.keys()
    assert len({json.dumps(key) for key in keys}) == len(keys)
    assert len(keys) == 3 * sum(len(arm.rates) for arm in sweep.ARMS.values())
    seeds = [key["seed"] for key in keys]
    assert seeds[: len(seeds) // 3] == [0] * (len(seeds) // 3)


@pytest.mark.parametrize("arm", sweep.ARMS)
def test_all_arms_see_as_many_rows_and_each_trains_its_numbers(arm: str) -> None:
    what = sweep.ARMS[arm]
    assert 0 <= what.steps * what.batch_rows - sweep.ROWS < what.batch_rows
    model = load_pretrained("mini")
    sweep.prepare(model, what, seed=0)
    numbers = sum(each.numel() for each in trainable_parameters(model).values())
    assert numbers == (what.rank * LORA_1 or sum(each.numel() for each in model.parameters()))
    groups = sweep.groups_of(what, 0.001)(model, 0.0)
    assert sum(each.numel() for group in groups for each in group["params"]) == numbers


def test_alpha_is_kept_whatever_the_rank() -> None:
    for arm in ("lora 2", "lora 8", "lora 32", "lora 128"):
        (multiplier,) = {layer.multiplier for layer in layers_of(arm)}
        assert multiplier * sweep.ARMS[arm].rank == 16


def test_b_has_a_rate_of_its_own_where_an_arm_says_so() -> None:
    model = load_pretrained("mini")
    sweep.prepare(model, sweep.ARMS["B's rate × 4"], seed=0)
    rest, b = sweep.groups_of(sweep.ARMS["B's rate × 4"], 0.001)(model, 0.0)
    names = {id(each): name[-2:] for name, each in trainable_parameters(model).items()}
    assert {names[id(each)] for each in rest["params"]} == {".A"}
    assert {names[id(each)] for each in b["params"]} == {".B"}
    assert "lr" not in rest
    assert b["lr"] == 0.004
    assert len(sweep.groups_of(sweep.ARMS["lora 8"], 0.001)(model, 0.0)) == 1


@pytest.mark.parametrize(
    ("arm", "bound"), [("A zero, usual", 8**-0.5), ("A zero, small", 192**-0.5)]
)
def test_where_a_is_zero_b_is_drawn_up_to_its_bound(arm: str, bound: float) -> None:
    first = layers_of(arm)[0]
    assert not first.A.any()
    assert 0.95 * bound < first.B.detach().abs().max().item() <= bound * 1.0001
    usual = layers_of("lora 8")[0]
    assert not usual.B.any()
    if arm == "A zero, small":
        assert usual.A.detach().abs().max().item() == pytest.approx(
            first.B.abs().max().item(), rel=0.05
        )


@pytest.mark.skipif(not RECORD.exists(), reason="not recorded yet")
def test_the_record_holds_planned_runs_and_its_first_steps_can_be_repeated() -> None:
    record = read_record(RECORD)
    check_planned(record, sweep.keys())
    run = record["runs"][0]
    check_first_steps(
        run, lambda stop: sweep.train(load_pretrained("mini"), run["key"], callbacks=[stop])
    )
