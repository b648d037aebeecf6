"""The runs on a planted rank: what the teacher is, what is measured, what the record holds."""

from __future__ import annotations

import json

import pytest
import torch
from support.first_steps import check_first_steps, check_planned

from lora_edu.datasets import IGNORE
from lora_edu.datasets.batching import collate
from lora_edu.evaluation import read_record
from lora_edu.files import data_path
from lora_edu.pretrained import load_pretrained
from lora_edu.spectra import singular_values
from lora_edu.targets import adaptable_layers
from lora_edu.tasks import LORA_TARGETS
from scripts import sweep_planted as sweep

RECORD = data_path("results", "planted.json")


def test_every_run_comes_once_and_all_seeds_of_the_chosen_rate_first():
    keys = sweep.keys()
    assert len({json.dumps(key) for key in keys}) == len(keys) == 5 * 3 + 2 * 2
    assert all(key["lr"] == sweep.CHOSEN for key in keys[:15])


def test_a_teacher_has_the_planted_rank_in_each_matrix_and_another_one_each_seed():
    base, first, second = load_pretrained("mini"), sweep.teacher(0), sweep.teacher(1)
    layers = [adaptable_layers(model, LORA_TARGETS) for model in (base, first, second)]
    assert len(layers[0]) == 36
    name = "blocks.3.mlp.fc_in"
    plain, one, other = (each[name].weight.detach() for each in layers)
    strengths = singular_values(one - plain)
    assert (strengths > 1e-3 * strengths[0]).sum() == sweep.PLANTED
    assert (one - plain).norm() / plain.norm() == pytest.approx(sweep.SHARE, rel=1e-4)
    assert not torch.allclose(one, other)
    trained = {id(layer.weight) for layer in layers[1].values()}
    for (path, old), new in zip(base.named_parameters(), first.parameters(), strict=True):
        assert torch.equal(old, new) == (id(new) not in trained), path


def test_the_distance_is_the_sum_of_p_log_p_over_q_where_a_target_counts():
    base, wise = load_pretrained("mini").eval(), sweep.teacher(0)
    rows = sweep.rows_of("validation")[:4]
    assert sweep.distance(wise, wise, rows) == 0
    batch = collate(rows)
    with torch.inference_mode():
        p, q = (model(batch.token_ids).double().log_softmax(-1) for model in (wise, base))
    expected = ((p.exp() * (p - q)).sum(-1))[batch.targets != IGNORE].mean().item()
    assert sweep.distance(base, wise, rows) == pytest.approx(expected, abs=1e-4)


@pytest.mark.skipif(not RECORD.exists(), reason="not recorded yet")
def test_the_record_holds_planned_runs_and_its_first_steps_can_be_repeated():
    record = read_record(RECORD)
    check_planned(record, sweep.keys())
    run = record["runs"][0]
    check_first_steps(
        run, lambda stop: sweep.train(load_pretrained("mini"), run["key"], callbacks=[stop])
    )
