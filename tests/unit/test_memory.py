"""The memory budget: its activations are those autograd keeps, its totals those papers report."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from lora_edu.budget.memory import (
    GPUS_BYTES,
    NF4_BITS,
    activation_bytes,
    block_activations,
    memory_budget,
)
from lora_edu.budget.shapes import MODEL_SHAPES, TARGETS, gpt_shape
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze, replace_linear_with_lora

CONFIG = GPTConfig(vocab_size=11, context_length=64, n_layer=3, n_head=4, n_embd=64)
SHAPE = gpt_shape(CONFIG)
GPT_TARGETS = [target for target in TARGETS if target != "gate"]
IN_BLOCKS = [target for target in TARGETS if target != "head"]
BATCH, LENGTH, RANK = 2, 64, 3


def saved_bytes(model: torch.nn.Module, run: Callable[[], object]) -> int:
    """Bytes of all different storages autograd keeps, parameters and token ids left out."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}
    alive = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if tensor.is_floating_point() and storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(kept.values())


def next_token_loss(model: GPT) -> torch.Tensor:
    ids = torch.zeros(BATCH, LENGTH, dtype=torch.long)
    return F.cross_entropy(model(ids).flatten(0, 1), ids.flatten())


@pytest.mark.parametrize(
    "targets", [None, ["query", "value"], ["query"], ["fc_in"], ["fc_out"], GPT_TARGETS[:-1]]
)
def test_activations_are_those_autograd_keeps(targets: list[str] | None) -> None:
    torch.manual_seed(0)
    model = GPT(CONFIG)
    if targets is not None:
        freeze(model)
        replace_linear_with_lora(model, RANK, alpha=1.0, targets=targets)
    counted = activation_bytes(
        SHAPE,
        GPT_TARGETS if targets is None else targets,
        batch_size=BATCH,
        length_tokens=LENGTH,
        rank=0 if targets is None else RANK,
        number_bytes=4,
    )
    kept = saved_bytes(model, lambda: next_token_loss(model))
    # Not counted: mean and deviation of each norm, and one number for the loss. Counted, but not
    # kept by an adapted model: what its first block needs only to send the error further down.
    statistics = 4 * BATCH * LENGTH * 2 * (2 * CONFIG.n_layer + 1) + 4
    first_block = 0 if targets is None else 4 * BATCH * LENGTH * block_activations(SHAPE, [])
    assert counted - first_block <= kept <= counted + statistics
    if targets is None:
        assert kept == counted + statistics


@pytest.mark.parametrize("method", ["full", "lora"])
def test_under_autocast_activations_are_those_autograd_keeps(method: str) -> None:
    torch.manual_seed(0)
    model = GPT(CONFIG)
    if method == "lora":
        freeze(model)
        replace_linear_with_lora(model, RANK, alpha=1.0, targets=GPT_TARGETS[:-1])
    sizes = {"batch_size": BATCH, "length_tokens": LENGTH, "rank": RANK, "storage": "mixed"}
    counted = memory_budget(SHAPE, method, targets=GPT_TARGETS[:-1], **sizes).activations_bytes
    with torch.autocast("cpu", torch.bfloat16):
        kept = saved_bytes(model, lambda: next_token_loss(model))
    plain = activation_bytes(SHAPE, GPT_TARGETS[:-1], batch_size=BATCH, length_tokens=LENGTH)
    assert kept > 1.25 * plain  # what is rounded on the way in is kept as well
    assert counted == pytest.approx(kept, rel=0.06)


def test_a_quantized_weight_has_no_rounded_copy() -> None:
    sizes = {"storage": "mixed", "length_tokens": 1, "targets": GPT_TARGETS[:-1]}
    lora, qlora = (memory_budget(SHAPE, method, **sizes) for method in ("lora", "qlora"))
    assert lora.activations_bytes - qlora.activations_bytes == 2 * 3 * 12 * 64 * 64


