"""Records of experiments: resumable, and summed up with the two kinds of luck apart."""

from __future__ import annotations

import json
import math
import os

import pytest
import torch

from lora_edu import experiments
from lora_edu.evaluation import Predictions
from lora_edu.evaluation import f1 as f1_of_one_run
from lora_edu.experiments import (
    OutOfTime,
    Record,
    accuracy_score,
    compare,
    dumps,
    f1_score,
    read_record,
    run_all,
    runs_of,
    summarise,
)

KEYS = [{"lr": lr, "seed": seed} for lr in (0.1, 0.2) for seed in (0, 1)]


def work(key: dict) -> dict:
    """Stands in for a training run."""
    return {"score": key["lr"] + key["seed"], "process": os.getpid()}


def record(path, **about) -> Record:
    return Record(path / "results" / "record.json", "python -m this", {"set": "toy", **about})


def test_a_recorded_run_is_not_repeated(tmp_path):
    calls = []

    def counted(key: dict) -> dict:
        calls.append(key)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return work(key)

    with pytest.raises(KeyboardInterrupt):
        run_all(record(tmp_path), KEYS, counted)
    results = run_all(record(tmp_path), KEYS, counted)
    assert calls == [KEYS[0], KEYS[1], KEYS[2], KEYS[2], KEYS[3]]
    assert [run["key"] for run in results] == KEYS
    assert [run["score"] for run in results] == [0.1, 1.1, 0.2, 1.2]


