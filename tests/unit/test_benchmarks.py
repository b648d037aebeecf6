"""The protocol of the benchmarks: known ratios are found, and failures are called failures."""

from __future__ import annotations

import os
import platform
import random
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import torch

pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")
pytest.importorskip("transformers", reason="transformers is not installed (extra `peers`)")

from support.records import MACHINE, VERSIONS  # noqa: E402

from benchmarks import protocol, run  # noqa: E402
from benchmarks.machine import machine, versions  # noqa: E402
from benchmarks.protocol import (  # noqa: E402
    AGAIN,
    Contender,
    Ratio,
    Rounds,
    interleaved,
    mean_interval,
    median_interval,
    paired_ratio,
    turn,
)
from benchmarks.record import Outcome, Record, read_outcome  # noqa: E402
from benchmarks.report import results, verdict  # noqa: E402
from benchmarks.table import Race, Row, Target  # noqa: E402
from benchmarks.trainer import UnequalLosses  # noqa: E402


class FakeMachine:
    """A clock that work moves on, and that runs at a speed which drifts by half."""

    def __init__(self) -> None:
        self.now, self.dice, self.calls = 0.0, random.Random(0), []

    def clock(self) -> float:
        return self.now

    def worker(self, name: str, seconds: float, weight: float = 1.0) -> Contender:
        def call(number: int) -> None:
            drift = 1 + 0.5 * np.sin(self.now / 40)
            self.now += seconds * drift * self.dice.uniform(0.95, 1.05)
            self.calls.append((number, name))

        return Contender(call, weight)

    def times(self, rounds: Rounds, **seconds: float) -> dict[str, list[float]]:
        contenders = {name: self.worker(name, s) for name, s in seconds.items()}
        return interleaved(contenders, rounds, self.clock)


def test_a_known_ratio_lies_within_its_narrow_interval():
    times = FakeMachine().times(Rounds(40), ours=0.7, theirs=1.0)
    ratio = paired_ratio(times["ours"], times["theirs"])
    assert ratio.low <= 0.7 <= ratio.high
    assert ratio.high - ratio.low < 0.04


def test_a_contender_against_itself_holds_one():
    times = FakeMachine().times(Rounds(40), ours=1.0, again=1.0)
    assert paired_ratio(times["again"], times["ours"]).holds_one()


def test_one_that_is_three_percent_slower_does_not_hold_one():
    times = FakeMachine().times(Rounds(100), ours=1.0, slower=1.03)
    assert not paired_ratio(times["slower"], times["ours"]).holds_one()


@pytest.mark.parametrize(
    ("low", "high", "holds"),
    [(0.98, 1.02, True), (1.004, 1.02, True), (1.006, 1.02, False), (0.9, 0.994, False)],
)
def test_an_interval_holds_one_to_two_decimals(low, high, holds):
    assert Ratio(1.0, low, high).holds_one() is holds


def test_all_contenders_do_the_same_round_before_the_next_and_take_turns_at_beginning():
    machine = FakeMachine()
    machine.times(Rounds(6, warmup=0), a=1, b=1, c=1)
    rounds = [machine.calls[i : i + 3] for i in range(0, 18, 3)]
    assert [{number for number, _ in calls} for calls in rounds] == [{i} for i in range(6)]
    assert all(sorted(name for _, name in calls) == ["a", "b", "c"] for calls in rounds)
    assert {calls[0][1] for calls in rounds} == {"a", "b", "c"}
    assert turn("abc", 0) == list("abc") and turn("abc", 1) == list("cba")


def test_warm_up_is_not_counted_and_the_box_ends_the_rounds():
    machine = FakeMachine()
    times = machine.times(Rounds(1000, box_seconds=50, warmup=3), a=5, b=5)
    assert len(times["a"]) == len(times["b"]) < 12
    assert len(machine.calls) == 2 * (3 + len(times["a"]))


