"""What the exercises take for right is what the package and its models really do."""

from __future__ import annotations

import copy

import pytest
import torch
from samples import adapter_files, freezing, preparing, tokens
from torch import nn

from lora_edu.adapters.saving import load_adapter
from lora_edu.budget.parameters import count_parameters, lora_parameters
from lora_edu.budget.shapes import MODEL_SHAPES
from lora_edu.datasets.batching import generation_rows, prompt
from lora_edu.datasets.sets import load_menu
from lora_edu.exercises import check, parameters
from lora_edu.exercises.first_look import ALPHA, LAYERS, RANK
from lora_edu.exercises.trials import TINY
from lora_edu.files import data_path
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import LinearWithLoRA, freeze, lora_layers, replace_linear_with_lora
from lora_edu.pretrained.tokenizer import load_tokenizer
from lora_edu.tasks import prepare_classifier

LLAMA = MODEL_SHAPES["Llama 3 8B"]
IN_BLOCKS = [p.target for p in LLAMA.projections if p.target != "head"]


def test_the_numbers_are_those_of_the_shipped_adapter() -> None:
    tales = load_adapter(data_path("adapters", "tales"))
    assert (tales.rank, tales.alpha, len(tales.matrices)) == (RANK, ALPHA, LAYERS)


def what_learns(model: GPT) -> str:
    """Names the trainable part of a model, by looking at it."""
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    adapters = {name for name, _ in model.named_parameters() if name.endswith((".A", ".B"))}
    if not learning:
        return "nothing"
    return "A and B" if learning == adapters else "everything"


def test_the_right_order_is_what_the_functions_do() -> None:
    found = {}
    for order in freezing.ORDER:
        model = GPT(TINY)
        for step in order.removesuffix(" only").split(", "):
            if step == "freeze":
                freeze(model)
            else:
                replace_linear_with_lora(model, rank=2, alpha=2, targets=["query", "value"])
        found[order] = what_learns(model)
        assert (count_parameters(model).trainable > 0) == (found[order] != "nothing")
    assert found == freezing.ORDER


def test_the_right_blocks_are_where_a_gradient_arrives() -> None:
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
        assert entered == freezing.blocks_entered(adapted, TINY.n_layer)


def first_rank_above_a_hundredth(targets: list[str]) -> int:
    ranks = [2**power for power in range(14)]
    return next(r for r in ranks if lora_parameters(LLAMA, r, targets) > 0.01 * LLAMA.parameters)


def test_the_answer_read_off_the_explorer_is_the_formulas() -> None:
    assert lora_parameters(LLAMA, 1, IN_BLOCKS) == parameters._PER_RANK
    assert LLAMA.parameters == parameters._LLAMA_3_8B
    assert check("04.explorer", first_rank_above_a_hundredth(IN_BLOCKS)).passed


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        (["gate"], "one to four of the seven kinds missing"),
        (["gate", "fc_in", "fc_out"], "not ticked"),
        (["key", "out", "gate", "fc_in", "fc_out"], "not ticked"),
    ],
)
def test_ticks_forgotten_in_the_explorer_are_named(left_out: list[str], words: str) -> None:
    ticked = [target for target in IN_BLOCKS if target not in left_out]
    assert words in check("04.explorer", first_rank_above_a_hundredth(ticked)).message


def test_the_masks_of_the_course_and_of_the_exercise_are_the_same() -> None:
    encoding, pair = load_tokenizer("mini"), load_menu().train[0]
    ids = encoding.encode_ordinary(prompt(pair.meaning)), encoding.encode_ordinary(pair.sentence)
    (row,) = generation_rows([pair], encoding, 256)
    assert tokens.targets(*ids, encoding.eot_token) == row.target


def test_the_right_merge_is_what_a_layer_does() -> None:
    layer = LinearWithLoRA(nn.Linear(5, 3), rank=2, alpha=3.0)
    nn.init.normal_(layer.lora.B)
    wanted = adapter_files.merged(layer.linear.weight, layer.lora.A, layer.lora.B, 3.0)
    layer.merge()
    torch.testing.assert_close(layer.linear.weight, wanted)


@pytest.mark.parametrize("answer", preparing.SAMPLES["05.prepare"].right)
def test_a_prepared_classifier_drawn_anew_starts_as_the_recorded_runs(answer) -> None:
    """The notebook draws A and the head anew, so the order of the learner's lines is free."""
    config = GPTConfig(vocab_size=11, context_length=4, n_layer=2, n_head=2, n_embd=16)
    torch.manual_seed(1)
    model = GPT(config)
    recorded = copy.deepcopy(model)
    prepare_classifier(recorded, "lora", seed=0)
    answer(model)
    torch.manual_seed(0)
    for part in (*(layer.lora for layer in lora_layers(model).values()), model.head):
        part.reset_parameters()
    torch.testing.assert_close(model.state_dict(), recorded.state_dict(), rtol=0, atol=0)
