"""Notebook 07's checkers: right answers pass, each misconception gets its own message."""

import pytest
import torch
from support.exercises import assert_each_has_its_own_message, assert_not_tried_yet, assert_passes
from torch import nn

from lora_edu.exercises import exercises
from lora_edu.exercises import nb07_answers as answers
from lora_edu.lora import LinearWithLoRA

# Words of the message that the wrong answers of an exercise get, in the order of the answers.
MESSAGES = {
    "07.mistakes": [
        "no A and no B takes part",
        "in it twice",
        "What else was trained for the classes",
        "only guesses lacks the layer",
        "an update must be in the weights themselves",
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
        "they meet at the rank",
        "You divided by the rank",
        "`*` multiplies entry by entry",
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
        "is not the sum of the updates",
        "the sum of the two updates",
        "halved both A and B",
        "Each A must meet its own B",
        "one matrix of 42 numbers",
        "it is the rank that grows",
        "takes no part",
        "Half the sum of the A",
        "2 + 2 are enough",
    ],
}
TASKS = {task.name: task for task in exercises("07")}


def test_the_exercises_come_in_the_order_of_the_notebook():
    assert list(TASKS) == list(MESSAGES)


@pytest.mark.parametrize(
    ("name", "answer"), [(name, answer) for name in TASKS for answer in TASKS[name].right]
)
def test_a_right_answer_passes(name, answer):
    assert_passes(name, answer)


@pytest.mark.parametrize("name", TASKS)
def test_each_known_wrong_answer_gets_its_own_message(name):
    assert_each_has_its_own_message(name, TASKS[name].wrong, MESSAGES[name])


@pytest.mark.parametrize("name", TASKS)
def test_an_untouched_blank_is_not_tried_yet(name):
    assert_not_tried_yet(name)


def test_the_right_merge_is_what_a_layer_does():
    layer = LinearWithLoRA(nn.Linear(5, 3), rank=2, alpha=3.0)
    nn.init.normal_(layer.lora.B)
    wanted = answers.RIGHT_MERGES[0](layer.linear.weight, layer.lora.A, layer.lora.B, 3.0)
    layer.merge()
    torch.testing.assert_close(layer.linear.weight, wanted)
