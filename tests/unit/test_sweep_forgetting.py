"""The runs on learning and forgetting: what each arm trains, and what is measured of it."""

from __future__ import annotations

import json

import pytest
import torch
from support.first_steps import check_first_steps, check_planned

from lora_edu.datasets import Row
from lora_edu.evaluation import read_record
from lora_edu.files import data_path
from lora_edu.pretrained import load_pretrained
from lora_edu.targets import adaptable_layers
from lora_edu.tasks import LORA_TARGETS
from lora_edu.training.optimizer import trainable_parameters
from scripts import sweep_forgetting as sweep

RECORD = data_path("results", "forgetting.json")
MATRICES, MODEL, EMBEDDING = 36 * 192 * 192 + 12 * 3 * 192 * 192, 3_111_936, 2048 * 192
LORA_1 = 6 * (4 * (192 + 192) + 2 * (192 + 768))  # numbers at rank 1


def test_every_run_comes_once_and_all_seeds_of_an_arm_before_the_next():
    keys = sweep.keys()
    grid, more, between, longer = 17 * 5 * 3, 3 * 2, 10 * 3, 2 * 3 * 2 * 3
    assert len({json.dumps(key) for key in keys}) == len(keys) == grid + more + between + longer
    arms = [key["arm"] for key in keys[:grid]]
    assert [arm for place, arm in enumerate(arms) if arm not in arms[:place]] == list(sweep.ARMS)
    assert arms == sorted(arms, key=list(sweep.ARMS).index)
    for times, arms in sweep.LONGER.items():
        assert all(set(rates) <= set(sweep.ARMS[arm].rates) for arm, rates in arms.items()), times


@pytest.mark.parametrize(
    ("arm", "numbers"),
    [
        ("full", MODEL),
        ("full, embedding", MODEL),
        ("matrices", MATRICES),
        ("lora 8", 8 * LORA_1),
        ("lora 32", 32 * LORA_1),
        ("lora 32, embedding", 32 * LORA_1 + EMBEDDING),
        ("lora 8, mlp", 92_160),
        ("lora 10, attention", 92_160),
        ("lora 4", 82_944),
        ("lora 128", MATRICES),  # the break-even rank over the 36
    ],
)
def test_an_arm_trains_its_numbers_and_the_embedding_has_one_group(arm: str, numbers: int):
    model = load_pretrained("mini")
    sweep.prepare(model, sweep.ARMS[arm], seed=0)
    assert sum(p.numel() for p in trainable_parameters(model).values()) == numbers
    groups = sweep.groups_of(sweep.ARMS[arm])(model, 0.0)
    assert sum(p.numel() for group in groups for p in group["params"]) == numbers
    own = [group for group in groups if "lr" in group]
    assert [len(group["params"]) for group in own] == [1] * sweep.ARMS[arm].embedding
    assert all(group["params"][0] is model.token_embedding.weight for group in own)


def test_an_arm_has_its_dropout_and_its_decay_and_the_others_have_none(monkeypatch):
    seen = []
    monkeypatch.setattr(sweep, "fit", lambda model, *_, **how: seen.append((model, how)))
    for arm in ("full", "full, decay", "full, dropout"):
        sweep.train(load_pretrained("mini"), sweep.key_of(arm, 1e-3, seed=0), "")
    shares = [
        {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} for model, _ in seen
    ]
    assert shares == [{0.0}, {0.0}, {0.1}]
    assert [how["weight_decay"] for _, how in seen] == [0.0, 0.1, 0.0]


def test_replay_brings_one_old_row_in_every_batch_the_same_ones_each_time():
    rows, old = [Row([n], [n]) for n in range(40)], [Row([n], [n]) for n in range(100, 200)]
    batches = sweep.WithOldText(rows, old, seed=0)
    epochs = [[batch.token_ids.flatten().tolist() for batch in batches.epoch(n)] for n in (0, 0, 1)]
    assert epochs[0] == epochs[1] != epochs[2]
    for epoch in epochs:
        assert [len(batch) for batch in epoch].count(17) == 2
        assert all(sum(token >= 100 for token in batch) == 1 for batch in epoch)
        assert sorted(t for batch in epoch for t in batch if t < 100) == list(range(40))


def test_the_update_is_measured_beside_w_and_scaled_between_base_and_trained():
    plain = load_pretrained("mini")
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    after = dict(before)
    name = "blocks.0.attention.query.weight"
    after[name] = 3 * before[name]  # ΔW is 2 W
    sizes = sweep.sizes_of(before, after, adaptable_layers(plain, LORA_TARGETS))
    assert sizes == {
        "update_size": pytest.approx(2 / 36, abs=1e-4),
        "strongest": pytest.approx(2 / 36, abs=1e-4),
        "intruded": 0,
    }
    half = sweep.scaled(plain, before, after, 0.5).state_dict()
    torch.testing.assert_close(half[name], 2 * before[name])
    assert all(torch.equal(half[other], before[other]) for other in before if other != name)


@pytest.mark.skipif(not RECORD.exists(), reason="not recorded yet")
def test_the_record_holds_planned_runs_and_its_first_steps_can_be_repeated():
    record = read_record(RECORD)
    check_planned(record, sweep.keys())
    run = record["runs"][0]
    check_first_steps(
        run, lambda stop: sweep.train(load_pretrained("mini"), run["key"], "", callbacks=[stop])
    )
