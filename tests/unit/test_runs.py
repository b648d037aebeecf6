"""Runs of an experiment: recorded, resumable, in processes, until time is up."""

from __future__ import annotations

import json
import os

import pytest
import torch

from scripts import runs
from scripts.runs import OutOfTime, Record, dumps, run_all

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
    monkeypatch.setattr(runs.time, "monotonic", lambda: clock[0])

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