def test_a_weight_scales_the_time():
    machine = FakeMachine()
    contenders = {"part": machine.worker("part", 1.0, 10.0), "whole": machine.worker("whole", 10.0)}
    times = interleaved(contenders, Rounds(40), machine.clock)
    ratio = paired_ratio(times["part"], times["whole"])
    assert ratio.low <= 1 <= ratio.high


def test_the_interval_of_the_median_covers_the_truth_nineteen_times_in_twenty():
    dice = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        low, high = median_interval(dice.normal(size=25))
        inside += low <= 0 <= high
    assert 88 <= inside <= 100


def runs(shift: float, seed: int) -> np.ndarray:
    """Differences of two recipes: runs differ by seed, messages by how hard they are."""
    dice = np.random.default_rng(seed)
    by_seed, by_message = dice.normal(0, 2, (20, 1)), dice.normal(0, 10, (1, 200))
    return shift + by_seed + by_message + dice.normal(0, 20, (20, 200))


def test_the_interval_of_accuracies_counts_seeds_and_messages(monkeypatch):
    monkeypatch.setattr(protocol, "BOOTSTRAPS", 400)
    intervals = [mean_interval(runs(0, seed)) for seed in range(100)]
    assert 88 <= sum(low <= 0 <= high for low, high in intervals) <= 100
    low, high = mean_interval(runs(5, 0))
    assert 0 < low < 5 < high
    alike = np.tile(np.array([[1.0], [-1.0]]), (1, 200))  # all messages say the same: seeds count
    assert mean_interval(alike) == (-1, 1)


def test_unpaired_times_are_refused():
    with pytest.raises(ValueError, match="top has 2 rounds and bottom 1"):
        paired_ratio([1.0, 2.0], [1.0])


# --- the record


def test_a_run_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "record.json"
    outcome = Outcome(0.7, (0.69, 0.71), 20, (1.0, 0.99, 1.01), {"ours": 1.0}, {"MB": 2.0}, "note")
    Record(path).add("step_peft_B", outcome, MACHINE, VERSIONS, 20)
    again = Record(path)
    assert read_outcome(again.rows(MACHINE)["step_peft_B"]) == outcome
    assert again.has("step_peft_B", MACHINE, VERSIONS, 20)
    assert not again.has("step_peft_S", MACHINE, VERSIONS, 20)
    assert not again.has("step_peft_B", MACHINE, VERSIONS, 50)
    assert not again.has("step_peft_B", MACHINE | {"threads": 1}, VERSIONS, 20)
    assert not again.has("step_peft_B", MACHINE, VERSIONS | {"peft": "0.22"}, 20)


def test_without_a_file_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Record(None).add("row", Outcome(1.0), MACHINE, VERSIONS, 1)
    assert list(tmp_path.iterdir()) == []


# --- the table

GOOD = (1.0, 0.99, 1.01)
ROW = Row("what", "limit", Target(high=0.8), ("peft",), "steps B", "ours", "PEFT")


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(0.7, (0.69, 0.71), 20, GOOD), "met"),
        (Outcome(0.79, (0.77, 0.81), 20, GOOD), "met, but the interval reaches beyond"),
        (Outcome(0.85, (0.84, 0.86), 20, GOOD), "**missed**"),
        (Outcome(0.7, (0.69, 0.71), 19, GOOD), "too few rounds (19), does not count"),
        (Outcome(0.7, (0.69, 0.71), 20, (1.04, 1.02, 1.06)), "control failed, does not count"),
        (Outcome(0.7, (0.69, 0.71), 20, (0.99, 0.94, 1.02)), "control too wide, does not count"),
        (Outcome(0.7, (0.69, 0.71), 20, (1.01, 0.98, 1.06)), "control too wide, does not count"),
        (Outcome(0.7, (0.69, 0.71), 20, (1.0, 0.95, 1.05)), "met"),
        (
            Outcome(0.7, (0.69, 0.71), 20, GOOD, doubt="another task"),
            "another task, does not count",
        ),
        (
            Outcome(0.9, (0.89, 0.91), 20, GOOD, doubt="another task"),
            "another task, does not count",
        ),
        (Outcome(None, rounds=0, note="not measured: why"), "not measured: why"),
    ],
)
def test_the_verdict(outcome, expected):
    assert verdict(ROW, outcome) == expected


