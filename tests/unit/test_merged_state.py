"""A merged layer's state dict: it holds the base unmerged, and loading one follows the model."""

from __future__ import annotations

import torch
from torch import nn

from lora_edu.lora import freeze, merge, replace_linear_with_lora, unmerge


def adapted() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(4, 3))
    freeze(model)
    replace_linear_with_lora(model, 2, 4)
    nn.init.normal_(model[0].lora.B)
    return model


def test_a_merged_models_state_loads_into_a_fresh_model_once() -> None:
    model, x = adapted(), torch.ones(1, 4)
    wanted = model(x)
    merge(model)
    fresh = adapted()
    fresh.load_state_dict(model.state_dict())
    torch.testing.assert_close(fresh(x), wanted)
    torch.testing.assert_close(model(x), wanted)  # and the merged one stays merged
    assert model[0].merged


def test_a_state_loaded_into_a_merged_model_is_what_it_computes_afterwards() -> None:
    model, other, x = adapted(), adapted(), torch.ones(1, 4)
    merge(model)
    model.load_state_dict(other.state_dict())
    torch.testing.assert_close(model(x), other(x))
    merge(model)
    unmerge(model)
    assert torch.equal(model[0].linear.weight, other[0].linear.weight)


def test_a_merged_model_that_has_moved_writes_what_it_is_now() -> None:
    model = adapted()
    merge(model)
    parts = model.state_dict(keep_vars=True)
    assert isinstance(parts["0.linear.weight"], nn.Parameter)
    assert {tensor.dtype for tensor in model.half().state_dict().values()} == {torch.float16}
