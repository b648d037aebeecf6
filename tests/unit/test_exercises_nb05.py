"""Notebook 05's checkers: right answers pass, each misconception gets its own message."""

from __future__ import annotations

import pytest

from lora_edu.exercises import check, exercises

# Words of the message that the wrong answers of an exercise get, in the order of the answers.
MESSAGES = {
    "05.f1": [
        "That is accuracy",
        "the F1 of ham",
        "The factor 2 above the line is missing",
        "counts twice, above the line and below",
        "divide by zero",
        "That is precision",
        "That is recall",
        "not the plain mean",
        "With 1 right alarm",
        "neither spam nor an alarm you divide",
    ],
    "05.work": [
        "Frozen does not mean no backward pass",
        "One third is saved",
        "does two things in each layer",
        "Without cached features",
        "need not travel back",
        "does not shrink with the number of trainable parameters",
        "For full fine-tuning: forward 1",
    ],
    "05.share": [
        "leaves out the thin products",
        "the share of the trained numbers",
        "a layer of d inputs and d outputs",
        "have three stages too",
        "You counted one wide product",
        "You counted three wide products",
        "turn the fraction round",
        "in per cent",
        "adds up to 12 d²",
        "use the arguments",
    ],
    "05.choose": [
        "by test accuracy",
        "the lowest test accuracy",
        "by training loss",
        "the highest training loss",
        "the highest validation loss",
        "returned the whole run",
        "returned the loss itself",
        "the run's place in the list",
        "Compare the runs by validation loss",
        "With other runs it fails",
    ],
    "05.half_width": [
        "one standard error",
        "the whole width",
        "does not shrink with the number of messages",
        "That is a variance",
        "belongs under the square root",
        "in per cent",
        "A single number is not exact",
        "The spread of one answer",
        "the ends of the interval",
        "use both arguments",
    ],
}
TASKS = {task.name: task for task in exercises("05")}


def test_every_exercise_is_covered():
    assert set(TASKS) == set(MESSAGES)


@pytest.mark.parametrize("name", MESSAGES)
def test_right_answers_pass(name):
    for answer in TASKS[name].right:
        assert check(name, answer).passed, check(name, answer)


@pytest.mark.parametrize("name", MESSAGES)
def test_each_wrong_answer_gets_its_own_message(name):
    wrong = TASKS[name].wrong
    assert len(wrong) == len(MESSAGES[name])
    for answer, words in zip(wrong, MESSAGES[name], strict=True):
        verdict = check(name, answer)
        assert verdict.state == "wrong"
        assert words in verdict.message


@pytest.mark.parametrize("name", MESSAGES)
def test_a_blank_is_not_tried(name):
    assert check(name).state == "not tried"


def test_choosing_whatever_comes_first_is_caught_even_when_lucky():
    verdict = check("05.choose", lambda runs: runs[3]["lr"])
    assert verdict.message == "The order of the runs must not matter."


def test_an_alarm_where_there_is_no_spam_is_not_rewarded():
    verdict = check("05.f1", lambda labels, predicted: 0.4)
    assert "never says spam has F1 0" in verdict.message