@pytest.mark.parametrize(
    ("rounds", "expected"), [(2, "too few rounds (2), does not count"), (3, "met")]
)
def test_a_figure_can_need_rounds_too(rounds, expected):
    row = Row("what", "limit", Target(-1, 1), unit=" points", least_rounds=3)
    assert verdict(row, Outcome(0.0, (-0.5, 0.5), rounds)) == expected


@pytest.mark.parametrize(
    ("target", "text", "met", "missed"),
    [
        (Target(high=0.74), "≤ 0.74", 0.74, 0.75),
        (Target(low=4), "≥ 4", 4.0, 3.9),
        (Target(0.98, 1.02), "0.98 … 1.02", 1.0, 0.97),
    ],
)
def test_targets(target, text, met, missed):
    assert str(target) == text
    assert target.is_met(met) and not target.is_met(missed)


def test_the_results_name_misses_machine_and_peers(tmp_path):
    record = Record(None)
    missed = Outcome(0.85, (0.84, 0.86), 20, GOOD, {"ours": 2.1, "PEFT": 2.5})
    record.add("step_peft_B", missed, MACHINE, VERSIONS, 20)
    record.add("import", Outcome(41.0, (40.0, 42.0), 20), MACHINE, VERSIONS, 20)
    text = results(record)
    table = text.partition("## Measured on")[2]
    line = next(line for line in table.splitlines() if "PEFT on our GPT" in line and "|" in line)
    assert line == (
        "| B: our LoRA step / PEFT on our GPT | 0.850 [0.840, 0.860] | ~0.8 | ≤ 0.82 | **missed** "
        "| 1.000 [0.990, 1.010] | 20 | peft 0.21 |"
    )
    assert "A, 2 cores, 8 GiB of memory, Linux; instructions: avx2. torch 2.13" in text
    assert f"Measured {date.today().isoformat()}." in text
    assert "ours 2100 ms; PEFT 2500 ms" in text
    assert "41 ms [40, 42]" in text
    assert "Not measured here yet: ceiling_fp32" in text


def test_two_machines_get_two_tables():
    record = Record(None)
    record.add("step_peft_B", Outcome(0.7, rounds=20), MACHINE, VERSIONS, 20)
    record.add("step_peft_B", Outcome(0.9, rounds=20), MACHINE | {"processor": "B"}, VERSIONS, 20)
    text = results(record)
    assert text.count("## Measured on") == 2
    assert "| 0.700 |" in text and "| 0.900 |" in text
    assert text.index("A, 2 cores") < text.index("| 0.700 |") < text.index("B, 2 cores")
    today = date.today().isoformat()
    assert f"| what | target | A, AVX2 ({today}) | B, AVX2 ({today}) |" in text
    assert "PEFT on our GPT | ≤ 0.82 | 0.700, met | 0.900, **missed** |" in text


def test_at_a_glance_a_row_of_one_machine_is_a_dash_for_the_other_and_reasons_are_short():
    record = Record(None)
    why = "not measured: this processor is slower in bf16 than in fp32"
    record.add("step_gpt2_B_bf16", Outcome(None, rounds=0, note=why), MACHINE, VERSIONS, 20)
    record.add("import", Outcome(2.0), MACHINE | {"processor": "B"}, VERSIONS, 20)
    lines = results(record).partition("## Measured on")[0].splitlines()
    assert any(line.endswith("bf16 | ≤ 0.7 | not measured | – |") for line in lines)
    assert any(line.endswith("is imported | ≤ 50 | – | 2 ms, met |") for line in lines)
    assert not any("large matrix products" in line for line in lines)  # it has no target


