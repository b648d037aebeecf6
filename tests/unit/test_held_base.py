"""A base held in 16 bits: the same products under autocast, and what learns stays in float32."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
import toy
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from lora_edu.adapters.attachment import attach, detach
from lora_edu.adapters.rows import MixedAdapters
from lora_edu.adapters.saving import load_adapter, save_adapter
from lora_edu.evaluation.metrics import classify
from lora_edu.fused.blocks import fuse, unfuse
from lora_edu.fused.held_base import HELD_DTYPES, HeldLinear, hold_base
from lora_edu.generation import generate
from lora_edu.gpt import GPT
from lora_edu.lora import freeze, lora_layers, merge, replace_linear_with_lora, unmerge
from lora_edu.training.checkpoint import frozen_checksum
from lora_edu.training.loop import classification_loss, fit

TOKENS = torch.arange(20).view(2, 10)
LINEAR = 2 * (12 * 32**2 + 9 * 32)  # weights and biases of two blocks' linear layers


def adapted() -> GPT:
    """A frozen language model with an adapter on query and value."""
    torch.manual_seed(0)
    model = GPT(toy.CONFIG).eval()
    freeze(model)
    replace_linear_with_lora(model, 2, 4, targets=["query", "value"])
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.lora.B, std=0.1)
    return model


def held(model: GPT, dtype: torch.dtype = torch.bfloat16) -> GPT:
    other = copy.deepcopy(model)
    hold_base(other, dtype)
    return other


def rounded(model: GPT) -> GPT:
    """A plain float32 model with weights that bfloat16 can hold, where `hold_base` holds them."""
    other = copy.deepcopy(model)
    for module in other.modules():
        if isinstance(module, nn.Linear) and module is not other.head:
            module.to(torch.bfloat16).to(torch.float32)
    return other


@pytest.mark.parametrize("dtype", HELD_DTYPES)
@pytest.mark.parametrize("fast", [False, True], ids=["readable", "fused"])
def test_under_autocast_logits_and_gradients_are_the_same_bit_for_bit(dtype, fast):
    results = []
    for model in (adapted(), held(adapted(), dtype)):
        if fast:
            fuse(model)
        with torch.autocast("cpu", dtype=dtype):
            logits = model(TOKENS)
        logits.float().square().mean().backward()
        grads = [p.grad for p in model.parameters() if p.requires_grad]
        assert logits.dtype == dtype and {g.dtype for g in grads} == {torch.float32}
        results.append([logits, *grads])
    assert len(results[0]) == 1 + 2 * 4
    assert all(map(torch.equal, *results))


class Conversions(TorchDispatchMode):
    """Counts numbers that are converted from float32 to bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        if function is torch.ops.aten._to_copy.default and result.dtype == torch.bfloat16:
            self.numbers += result.numel()
        return result


@pytest.mark.parametrize("fast", [False, True], ids=["readable", "fused"])
def test_a_held_weight_is_not_converted_again(fast):
    counts = []
    for model in (adapted(), held(adapted())):
        if fast:
            fuse(model)
        with Conversions() as conversions, torch.autocast("cpu", dtype=torch.bfloat16):
            model(TOKENS)
        counts.append(conversions.numbers)
    assert counts[0] - counts[1] == LINEAR


def test_embeddings_norms_the_tied_head_and_what_learns_stay_in_float32():
    model = adapted()
    names = list(model.state_dict())
    found = hold_base(model)
    layers = ("query.linear", "key", "value.linear", "out")
    expected = [f"attention.{layer}" for layer in layers] + ["mlp.fc_in", "mlp.fc_out"]
    assert found == [f"blocks.{i}.{layer}" for i in range(2) for layer in expected]
    sizes = Counter()
    for parameter in model.parameters():
        sizes[parameter.dtype] += parameter.numel()
    assert sizes[torch.bfloat16] == LINEAR and sizes.keys() == {torch.bfloat16, torch.float32}
    assert model.head.weight is model.token_embedding.weight
    assert list(model.state_dict()) == names


@torch.no_grad()
def test_without_autocast_it_computes_in_float32_with_the_rounded_weights():
    model, plain = held(adapted()), rounded(adapted())
    assert model(TOKENS).dtype == torch.float32
    assert torch.equal(model(TOKENS), plain(TOKENS))
    assert not torch.equal(model(TOKENS), adapted()(TOKENS))
    assert torch.equal(generate(model, TOKENS[:, :3], 9), generate(plain, TOKENS[:, :3], 9))
    fuse(model)
    torch.testing.assert_close(model(TOKENS), plain(TOKENS))
    unfuse(model)
    assert torch.equal(model(TOKENS), plain(TOKENS))


