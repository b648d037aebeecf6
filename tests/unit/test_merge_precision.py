"""The table of what merging costs, against float64."""

from __future__ import annotations

import copy

import pytest
import torch
from adapter_models import TOKENS, logits, make_adapted, make_base
from torch import nn

from lora_edu.adapters.adapter import AdapterError
from lora_edu.adapters.attachment import attach
from lora_edu.adapters.merge_precision import MERGE_DTYPES, merge_errors
from lora_edu.adapters.saving import load_adapter, save_adapter
from lora_edu.lora import LinearWithLoRA, lora_layers, merge


def trained(size: float = 0.1) -> nn.Module:
    """A model whose updates are small beside its weights, as after training."""
    model = make_adapted()
    with torch.no_grad():
        for layer in lora_layers(model).values():
            layer.lora.B.mul_(size)
    return model


def test_the_table_holds_the_three_types_and_float32_is_the_finest():
    errors = {error.dtype: error for error in merge_errors(trained(), TOKENS)}
    assert tuple(errors) == MERGE_DTYPES
    full, bf16, fp16 = errors.values()
    for measure in ("unmerged", "merged", "update_lost"):
        assert getattr(full, measure) < getattr(fp16, measure) < getattr(bf16, measure)
    assert full.unmerged < 1e-5 and full.merged < 1e-5
    assert 1e-4 < bf16.unmerged < 0.1


@pytest.mark.parametrize("dtype", MERGE_DTYPES)
def test_the_errors_are_those_measured_by_hand(dtype):
    (error,) = [e for e in merge_errors(trained(), TOKENS) if e.dtype == dtype]
    rounded = trained().to(dtype)
    exact = logits(copy.deepcopy(rounded).double())
    unmerged = (logits(rounded).double() - exact).norm() / exact.norm()
    merge(rounded)
    merged = (logits(rounded).double() - exact).norm() / exact.norm()
    assert (error.unmerged, error.merged) == pytest.approx((unmerged.item(), merged.item()))


def test_the_lost_part_of_a_single_update_is_what_rounding_took():
    torch.manual_seed(0)
    layer = LinearWithLoRA(nn.Linear(8, 6), rank=2, alpha=1)
    with torch.no_grad():
        layer.lora.A.copy_(layer.lora.A.bfloat16())
        layer.lora.B.normal_(std=1e-3).copy_(layer.lora.B.bfloat16())
        layer.linear.weight.copy_(layer.linear.weight.bfloat16())
    weight = layer.linear.weight.detach().double()
    update = (layer.lora.A.double() @ layer.lora.B.double()).T.detach()
    got = (weight.float() + update.float()).bfloat16().double() - weight
    lost = (got - update).norm() / update.norm()
    _, bf16, _ = merge_errors(nn.Sequential(layer), torch.randn(3, 8))
    assert bf16.update_lost == pytest.approx(lost.item(), rel=1e-6)
    assert bf16.update_lost > 0.1  # most of it fell off the end


def test_a_layer_that_stores_its_weight_the_other_way_round_loses_as_much():
    Conv1D = pytest.importorskip("transformers.pytorch_utils").Conv1D
    torch.manual_seed(0)
    linear, conv1d = nn.Linear(8, 8), Conv1D(8, 8)
    with torch.no_grad():
        conv1d.weight.copy_(linear.weight.T)
        conv1d.bias.copy_(linear.bias)
    adapted = [LinearWithLoRA(layer, rank=2, alpha=1) for layer in (linear, conv1d)]
    for layer in adapted:
        torch.manual_seed(1)
        nn.init.normal_(layer.lora.A)
        nn.init.normal_(layer.lora.B, std=0.01)
    plain, other = (
        [error.update_lost for error in merge_errors(layer, torch.ones(3, 8))] for layer in adapted
    )
    assert other == pytest.approx(plain, rel=1e-6)


def test_measuring_leaves_the_model_alone(tmp_path):
    model = make_base()
    attach(model, load_adapter(save_adapter(make_adapted(), tmp_path)))
    state, modules = copy.deepcopy(model.state_dict()), dict(model.named_modules())
    merge_errors(model, TOKENS)
    assert all(torch.equal(model.state_dict()[name], state[name]) for name in state)
    assert all(module is modules[name] for name, module in model.named_modules())


def test_without_an_update_to_merge_there_is_nothing_to_measure():
    merged = make_adapted()
    merge(merged)
    for model in (make_base(), merged):
        with pytest.raises(AdapterError, match="not merged"):
            merge_errors(model, TOKENS)
    with pytest.raises(AdapterError, match="all zero"):
        merge_errors(trained(size=0.0), TOKENS)