def test_a_row_measured_again_takes_the_place_of_the_same_machines(tmp_path):
    record = Record(tmp_path / "record.json")
    for value, processor in ((0.7, "A"), (0.8, "B"), (0.6, "A")):
        here = MACHINE | {"processor": processor}
        record.add("import", Outcome(value), here, VERSIONS | {"torch": str(value)}, 20)
    again = Record(tmp_path / "record.json")
    found = {one["processor"]: again.rows(one)["import"] for one in again.machines()}
    assert {name: entry["outcome"]["value"] for name, entry in found.items()} == {
        "A": 0.6,
        "B": 0.8,
    }
    assert len(again.entries) == 2


# --- running rows


def race_of(contenders, **options) -> Race:
    return Race(lambda names: {name: contenders[name] for name in names}, Rounds(3), **options)


def test_a_race_shares_rounds_among_rows_and_runs_the_control():
    names = []
    contenders = {
        name: Contender(lambda number, name=name: names.append(name))
        for name in ("ours", "PEFT", "full", f"ours{AGAIN}")
    }
    rows = {
        other: Row("what", "", Target(), race="x", top="ours", bottom=other)
        for other in ("PEFT", "full")
    }
    outcomes = run.run_race(race_of(contenders), rows)
    assert sorted(outcomes) == ["PEFT", "full"]
    assert all(names.count(name) == 2 + 3 for name in contenders)  # warm-up and rounds
    assert outcomes["PEFT"].control == outcomes["full"].control is not None
    assert "only 3 rounds" in outcomes["PEFT"].note
    assert outcomes["PEFT"].doubt == ""


def test_a_race_that_is_in_doubt_says_so_in_all_of_its_rows():
    contenders = {name: Contender(lambda number: None) for name in ("ours", "PEFT", f"ours{AGAIN}")}
    rows = {"row": replace(ROW, race="x")}
    outcomes = run.run_race(race_of(contenders, doubt=lambda: "another task"), rows)
    assert verdict(ROW, outcomes["row"]) == "another task, does not count"


def test_bf16_is_not_measured_where_it_is_slower(monkeypatch):
    monkeypatch.setattr(run, "bf16_pays", lambda: False)
    outcomes = run.run_race(race_of({}, precision="bf16"), {"row": ROW})
    assert outcomes["row"].value is None
    assert "not measured" in verdict(ROW, outcomes["row"])


def test_unequal_losses_are_a_failed_row_and_the_others_go_on(monkeypatch):
    def build(names):
        raise UnequalLosses("after 0 updates the loss of 'ours' is 1 and that of 'PEFT' 2")

    rows = {
        "bad": Row("bad", "", Target(), race="race", top="ours", bottom="PEFT"),
        "good": Row("good", "", Target(), measure=lambda quick: Outcome(1.0)),
    }
    monkeypatch.setattr(run, "ROWS", rows)
    monkeypatch.setattr(run, "RACES", {"race": Race(build, Rounds(2))})
    found = {name: outcome for name, outcome, _ in run.measure(rows)}
    assert found["good"].value == 1.0
    assert found["bad"].value is None
    assert verdict(rows["bad"], found["bad"]).startswith("**failed**: UnequalLosses: after 0")


def test_the_machine_is_described_without_names_and_paths():
    text = str([machine(), versions()])
    assert platform.node() not in text
    assert os.sep not in text.replace("//", "")
    assert machine()["threads"] == torch.get_num_threads()


def test_a_machine_that_is_limited_to_avx2_is_described_so(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert machine()["torch_uses"] == "AVX2"
    assert not [name for name in machine()["instructions"] if "512" in name or "amx" in name]


def test_the_results_say_how_cost_grows():
    growth = {
        "command": "python -m benchmarks.growth",
        "machine": MACHINE,
        "versions": VERSIONS,
        "findings": ["rank. LoRA: 1.7 × the operations", "Memory: as the formula says"],
    }
    text = results(Record(None), growth)
    assert "## How cost grows\n\nMeasured by `python -m benchmarks.growth`: A, 2 cores" in text
    assert "(growth.png)" in text and "(growth_memory.png)" in text
    assert "\n- rank. LoRA: 1.7 × the operations\n- Memory: as the formula says\n" in text
    assert "How cost grows" not in results(Record(None))
