"""Notebook 03's checkers: right answers pass, each misconception gets its own message."""

import pytest
import torch
from support.exercises import assert_each_has_its_own_message, assert_not_tried_yet, assert_passes

from lora_edu.budget.parameters import count_parameters
from lora_edu.exercises import check, exercises
from lora_edu.exercises import nb03_answers as answers
from lora_edu.exercises.nb03_answers import TINY
from lora_edu.gpt import GPT
from lora_edu.lora import freeze, replace_linear_with_lora

# Words of the message that the wrong answers of an exercise get, in the order of the answers.
MESSAGES = {
    "03.targets": [
        "'attention' is a group of layers",
        "a regular expression",
        "the MLP's do not",
        "in the blocks 0, 1, 2, 3, 4, 5",
        "in block 5 only",
        "4 layers match, 8 are asked for",
        "'block.5.attention.*' matches no layer",
        "Counting starts at 0: there is no block 6",
        "There is no block 6: counting",
        "Braces are not known",
    ],
    "03.replace": [
        "call the function again on that child",
        "setattr(module, name, ...)",
        "a changed copy",
        "it also wrapped fc_in",
        "It never ends",
        "a wrapper inside a wrapper",
        "10 layers are wrapped, 12 should be",
        "the pretrained weights are lost",
        "also in the recursive call",
        "You kept scaling= from the example",
        "with targets {'key'} it wrapped query",
        "only if it is an nn.Linear",
        "'key' is not 'key_norm'",
        "in a group named key is missed",
        "`return` inside the loop",
        "an attribute called *name*",
        "takes a name, not a path",
        "calls itself on the same module",
    ],
    "03.order": [
        "freezes nothing",
        "A and B are there too",
        "made after the freezing",
        "'only A' is none of them",
        "Keep the dict",
    ],
    "03.snapshot": [
        "the model's own memory",
        "Return a dict",
        "The frozen tensors are the ones to watch",
        "lists a tied tensor once and leaves out buffers",
        "Keep tensors",
        "Keep whole tensors",
        "not equal to the tensors",
    ],
    "03.backward": [
        "Frozen does not mean that no gradient passes",
        "you list all",
        "starts at the loss",
        "the lowest adapted block is missing",
        "you stop at the highest adapter",
        "leave out the blocks above the highest",
        "it need not be the lowest",
        "you listed [0]",
    ],
}
TASKS = {task.name: task for task in exercises("03")}


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


def test_functions_and_dictionaries_with_a_blank_left_are_not_tried_yet():
    def replace(module, rank, alpha, targets):
        for name, child in module.named_children():
            if name in targets:
                ...
            else:
                replace(child, rank, alpha, targets)

    def snapshot(model):
        return {name: ... for name, tensor in model.state_dict().items()}

    def passed(adapted, n_layer):
        return list(range(..., n_layer))

    assert check("03.replace", replace).state == "not tried"
    assert check("03.snapshot", snapshot).state == "not tried"
    assert check("03.backward", passed).state == "not tried"
    assert check("03.order", dict.fromkeys(answers.ORDER, ...)).state == "not tried"


def what_learns(model: GPT) -> str:
    """Names the trainable part of a model, by looking at it."""
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    adapters = {name for name, _ in model.named_parameters() if name.endswith((".A", ".B"))}
    if not learning:
        return "nothing"
    return "A and B" if learning == adapters else "everything"


def test_the_right_order_is_what_the_functions_do():
    found = {}
    for order in answers.ORDER:
        model = GPT(TINY)
        for step in order.removesuffix(" only").split(", "):
            if step == "freeze":
                freeze(model)
            else:
                replace_linear_with_lora(model, rank=2, alpha=2, targets=["query", "value"])
        found[order] = what_learns(model)
        assert (count_parameters(model).trainable > 0) == (found[order] != "nothing")
    assert found == answers.ORDER


def test_the_right_blocks_are_where_a_gradient_arrives():
    for adapted in ([2], [1, 4], [5]):
        model = GPT(TINY)
        freeze(model)
        replace_linear_with_lora(model, 2, 2, targets=[f"blocks.{i}.*" for i in adapted])
        x = model.token_embedding(torch.arange(4)[None])
        outputs = [x := block(x) for block in model.blocks]
        entered = [i for i, output in enumerate(outputs) if output.requires_grad]
        for i in entered:
            outputs[i].retain_grad()
        outputs[-1].square().sum().backward()
        assert all(outputs[i].grad.any() for i in entered)
        assert entered == answers.RIGHT_PASSED[0](adapted, TINY.n_layer)
