"""The runs on random facts: what is a fact, what a run trains, how bits are counted."""

from __future__ import annotations

import json
import math

import pytest
import torch
from support.first_steps import check_first_steps, check_planned
from torch import nn

from lora_edu.datasets import IGNORE
from lora_edu.evaluation import read_record
from lora_edu.files import data_path
from lora_edu.pretrained import load_pretrained
from lora_edu.training.optimizer import trainable_parameters
from scripts import sweep_memorise as sweep

RECORD = data_path("results", "memorise.json")


def test_every_run_comes_once_and_each_seed_has_all_ranks_and_facts():
    keys = sweep.keys()
    assert len({json.dumps(key) for key in keys}) == len(keys)
    usual = [key for key in keys if key["exposures"] == sweep.EXPOSURES and key["seed"]]
    for seed in (1, 2):
        found = [(key["rank"], key["facts"]) for key in usual if key["seed"] == seed]
        every = [(rank, count) for rank, counts in sweep.FACTS.items() for count in counts]
        assert found == [*every, *((rank, 512) for rank in sweep.BETTER)]


def test_a_fact_has_a_name_of_its_own_and_six_tokens_that_count():
    rows = sweep.facts(512, seed=0)
    names = {tuple(row.token_ids[:2]) for row in rows}
    assert len(names) == len(rows) == 512
    for row in rows:
        counted = [token for token in row.target if token != IGNORE]
        assert len(counted) == 6
        assert row.target[0] == IGNORE
        assert row.token_ids[2:] == counted[:-1]
    assert rows == sweep.facts(512, seed=0)
    assert rows[:2] != sweep.facts(512, seed=1)[:2]


@pytest.mark.parametrize(("rank", "numbers"), [(1, 20_736), (4, 82_944), (0, 3_111_936)])
def test_a_run_trains_its_numbers(rank: int, numbers: int):
    model = load_pretrained("mini")
    sweep.prepare(model, rank, seed=0)
    assert sum(p.numel() for p in trainable_parameters(model).values()) == numbers


class Knows(nn.Module):
    """Gives every token the same score, or the right one all the probability."""

    def __init__(self, rows) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(50.0))
        self.after = {tuple(row.token_ids[:3]): row for row in rows}

    def forward(self, token_ids):
        logits = torch.zeros(*token_ids.shape, sweep.VOCABULARY)
        for number, ids in enumerate(token_ids.tolist()):
            if row := self.after.get(tuple(ids[:3])):
                for place, token in enumerate(row.target):
                    logits[number, place, max(token, 0)] = self.scale
        return logits


@pytest.mark.parametrize(("known", "share"), [(0, 0.0), (4, 0.5), (8, 1.0)])
def test_bits_are_those_of_the_tokens_that_are_known(known: int, share: float):
    """Who knows nothing but the vocabulary has none; who knows all has eleven a token."""
    rows = sweep.facts(8, seed=0)
    assert sweep.BITS == 11
    assert sweep.bits_held(Knows(rows[:known]), rows) == pytest.approx(share * 8 * 6 * 11, abs=0.1)


@pytest.mark.skipif(not RECORD.exists(), reason="not recorded yet")
def test_the_record_holds_planned_runs_and_its_first_steps_can_be_repeated():
    record = read_record(RECORD)
    check_planned(record, sweep.keys())
    for run in record["runs"]:
        tokens = run["key"]["facts"] * sweep.RECALLED
        bits = tokens * (sweep.BITS - run["loss"] / math.log(2))
        assert run["bits"] == pytest.approx(bits, abs=1 + 1e-4 * tokens)
    run = record["runs"][0]
    check_first_steps(
        run, lambda stop: sweep.train(load_pretrained("mini"), run["key"], callbacks=[stop])
    )
