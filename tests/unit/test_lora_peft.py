"""Our layers against PEFT's, on our GPT: with the same A and B, the same logits and gradients."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze, lora_layers, replace_linear_with_lora

peft = pytest.importorskip("peft")

TARGETS = ["query", "value", "fc_in", "fc_out"]
RANK, ALPHA = 4, 6
# Our scaling, and how PEFT is told the same: it divides by the rank, so "alpha" needs alpha × rank.
SCALINGS = [
    ("alpha/rank", {"lora_alpha": ALPHA}),
    ("alpha/sqrt(rank)", {"lora_alpha": ALPHA, "use_rslora": True}),
    ("alpha", {"lora_alpha": ALPHA * RANK}),
]


@pytest.fixture
def base() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=31, context_length=16, n_layer=2, n_head=2, n_embd=16))


def loss_of(model: nn.Module) -> torch.Tensor:
    ids = torch.arange(22).view(2, 11)
    return F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())


@pytest.mark.parametrize(("scaling", "settings"), SCALINGS)
def test_logits_and_gradients_equal_pefts(base, scaling, settings):
    config = peft.LoraConfig(r=RANK, target_modules=TARGETS, lora_dropout=0.0, **settings)
    theirs = peft.get_peft_model(copy.deepcopy(base), config)
    freeze(base)
    names = replace_linear_with_lora(base, RANK, ALPHA, targets=TARGETS, scaling=scaling)

    inside = theirs.base_model.model
    for name, layer in lora_layers(base).items():
        peer = inside.get_submodule(name)
        with torch.no_grad():
            peer.lora_A["default"].weight.copy_(layer.lora.A.T)
            layer.lora.B.normal_(std=0.2)
            peer.lora_B["default"].weight.copy_(layer.lora.B.T)

    ids = torch.arange(20).view(2, 10)
    torch.testing.assert_close(base(ids), inside(ids), rtol=1e-5, atol=1e-6)
    for model in (base, inside):
        loss_of(model).backward()
    for name in names:
        ours, peer = base.get_submodule(name), inside.get_submodule(name)
        grad_A, grad_B = peer.lora_A["default"].weight.grad, peer.lora_B["default"].weight.grad
        torch.testing.assert_close(ours.lora.A.grad, grad_A.T, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(ours.lora.B.grad, grad_B.T, rtol=1e-4, atol=1e-6)
        assert ours.linear.weight.grad is None


def test_init_peft_and_pefts_own_init_have_the_same_bound():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(400, 400))
    theirs = peft.get_peft_model(copy.deepcopy(model), peft.LoraConfig(r=8, target_modules=["0"]))
    replace_linear_with_lora(model, 8, 8, init="peft", scaling="alpha/rank")
    lora_A = theirs.base_model.model[0].lora_A["default"].weight
    largest = [factor.abs().max().item() for factor in (model[0].lora.A, lora_A)]
    assert largest == pytest.approx([1 / 20, 1 / 20], rel=0.01)


def test_merged_weights_equal_pefts(base):
    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS)
    theirs = peft.get_peft_model(copy.deepcopy(base), config)
    replace_linear_with_lora(base, RANK, ALPHA, targets=TARGETS, scaling="alpha/rank")
    for name, layer in lora_layers(base).items():
        peer = theirs.base_model.model.get_submodule(name)
        with torch.no_grad():
            layer.lora.B.normal_()
            peer.lora_A["default"].weight.copy_(layer.lora.A.T)
            peer.lora_B["default"].weight.copy_(layer.lora.B.T)
        layer.merge()
    plain = theirs.merge_and_unload()
    for name, layer in lora_layers(base).items():
        torch.testing.assert_close(layer.linear.weight, plain.get_submodule(name).weight)
