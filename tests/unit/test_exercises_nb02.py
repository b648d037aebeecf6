"""Notebook 02's checkers: right answers pass, each misconception gets its own message."""

import pytest
import torch
from support.exercises import assert_each_has_its_own_message, assert_not_tried_yet, assert_passes
from torch import nn

from lora_edu.exercises import check, exercises
from lora_edu.exercises import nb02_answers as answers

# Words of the message that the wrong answers of an exercise get, in the order of the answers.
MESSAGES = {
    "02.lora_layer": [
        "both random",
        "both zero",
        "other way round",
        "as PEFT does",
        "reach",
        "alpha / rank",
        "alpha is missing",
        "alpha is applied twice",
        "must both be nn.Parameter",
        "must both learn",
        "No gradient reaches A and B",
        "forward returned None: is the return missing?",
        "the update alone",
        "is (8, 8)",
        "the paper's shapes",
    ],
    "02.linear_with_lora": [
        "W itself is not factorised",
        "does not reach the output",
        "forward must return",
        "the pretrained ones are lost",
        "got (6, 3)",
        "got (5, 2)",
        "without alpha",
        "LoRALayer applies alpha already",
        "beside the layer, not behind it",
        "forward returned None: is the return missing?",
        "does not pass through linear(x)",
        "must not detach the update",
        "self.linear and self.lora",
        "freezes the layer that it is given",
    ],
    "02.gradient_at_start": [
        "W is frozen",
        "Not both",
        "That is the usual start",
        "nothing would ever move",
        "without quotation marks",
    ],
    "02.scaling": [
        "You multiplied by alpha, the paper divides it by the rank",
        "You swapped two",
        "You multiplied by the rank",
        "Upside down",
        "alpha 24 and rank 4 give 6.",
        "by the square root of the rank",
        "of the rank alone, not of alpha / rank",
        "You multiplied by the root of the rank",
        "alpha 24 and rank 4 give 12",
        "alpha 16 and rank 10 it must be 1.6",
        "alpha itself, whatever the rank",
        "where half the rank is its root",
    ],
    "02.translate": [
        "8 times too strong",
        "from the reference to PEFT",
        "rsLoRA's rule",
        "by itself",
    ],
    "02.merge": [
        "A transpose is missing",
        "The multiplier is missing",
        "the update alone",
        "For the same x, F.linear(x, merged, bias)",
        "You divided by the rank",
        "Return it shaped like linear.weight",
        "changed linear.weight",
    ],
    "02.another_pair": [
        "the same A and B",
        "The product changed",
        "Keep the shapes",
        "Return two",
        "You changed the A and B",
    ],
    "02.elbow": [
        "the lowest loss",
        "the largest single gain",
        "a position in the list",
        "narrower than the chance",
        "8.0 times the lowest",
        "4.0 times the lowest",
        "Return one rank",
        "you found 5",
    ],
}
TASKS = {task.name: task for task in exercises("02")}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


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


def test_classes_with_a_blank_left_are_not_tried_yet():
    class LoRALayer(nn.Module):
        def __init__(self, in_dim, out_dim, rank, alpha):
            super().__init__()
            self.A = nn.Parameter(torch.empty(in_dim, rank))
            self.B = ...

        def forward(self, x):
            return x @ self.A @ self.B

    for name in ("02.lora_layer", "02.linear_with_lora"):
        assert check(name, LoRALayer).state == "not tried"


def test_dictionaries_and_functions_with_a_blank_left_are_not_tried_yet():
    assert check("02.gradient_at_start", {"W": ..., "A": ..., "B": ...}).state == "not tried"

    def scale(alpha, rank, scaling):
        return alpha if scaling == "alpha" else ...

    assert check("02.scaling", scale).state == "not tried"


def test_the_verdict_does_not_depend_on_the_seed():
    for seed in range(20):
        torch.manual_seed(seed)
        assert all(check("02.lora_layer", answer).passed for answer in answers.RIGHT_LAYERS)
        assert all(check("02.another_pair", answer).passed for answer in answers.RIGHT_PAIRS)