def test_widened_again_it_is_a_plain_model_with_the_rounded_weights():
    model = held(adapted())
    assert hold_base(model, torch.float32) == hold_base(adapted())
    assert not any(isinstance(module, HeldLinear) for module in model.modules())
    assert toy.same(toy.weights(model), toy.weights(rounded(adapted())))


def test_training_follows_float32_and_leaves_the_base_as_it_is():
    histories = {}
    for name in ("fp32", "bf16", "held"):
        model = toy.lora_classifier()
        if name == "held":
            hold_base(model)
        before = frozen_checksum(model)
        histories[name] = fit(
            model,
            toy.batches(),
            classification_loss,
            steps=20,
            lr=1e-2,
            precision="fp32" if name == "fp32" else "bf16",
            evaluate=lambda model: {"rows": len(classify(model, toy.batches()).labels)},
            device="cpu",
        ).losses
        assert frozen_checksum(model) == before
    assert histories["held"] == histories["bf16"]
    apart = torch.tensor(histories["held"]) - torch.tensor(histories["fp32"])
    assert (
        0 < apart.abs().max() < 0.03
    )  # 0.016 nats when it was measured, on losses from 0.8 down to 0.25
    assert sum(histories["held"][-5:]) < sum(histories["held"][:5])


@torch.no_grad()
def test_adapters_come_and_go_in_float32(tmp_path):
    model = adapted()
    expected = rounded(model)(TOKENS)
    hold_base(model)
    adapter = load_adapter(save_adapter(model, tmp_path))
    detach(model)
    mixed = MixedAdapters(model, {"own": adapter})
    with mixed.rows(["own", "own"]):
        torch.testing.assert_close(model(TOKENS), expected)
    attach(model, adapter)
    assert torch.equal(model(TOKENS), expected)
    detach(model)
    replace_linear_with_lora(model, 2, 4, targets=["out"])
    for layer in lora_layers(model).values():
        assert {p.dtype for p in layer.lora.parameters()} == {torch.float32}


@torch.no_grad()
def test_a_head_that_comes_with_an_adapter_is_as_wide_as_what_it_reads(tmp_path):
    trained = toy.lora_classifier().eval()
    adapter = load_adapter(save_adapter(trained, tmp_path))
    model = toy.classifier().eval()
    freeze(model)
    own = model.head
    hold_base(model)  # the untied, frozen head too
    assert type(own) is HeldLinear
    attach(model, adapter)
    assert model.head.weight.dtype == torch.float32
    freeze(model)
    hold_base(model)
    detach(model)
    assert model.head is own
    assert model(TOKENS).dtype == torch.float32


@torch.no_grad()
def test_a_tied_head_comes_back_in_float32_when_the_one_in_its_place_was_held(tmp_path):
    adapter = load_adapter(save_adapter(toy.lora_classifier(), tmp_path))
    model = adapted()
    detach(model)
    before = model.token_embedding.weight.clone()
    attach(model, adapter)
    freeze(model)
    assert "head" in hold_base(model)
    detach(model)
    assert model.head.weight is model.token_embedding.weight
    assert torch.equal(model.token_embedding.weight, before)


@torch.no_grad()
def test_merging_rounds_once_to_the_held_type_and_unmerging_restores():
    model = held(adapted())
    before, name = toy.weights(model), "blocks.0.attention.query"
    layer = model.get_submodule(name)
    wanted = (layer.linear.weight.float() + layer.lora.delta().T).bfloat16()
    merge(model)
    assert torch.equal(layer.linear.weight, wanted)
    with pytest.raises(ValueError, match="merged adapter; call unmerge"):
        hold_base(model, torch.float32)
    unmerge(model)
    assert toy.same(toy.weights(model), before)


@pytest.mark.parametrize(
    ("model", "dtype", "message"),
    [
        (toy.lora_classifier, torch.float64, "dtype must be one of .* got torch.float64"),
        (toy.classifier, torch.bfloat16, r"nothing to hold: .* call freeze\(model\) first"),
        (lambda: toy.lora_classifier().double(), torch.bfloat16, "no frozen nn.Linear in float32"),
    ],
)
def test_what_cannot_be_held_is_refused(model, dtype, message):
    with pytest.raises(ValueError, match=message):
        hold_base(model(), dtype)
