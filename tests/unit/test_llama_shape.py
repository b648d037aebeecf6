"""Budget and mixed batches of a language model of transformers, of Llama's shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip("transformers", reason="transformers is not installed (extra `llm`)")

from tiny_llm import TARGETS, save_tiny_llm  # noqa: E402
from transformers import LlamaConfig  # noqa: E402

from lora_edu.adapters import Adapter, MixedAdapters, attach, detach  # noqa: E402
from lora_edu.budget import (  # noqa: E402
    activation_bytes,
    count_parameters,
    kept_bytes,
    llama_shape,
    lora_parameters,
    memory_budget,
)
from lora_edu.datasets import Batches, Row  # noqa: E402
from lora_edu.generation import generate  # noqa: E402
from lora_edu.lora import freeze, replace_linear_with_lora  # noqa: E402
from lora_edu.pretrained import load_llm  # noqa: E402
from lora_edu.targets import find_targets, linear_shape  # noqa: E402
from lora_edu.training import next_token_loss  # noqa: E402

NAMES = dict(
    zip(
        (*TARGETS, "lm_head"),
        ("query", "key", "value", "out", "gate", "fc_in", "fc_out", "head"),
        strict=True,
    )
)
SETS = [["q_proj"], ["q_proj", "v_proj"], ["gate_proj", "down_proj"], list(TARGETS), [*NAMES]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    folder = tmp_path_factory.mktemp("llama")
    return {tied: save_tiny_llm(folder / str(tied), tied=tied) for tied in (True, False)}


@pytest.fixture
def load(folders: dict[bool, Path]) -> Callable[..., nn.Module]:
    return lambda tied=True: load_llm(folders[tied])[0]


# --- budget -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
def test_all_parameters_are_counted(load, tied: bool) -> None:  # noqa: ANN001
    model = load(tied)
    assert llama_shape(model.config).parameters == count_parameters(model).total


@pytest.mark.parametrize("targets", SETS)
def test_loras_parameters_are_counted(load, targets: list[str]) -> None:  # noqa: ANN001
    model = load()
    counted = lora_parameters(llama_shape(model.config), 3, [NAMES[name] for name in targets])
    freeze(model)
    replace_linear_with_lora(model, 3, 6, targets=targets)
    assert count_parameters(model).trainable == counted


def test_a_classifier_has_a_head_of_its_own(load) -> None:  # noqa: ANN001
    model = load()
    shape = llama_shape(model.config).with_classifier(2)
    model.set_output_embeddings(nn.Linear(shape.n_embd, 2))
    assert shape.parameters == count_parameters(model).total


def train_on(model: nn.Module, targets: list[str] | None) -> list[str]:
    """Wraps targets at rank 3, or trains all; returns the budget's names of what learns."""
    if targets is None:
        return list(NAMES.values())
    freeze(model)
    replace_linear_with_lora(model, 3, 6, targets=targets)
    return [NAMES[name] for name in targets]


@pytest.mark.parametrize("targets", [*SETS[:-1], None])
def test_activations_are_those_autograd_keeps_to_a_fifth(load, targets) -> None:  # noqa: ANN001
    model = load()
    learning = train_on(model, targets)
    sizes = {"batch_size": 2, "length_tokens": 64, "number_bytes": 4}
    rank = 0 if targets is None else 3
    counted = activation_bytes(llama_shape(model.config), learning, rank=rank, **sizes)
    (batch,) = Batches([Row([7] * 64, [7] * 64)] * 2, 2).epoch(0)
    assert kept_bytes(model, batch, next_token_loss) == pytest.approx(counted, rel=0.2)


@pytest.mark.parametrize("tied", [True, False])
def test_weights_gradients_and_optimizer_are_counted_to_the_byte(load, tied: bool) -> None:  # noqa: ANN001
    model = load(tied)
    learning = train_on(model, ["q_proj", "down_proj"])
    budget = memory_budget(
        llama_shape(model.config),
        "lora",
        rank=3,
        targets=learning,
        storage="float32",
        length_tokens=8,
    )
    total, trainable = count_parameters(model)
    assert budget.weights_bytes == 4 * total
    assert budget.gradients_bytes == 4 * trainable
    assert budget.optimizer_bytes == 8 * trainable


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"attention_bias": True}, "attention_bias is True"),
        ({"mlp_bias": True}, "mlp_bias is True"),
        ({"head_dim": 64}, "head_dim is 64, but this shape knows 128 alone"),
    ],
)
def test_a_llama_of_other_numbers_is_refused(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        llama_shape(LlamaConfig(**change))


def test_another_model_is_refused() -> None:
    config = LlamaConfig()
    config.model_type = "qwen3"
    with pytest.raises(ValueError, match="'llama' or 'mistral', got 'qwen3'"):
        llama_shape(config)


# --- a batch with several adapters ----------------------------------------------------------------


def adapters(model: nn.Module) -> dict[str, Adapter]:
    """Three adapters of different ranks, multipliers and layers."""
    generator = torch.Generator().manual_seed(1)
    found = {}
    for name, (rank, scaling, targets) in {
        "all": (3, "alpha/rank", TARGETS),
        "attention": (1, "alpha", ("q_proj", "v_proj")),
        "mlp": (4, "alpha/sqrt(rank)", ("gate_proj", "down_proj")),
    }.items():
        matrices = {}
        for layer in find_targets(model, targets):
            n_in, n_out = linear_shape(model.get_submodule(layer))
            a = torch.randn(n_in, rank, generator=generator) / 3
            matrices[layer] = (a, torch.randn(rank, n_out, generator=generator) / 3)
        found[name] = Adapter(rank, 1.5, scaling, matrices)
    return found


ROWS = ["mlp", None, "all", "attention", "all"]


@torch.no_grad()
def test_each_row_is_its_adapter_run_alone(load) -> None:  # noqa: ANN001
    model = load()
    known = adapters(model)
    ids = torch.randint(2, 258, (len(ROWS), 9), generator=torch.Generator().manual_seed(2))
    on_base = model(ids).logits
    with MixedAdapters(model, known).rows(ROWS):
        mixed = model(ids).logits
    for number, name in enumerate(ROWS):
        if name is not None:
            attach(model, known[name])
        alone = model(ids[number : number + 1]).logits[0]
        torch.testing.assert_close(mixed[number], alone, rtol=0, atol=1e-4)
        if name is not None:
            assert (alone - on_base[number]).abs().max() > 0.1
            detach(model)
    assert torch.equal(model(ids).logits, on_base)


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_mixed_batch_writes_what_each_row_writes_alone(load, use_cache: bool) -> None:  # noqa: ANN001
    model = load()
    known = adapters(model)
    prompts = [[5, 6, 7], [8, 9], [10, 11, 12, 13], [5, 6, 7], [20]]
    longest = max(map(len, prompts))
    padded = torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts])
    lengths = [len(prompt) for prompt in prompts]
    with MixedAdapters(model, known).rows(ROWS):
        mixed = generate(model, padded, 8, lengths=lengths, use_cache=use_cache)
    for row, prompt, name in zip(mixed, prompts, ROWS, strict=True):
        if name is not None:
            attach(model, known[name])
        alone = generate(model, torch.tensor([prompt]), 8)[0]
        assert torch.equal(row[: len(alone)], alone)
        if name is not None:
            detach(model)
