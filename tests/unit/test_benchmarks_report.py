"""What the report says of doubts, of precisions, and of the work that is not equal."""

from __future__ import annotations

import pytest

pytest.importorskip("peft", reason="PEFT is not installed (extra `peers`)")
pytest.importorskip("transformers", reason="transformers is not installed (extra `peers`)")

from support.records import MACHINE, VERSIONS  # noqa: E402

from benchmarks import protocol  # noqa: E402
from benchmarks.protocol import Ratio  # noqa: E402
from benchmarks.record import Outcome, Record  # noqa: E402
from benchmarks.report import HEAD, results  # noqa: E402
from benchmarks.rows import RACES, ROWS  # noqa: E402
from benchmarks.steps import TRAINERS  # noqa: E402

GOOD = (1.0, 0.99, 1.01)


def text_of(**outcomes: Outcome) -> str:
    record = Record(None)
    for name, outcome in outcomes.items():
        record.add(name, outcome, MACHINE, VERSIONS, 20)
    return results(record)


def glance_cell(outcome: Outcome) -> str:
    lines = text_of(step_full_B=outcome).partition("## Measured on")[0].splitlines()
    (line,) = [line for line in lines if ROWS["step_full_B"].what in line]
    return line.split("|")[-2].strip()


@pytest.mark.parametrize(
    ("outcome", "cell"),
    [
        (Outcome(0.724, (0.72, 0.73), 20, GOOD), "0.724, met"),
        (Outcome(0.724, (0.70, 0.75), 20, GOOD), "0.724, met, interval beyond"),
        (Outcome(0.8, (0.70, 0.85), 20, GOOD), "0.800, **missed**"),
        (Outcome(0.724, (0.72, 0.73), 20, (0.99, 0.94, 1.02)), "0.724, control too wide"),
        (Outcome(0.724, (0.72, 0.73), 20, GOOD, doubt="another task"), "0.724, another task"),
    ],
)
def test_at_a_glance_doubts_stay(outcome, cell):
    assert glance_cell(outcome) == cell


def test_at_a_glance_all_days_of_a_machine_are_named():
    record = Record(None)
    for name, day in (("step_full_B", "2026-11-26"), ("import", "2026-11-24")):
        record.add(name, Outcome(0.7, rounds=20), MACHINE, VERSIONS, 20)
        record.entries[-1]["date"] = day
    assert "| what | target | A, AVX2 (2026-11-24 and 2026-11-26) |" in results(record)


def test_the_bound_of_the_control_is_one_number_and_the_head_names_it(monkeypatch):
    assert "lie within 0.95 … 1.05" in HEAD
    assert Ratio(1.0, 0.96, 1.04).is_narrow()
    monkeypatch.setattr(protocol, "CONTROL_BOUND", 0.03)
    assert not Ratio(1.0, 0.96, 1.01).is_narrow() and not Ratio(1.0, 0.99, 1.04).is_narrow()


def bf16_detail(ours: float, theirs: float) -> str:
    """The line on S in bf16, where fp32 took 54 and 72 ms."""
    pair = ROWS["step_gpt2_S"].top, ROWS["step_gpt2_S"].bottom
    text = text_of(
        step_gpt2_S=Outcome(0.75, (0.7, 0.8), 20, GOOD, dict(zip(pair, (0.054, 0.072)))),
        step_gpt2_S_bf16=Outcome(0.6, (0.5, 0.7), 20, GOOD, dict(zip(pair, (ours, theirs)))),
    )
    lines = [line for line in text.splitlines() if line.startswith("- S: ")]
    return next(line for line in lines if ROWS["step_gpt2_S_bf16"].what in line)


def test_a_row_in_bf16_says_that_both_are_slower_than_in_fp32():
    line = bf16_detail(0.060, 0.1)
    assert "both are slower in bf16, so nobody would use it here" in line
    assert "in fp32: ours, one A 54 ms; PEFT on GPT-2 72 ms" in line
    assert line.endswith("best of ours / best of theirs, of medians: 0.750.")


def test_where_bf16_helps_one_of_them_each_takes_its_best():
    line = bf16_detail(0.036, 0.1)
    assert "slower in bf16" not in line
    assert line.endswith("best of ours / best of theirs, of medians: 0.500.")


def test_without_a_time_in_fp32_nothing_is_said_of_it():
    seconds = {"ours, one A": 0.06, "PEFT on GPT-2": 0.1}
    text = text_of(step_gpt2_S_bf16=Outcome(0.6, (0.5, 0.7), 20, GOOD, seconds))
    assert "in fp32:" not in text and "ours, one A 60 ms" in text


def test_rows_in_bf16_point_to_the_same_in_fp32():
    found = {name: row for name, row in ROWS.items() if row.race.endswith("bf16")}
    assert found
    for row in found.values():
        exact = ROWS[row.fp32]
        assert row.race == f"{exact.race}, bf16" and row.top == exact.top
        assert row.bottom.partition(",")[0] == exact.bottom


def test_every_row_over_a_peer_with_a_whole_last_block_has_one_without_our_shortcut():
    rows = [row for row in ROWS.values() if row.bottom in ("PEFT on GPT-2", "appendix")]
    aimed = [row for row in rows if row.race.startswith("steps") and str(row.target) != "–"]
    assert len(aimed) == 5
    for row in aimed:
        (other,) = [
            other
            for other in rows
            if (other.race, other.bottom) == (row.race, row.bottom)
            and other.top == f"{row.top}, all tokens"
        ]
        assert str(other.target) == "–" and "our last block for all tokens too" in other.what
    assert "equal results, unequal work" in HEAD


def test_contenders_of_rows_over_steps_exist():
    for row in ROWS.values():
        assert not row.race or row.race in RACES
        if row.race.startswith("steps"):
            assert {row.top, row.bottom} <= TRAINERS.keys()