def test_when_time_is_up_no_run_starts_and_the_next_call_goes_on(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(experiments.time, "monotonic", lambda: clock[0])

    def slow(key: dict) -> dict:
        clock[0] += 10
        return work(key)

    with pytest.raises(OutOfTime, match="2 runs are left; give the same command again"):
        run_all(record(tmp_path), KEYS, slow, seconds=15)
    assert [run["key"] for run in record(tmp_path).content["runs"]] == KEYS[:2]
    results = run_all(record(tmp_path), KEYS, slow, seconds=15)
    assert [run["key"] for run in results] == KEYS
    assert clock == [40.0]


def test_processes_start_no_run_after_the_end(tmp_path):
    with pytest.raises(OutOfTime, match="4 runs are left"):
        run_all(record(tmp_path), KEYS, work, workers=2, seconds=0)
    assert record(tmp_path).content["runs"] == []


def test_runs_in_processes_give_the_same_record(tmp_path):
    results = run_all(record(tmp_path), KEYS, work, workers=2)
    assert [run["score"] for run in results] == [0.1, 1.1, 0.2, 1.2]
    assert os.getpid() not in {run["process"] for run in results}


def test_each_run_is_reported(tmp_path):
    lines = []
    run_all(record(tmp_path), KEYS[:1], work, report=lines.append)
    assert len(lines) == 1 and "'lr': 0.1" in lines[0] and "score 0.1" in lines[0]


def test_a_record_names_its_command_and_versions(tmp_path):
    run_all(record(tmp_path), KEYS, work)
    content = json.loads((tmp_path / "results" / "record.json").read_text())
    assert content["command"] == "python -m this"
    assert content["versions"]["torch"] == torch.__version__
    assert content["about"] == {"set": "toy"}
    assert os.listdir(tmp_path / "results") == ["record.json"]  # no temporary file is left


def test_a_record_has_one_run_a_line(tmp_path):
    run_all(record(tmp_path), KEYS, work)
    text = (tmp_path / "results" / "record.json").read_text()
    assert sum(line.lstrip().startswith('{"key"') for line in text.splitlines()) == len(KEYS)
    assert json.loads(dumps(json.loads(text))) == json.loads(text)


def test_another_experiment_is_not_mixed_in(tmp_path):
    run_all(record(tmp_path), KEYS, work)
    with pytest.raises(ValueError, match="another experiment"):
        record(tmp_path, steps=3)


@pytest.mark.parametrize("text", ["{", "[]", '{"about": {}}'])
def test_a_damaged_record_is_said_to_be_damaged(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(ValueError, match="not a record.*delete it"):
        read_record(tmp_path / "r.json")


def test_runs_are_found_by_part_of_their_key_in_the_order_of_seeds(tmp_path):
    run_all(record(tmp_path), KEYS[::-1], work)
    content = read_record(tmp_path / "results" / "record.json")
    assert [run["key"] for run in runs_of(content, lr=0.2)] == KEYS[2:]
    with pytest.raises(ValueError, match="no run with .*0.3.*python -m this"):
        runs_of(content, lr=0.3)


LABELS = torch.tensor([0, 1] * 50)


def answers(wrong: list[range]) -> torch.Tensor:
    """A row of predictions for each range of examples that were answered wrongly."""
    predicted = LABELS.repeat(len(wrong), 1)
    for row, places in zip(predicted, wrong, strict=True):
        row[list(places)] = 1 - row[list(places)]
    return predicted


def test_runs_that_agree_have_sample_luck_only():
    """Three runs, wrong on the same 20 of 100: the error is that of one share of 80 %."""
    summary = summarise(LABELS, answers([range(20)] * 3), accuracy_score)
    assert summary.value == pytest.approx(0.8)
    assert summary.seed_sd == pytest.approx(0.0, abs=1e-12)
    assert summary.sample_sd == pytest.approx(math.sqrt(0.8 * 0.2 / 100), rel=0.05)
    assert summary.high - summary.value == pytest.approx(1.96 * summary.sample_sd, rel=1e-3)


def test_runs_that_differ_add_seed_luck():
    """Wrong on 10, 20 and 30 examples: standard deviation 0.1 between seeds."""
    runs = answers([range(10), range(20), range(30)])
    summary = summarise(LABELS, runs, accuracy_score)
    assert summary.seed_sd == pytest.approx(0.1)
    half = 1.959964 * math.sqrt(0.1**2 / 3 + summary.sample_sd**2)
    assert summary.value - summary.low == pytest.approx(half)
    assert summary.seeds == 3


def test_more_examples_shrink_sample_luck_but_not_seed_luck():
    runs = answers([range(10), range(20), range(30)])
    small = summarise(LABELS, runs, accuracy_score)
    large = summarise(LABELS.repeat(9), runs.repeat(1, 9), accuracy_score)
    assert large.sample_sd == pytest.approx(small.sample_sd / 3, rel=0.1)
    assert large.seed_sd == pytest.approx(small.seed_sd)


def test_an_interval_stays_within_what_a_score_can_be():
    summary = summarise(LABELS, answers([range(1), range(8)]), accuracy_score)
    assert summary.high == 1.0
    assert summarise(LABELS, answers([range(100), range(92)]), accuracy_score).low == 0.0


def test_f1_is_that_of_the_evaluation_module():
    runs = answers([range(10), range(5, 40)])
    for run, score in zip(runs, f1_score(LABELS, runs, torch.ones(100)), strict=True):
        expected = f1_of_one_run(Predictions(LABELS, run, torch.zeros(100, 2)))
        assert score.item() == pytest.approx(expected)


def test_shared_luck_cancels_in_a_comparison():
    """The second method is right wherever the first is, and on five more: paired, that is sure."""
    first, second = answers([range(40)] * 3), answers([range(35)] * 3)
    difference = compare(LABELS, second, first, accuracy_score)
    apart = summarise(LABELS, second, accuracy_score)
    assert difference.value == pytest.approx(0.05)
    assert difference.low > 0
    assert difference.sample_sd < apart.sample_sd
    worse = compare(LABELS, first, second, accuracy_score)
    assert worse.value == pytest.approx(-0.05)
    assert worse.high < 0


def test_messages_of_one_template_count_as_one():
    """Four copies of each message are four times the rows and not one bit more of evidence."""
    runs = answers([range(10), range(20)])
    alone = summarise(LABELS, runs, f1_score)
    copies = LABELS.repeat_interleave(4), runs.repeat_interleave(4, dim=1)
    together = summarise(*copies, f1_score, groups=torch.arange(100).repeat_interleave(4))
    assert together == pytest.approx(alone)
    assert summarise(*copies, f1_score).sample_sd < 0.6 * alone.sample_sd
    gap = compare(copies[0], copies[1], 1 - copies[1], f1_score)
    honest = compare(
        copies[0], copies[1], 1 - copies[1], f1_score, groups=torch.arange(100).repeat_interleave(4)
    )
    assert gap.sample_sd < 0.6 * honest.sample_sd


def test_the_bootstrap_follows_its_seed():
    runs = answers([range(10), range(20)])
    sds = [summarise(LABELS, runs, accuracy_score, seed=s).sample_sd for s in (0, 0, 1)]
    assert sds[0] == sds[1] != sds[2]
