"""Notebook 07's checkers: right answers pass, each misconception gets its own message."""

import pytest
import torch
from torch import nn

from lora_edu.exercises import check, exercises
from lora_edu.exercises import nb07_answers as answers
from lora_edu.lora import LinearWithLoRA

# Words of the message that the wrong answers of an exercise get, in the order of the answers.
MESSAGES = {
    "07.mistakes": [
        "no A and no B takes part",
        "twice as much, not never",
        "What else was trained for the classes",
        "only guesses lacks the layer",
        "has not doubled",
        "'strength 1' is none of them",
        "Keep the dict",
    ],
    "07.merge": [
        "stores its weight as (out, in), here (3, 5)",
        "The multiplier is missing",
        "the update alone",
        "You subtracted",
        "the weight keeps its size",
        "wrote into the weight",
        "in it twice",
        "no update is in it",
    ],
    "07.bytes": [
        "store the base again",
        "a whole model for every task",
        "the base is missing",
        "one adapter, whatever the number",
        "yours gives 1013",
    ],
    "07.blend": [
        "is not averaging the updates",
        "the sum of the two updates",
        "halved both A and B",
        "Each A must meet its own B",
        "one matrix of 42 numbers",
        "it is the rank that grows",
        "takes no part",
    ],
}
TASKS = {task.name: task for task in exercises("07")}


def flat(text: object) -> str:
    """Undoes the line breaks of a verdict."""
    return " ".join(str(text).split())


def test_the_exercises_come_in_the_order_of_the_notebook():
    assert list(TASKS) == list(MESSAGES)


@pytest.mark.parametrize(
    ("name", "answer"), [(name, answer) for name in TASKS for answer in TASKS[name].right]
)
def test_a_right_answer_passes(name, answer):
    verdict = check(name, answer)
    assert verdict.passed, verdict


@pytest.mark.parametrize("name", TASKS)
def test_each_known_wrong_answer_gets_its_own_message(name):
    verdicts = [check(name, answer) for answer in TASKS[name].wrong]
    assert [verdict.state for verdict in verdicts] == ["wrong"] * len(MESSAGES[name])
    for verdict, words in zip(verdicts, MESSAGES[name], strict=True):
        assert words in flat(verdict), verdict
    assert len({verdict.message for verdict in verdicts}) == len(verdicts)


@pytest.mark.parametrize("name", TASKS)
def test_an_untouched_blank_is_not_tried_yet(name):
    assert flat(check(name)) == f"○ {name}: not tried yet."


def test_the_right_merge_is_what_a_layer_does():
    layer = LinearWithLoRA(nn.Linear(5, 3), rank=2, alpha=3.0)
    nn.init.normal_(layer.lora.B)
    wanted = answers.RIGHT_MERGES[0](layer.linear.weight, layer.lora.A, layer.lora.B, 3.0)
    layer.merge()
    torch.testing.assert_close(layer.linear.weight, wanted)
