"""The sweep on a real language model: what it will run and has run, and how a rate is chosen."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("transformers", reason="transformers is not installed (extra `llm`)")

from lora_edu.evaluation import read_record  # noqa: E402
from lora_edu.files import data_path  # noqa: E402
from scripts import sweep_llm  # noqa: E402

RECORD = data_path("results", "llm_menu.json")


def test_it_tries_each_run_once_and_all_settings_before_a_second_seed():
    keys = sweep_llm.tuning()
    assert len({json.dumps(key) for key in keys}) == len(keys) == 15 + 15 + 6 + 6
    compared = [(key["method"], key["rank"]) in sweep_llm.FINAL_SEEDS for key in keys]
    assert compared == sorted(compared, reverse=True)  # the others come last
    for part in (True, False):
        seeds = [key["seed"] for key, each in zip(keys, compared, strict=True) if each is part]
        assert seeds == sorted(seeds)


def test_the_record_goes_on_with_todays_settings():
    record = read_record(RECORD)
    assert record["about"] == json.loads(json.dumps(sweep_llm.about()))
    planned = sweep_llm.tuning()
    tuned = [run for run in record["runs"] if run["key"]["stage"] == "tune"]
    assert all(run["key"] in planned for run in tuned)
    assert all(run["stopped"] == "finished" for run in tuned)
    # The test set stays closed until the search is over.
    assert all("test_loss" not in run for run in tuned)


def test_the_best_rate_has_the_lowest_mean_over_seeds():
    losses = {1e-3: (0.40, 0.40), 3e-3: (0.31, 0.44), 1e-2: (0.38, 0.38)}  # 0.40, 0.375, 0.38
    runs = [
        {"key": sweep_llm.key_of("tune", ("lora", 8), lr, seed), "validation_loss": loss}
        for lr, pair in losses.items()
        for seed, loss in enumerate(pair)
    ]
    other = {"key": sweep_llm.key_of("tune", ("full", 0), 1e-4, 0), "validation_loss": 0.1}
    assert sweep_llm.chosen_rate({"runs": [*runs, other]}, ("lora", 8)) == 3e-3
