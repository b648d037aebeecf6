"""torch's own transformer layers, adapted: some of their ways read weights and call no layer."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from lora_edu.adapters import merge_and_unload
from lora_edu.lora import LinearWithLoRA, freeze, lora_layers, replace_linear_with_lora
from lora_edu.targets import find_targets

SIZES = {"d_model": 8, "nhead": 2, "dim_feedforward": 16, "dropout": 0.0, "batch_first": True}
TARGET = torch.linspace(-30, 30, 2 * 5 * 8).sin().view(2, 5, 8)
MEMORY = torch.linspace(-20, 20, 2 * 4 * 8).sin().view(2, 4, 8)
PADDED = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])


@pytest.fixture
def calls(monkeypatch) -> Iterator[list[str]]:
    """One entry for each call of a wrapped layer, noted without a hook, which forbids fast ways."""
    noted, forward = [], LinearWithLoRA.forward

    def noting(layer: LinearWithLoRA, x: Tensor) -> Tensor:
        noted.append("nested" if x.is_nested else "plain")
        return forward(layer, x)

    monkeypatch.setattr(LinearWithLoRA, "forward", noting)
    yield noted


@pytest.fixture(params=[True, False], ids=["fast", "layer by layer"])
def fast(request) -> Iterator[bool]:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(request.param)
    yield request.param
    torch.backends.mha.set_fastpath_enabled(before)


def adapted(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A model as after training, and a copy with the update in its weights."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)
    freeze(model)
    replace_linear_with_lora(model, 2, 4)
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.lora.B, std=0.4)
    plain = copy.deepcopy(model)
    merge_and_unload(plain)
    return model, plain


def assert_equal_in_every_mode(
    model: nn.Module, plain: nn.Module, *inputs: Tensor, **masks
) -> None:
    for training in (True, False):
        wanted = plain.train(training)(*inputs, **masks)
        torch.testing.assert_close(model.train(training)(*inputs, **masks), wanted)
        with torch.no_grad():
            torch.testing.assert_close(model(*inputs, **masks), wanted)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_an_encoder_layer_gives_what_its_merged_weights_give(fast, calls, norm_first, activation):
    model, plain = adapted(
        nn.TransformerEncoderLayer(**SIZES, norm_first=norm_first, activation=activation)
    )
    assert_equal_in_every_mode(model, plain, TARGET)
    calls.clear()
    with torch.no_grad():
        model.eval()(TARGET)
    assert (calls == []) == fast


@pytest.mark.parametrize("nested", [True, False])
def test_an_encoder_with_padding_gives_what_its_merged_weights_give(fast, calls, nested):
    layer = nn.TransformerEncoderLayer(**SIZES)
    model, plain = adapted(nn.TransformerEncoder(layer, 2, enable_nested_tensor=nested))
    for training in (True, False):
        for learning in (True, False):
            with torch.set_grad_enabled(learning):
                found, wanted = (
                    each.train(training)(TARGET, src_key_padding_mask=PADDED)
                    for each in (model, plain)
                )
            there = ~PADDED[:, : found.shape[1]]
            torch.testing.assert_close(found[there], wanted[there])
    calls.clear()
    with torch.no_grad():
        out = model.eval()(TARGET, src_key_padding_mask=PADDED)
    assert (calls == []) == fast
    assert ((out[PADDED] == 0).all().item()) == (fast and nested)  # the nested way fills with zeros


def test_a_decoder_gives_what_its_merged_weights_give(fast):
    layer = nn.TransformerDecoderLayer(**SIZES)
    model, plain = adapted(nn.TransformerDecoder(layer, 2))
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    assert_equal_in_every_mode(model, plain, TARGET, MEMORY, tgt_mask=causal)


def test_the_whole_transformer_gives_what_its_merged_weights_give(fast):
    sizes = {**SIZES, "num_encoder_layers": 2, "num_decoder_layers": 2}
    model, plain = adapted(nn.Transformer(**sizes))
    assert_equal_in_every_mode(model, plain, MEMORY, TARGET)


def test_gradients_through_an_encoder_reach_every_layer_in_training_and_evaluation(fast):
    model, _ = adapted(nn.TransformerEncoderLayer(**SIZES))
    gradients = []
    for training in (True, False):
        model.zero_grad()
        model.train(training)(TARGET).square().sum().backward()
        gradients.append([p.grad for p in model.parameters() if p.requires_grad])
        assert all(grad.any() for grad in gradients[-1])
    torch.testing.assert_close(*gradients)


def test_the_output_projection_of_torchs_attention_is_left_alone():
    """Its owner reads the weight and calls no layer: PyTorch has a class of its own for it."""
    model, _ = adapted(nn.TransformerDecoderLayer(**SIZES))
    assert find_targets(model) == ["linear1", "linear2"]
    assert set(lora_layers(model)) == {"linear1", "linear2"}
    with pytest.raises(ValueError, match=r"\['out_proj'\] match no linear layer"):
        find_targets(model, ["out_proj"])
