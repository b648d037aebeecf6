"""Notebook 00's checkers: right answers pass, and each known mistake gets its own message."""

from __future__ import annotations

import pytest

from lora_edu.adapters.attachment import load_adapter
from lora_edu.exercises import check, exercises
from lora_edu.exercises.first_look import ALPHA, LAYERS, RANK
from lora_edu.files import data_path

EXERCISES = exercises("00")


@pytest.mark.parametrize("task", EXERCISES, ids=lambda task: task.name)
def test_every_right_answer_passes(task):
    for answer in task.right:
        assert check(task.name, answer).passed, check(task.name, answer)


@pytest.mark.parametrize("task", EXERCISES, ids=lambda task: task.name)
def test_every_wrong_answer_gets_its_own_message(task):
    verdicts = [check(task.name, answer) for answer in task.wrong]
    assert {verdict.state for verdict in verdicts} == {"wrong"}
    messages = [verdict.message for verdict in verdicts]
    assert len(set(messages)) == len(messages)


@pytest.mark.parametrize(
    ("name", "answer", "misconception"),
    [
        ("00.first", 16, "alpha"),
        ("00.first", 192, "width of the base"),
        (
            "00.true_or_false",
            {"forgotten": True, "inside": False, "zero": True, "free": False},
            "the base has not forgotten",
        ),
        (
            "00.true_or_false",
            {"forgotten": False, "inside": False, "zero": True, "free": True},
            "only merged",
        ),
        ("00.fit", lambda base_bytes, adapter_bytes: adapter_bytes / base_bytes, "divided the ad"),
        ("00.flip", lambda strengths, holds: 0.5, "half the strength"),
        ("00.flip", lambda strengths, holds: strengths[0], "condition reversed"),
    ],
)
def test_the_misconception_is_named(name, answer, misconception):
    assert misconception in check(name, answer).message


@pytest.mark.parametrize("task", EXERCISES, ids=lambda task: task.name)
def test_an_untouched_answer_is_not_tried(task):
    assert check(task.name, ...).state == "not tried"


def test_a_dict_with_a_blank_left_is_not_tried():
    answer = {"forgotten": False, "inside": ..., "zero": True, "free": False}
    assert check("00.true_or_false", answer).state == "not tried"


def test_the_numbers_are_those_of_the_shipped_adapter():
    tales = load_adapter(data_path("adapters", "tales"))
    assert (tales.rank, tales.alpha, len(tales.matrices)) == (RANK, ALPHA, LAYERS)