@pytest.mark.parametrize("targets", [["query"], ["query", "value"], GPT_TARGETS[:-1]])
def test_each_rank_more_keeps_one_number_more_a_token_and_adapter(targets: list[str]) -> None:
    counted, kept = [], []
    for rank in (RANK, RANK + 4):
        model = GPT(CONFIG)
        freeze(model)
        replace_linear_with_lora(model, rank, alpha=1.0, targets=targets)
        kept.append(saved_bytes(model, lambda model=model: next_token_loss(model)))
        sizes = {"batch_size": BATCH, "length_tokens": LENGTH, "rank": rank, "number_bytes": 4}
        counted.append(activation_bytes(SHAPE, targets, **sizes))
    assert counted[1] - counted[0] == kept[1] - kept[0] > 0


def test_freezing_everything_but_query_and_value_frees_less_than_a_third() -> None:
    full = block_activations(SHAPE, GPT_TARGETS)
    lora = block_activations(SHAPE, ["query", "value"], RANK)
    assert 2 / 3 < lora / full < 1


def test_checkpointing_keeps_one_block_and_the_inputs_of_all() -> None:
    shape = MODEL_SHAPES["Llama 3 8B"].with_classifier(2)
    sizes = {"batch_size": 2, "length_tokens": 10, "rank": 4, "number_bytes": 2}
    kept = activation_bytes(shape, ["key", "gate"], checkpointing=True, **sizes)
    block = block_activations(shape, ["key", "gate"], 4)
    assert kept == 2 * 10 * 2 * (32 * 4096 + block)


def test_full_fine_tuning_in_float32_costs_16_bytes_a_parameter() -> None:
    for storage in ("float32", "mixed"):
        budget = memory_budget(SHAPE, "full", storage=storage, length_tokens=1)
        assert budget.total_bytes - budget.activations_bytes == 16 * SHAPE.parameters


def test_lora_pays_for_gradients_and_optimizer_of_its_adapters_alone() -> None:
    budget = memory_budget(SHAPE, "lora", rank=4, storage="float32", length_tokens=1)
    adapters = 3 * 2 * 4 * (64 + 64)
    assert budget.weights_bytes == 4 * (SHAPE.parameters + adapters)
    assert (budget.gradients_bytes, budget.optimizer_bytes) == (4 * adapters, 8 * adapters)


def test_qlora_quantizes_the_weights_of_the_blocks_and_nothing_else() -> None:
    lora, qlora = (memory_budget(SHAPE, method, length_tokens=1) for method in ("lora", "qlora"))
    in_blocks = 3 * 12 * 64 * 64
    saved = in_blocks * (2 - NF4_BITS / 8)
    assert lora.weights_bytes - qlora.weights_bytes == pytest.approx(saved)
    assert (lora.gradients_bytes, lora.optimizer_bytes, lora.activations_bytes) == (
        qlora.gradients_bytes,
        qlora.optimizer_bytes,
        qlora.activations_bytes,
    )


def test_a_4_bit_weight_costs_what_the_qlora_paper_says() -> None:
    assert round(NF4_BITS - 4, 3) == 0.127


def test_65b_in_4_bits_fits_a_48_gb_card_where_full_fine_tuning_needs_780_gb() -> None:
    shape = MODEL_SHAPES["LLaMA 65B"]
    settings = {
        "rank": 64,  # on all linear layers, as in the QLoRA paper
        "targets": IN_BLOCKS,
        "length_tokens": 512,
        "checkpointing": True,
    }
    qlora = memory_budget(shape, "qlora", **settings)
    assert qlora.total_bytes < GPUS_BYTES["L40S 48 GB"]
    assert qlora.cards_that_fit()[0] == "L40S 48 GB"
    assert memory_budget(shape, "lora", **settings).cards_that_fit() == []
    assert memory_budget(shape, "full", **settings).total_bytes > 780e9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "prefix"}, "method must be one of full, lora, qlora; got 'prefix'"),
        ({"storage": "8 bit"}, "storage must be one of float32, mixed, 16 bit; got '8 bit'"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"length_tokens": 65}, "length_tokens must lie in 1 … 64 for this model, got 65"),
        ({"rank": 0}, "rank must be at least 1, got 0"),
    ],
)
def test_impossible_settings_are_refused(change: dict, message: str) -> None:
    settings = {"method": "lora", "length_tokens": 8} | change
    with pytest.raises(ValueError, match=message):
        memory_budget(SHAPE, **settings)
