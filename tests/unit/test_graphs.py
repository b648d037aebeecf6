"""A graph recorded from one input is the model for inputs of every shape."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lora_edu.fused.blocks import fuse
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze, lora_layers, replace_linear_with_lora

# Wide enough that the fast path's GELU goes through the longest inputs in parts.
CONFIG = GPTConfig(vocab_size=50, context_length=64, n_layer=1, n_head=2, n_embd=64)
RECORDED = torch.arange(10).view(2, 5)
SHAPES = ((3, 9), (1, 1), (4, 64), (5, 1))


class AtPositions(nn.Module):
    """Reads the logits at one token a row, as a classifier does."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, token_ids: Tensor, positions: Tensor) -> Tensor:
        return self.model(token_ids, positions=positions)


def some_gpt(kind: str) -> GPT:
    torch.manual_seed(0)
    model = GPT(CONFIG).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    if kind != "plain":
        freeze(model)
        replace_linear_with_lora(model, 2, 4, targets=["query", "value", "fc_in", "fc_out"])
        for layer in lora_layers(model).values():
            nn.init.normal_(layer.lora.B)
    if kind == "fused":
        fuse(model)
    return model


def trace(model: nn.Module, inputs: tuple[Tensor, ...]) -> nn.Module:
    return torch.jit.trace(model, inputs, check_trace=False)


def export(model: nn.Module, inputs: tuple[Tensor, ...]) -> nn.Module:
    free = torch.export.Dim.AUTO
    shapes = tuple(dict.fromkeys(range(each.ndim), free) for each in inputs)
    return torch.export.export(model, inputs, dynamic_shapes=shapes).module()


def inputs_of(shape: tuple[int, int], at_positions: bool) -> tuple[Tensor, ...]:
    rows, tokens = shape
    draws = torch.Generator().manual_seed(rows + tokens)
    token_ids = torch.randint(CONFIG.vocab_size, shape, generator=draws)
    positions = torch.randint(tokens, (rows,), generator=draws)
    return (token_ids, positions) if at_positions else (token_ids,)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("at_positions", [False, True], ids=["everywhere", "at positions"])
@pytest.mark.parametrize("learning", [False, True], ids=["no grad", "grad"])
@pytest.mark.parametrize("record", [trace, export])
@pytest.mark.parametrize("kind", ["plain", "adapted", "fused"])
def test_a_recorded_gpt_is_the_gpt_for_any_rows_and_lengths(kind, record, learning, at_positions):
    model = AtPositions(some_gpt(kind)) if at_positions else some_gpt(kind)
    with torch.set_grad_enabled(learning):
        recorded = record(model, inputs_of(RECORDED.shape, at_positions))
        for shape in SHAPES:
            inputs = inputs_of(shape, at_positions)
            torch.testing.assert_close(recorded(*inputs), model(*inputs), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["plain", "fused"])
def test_a_compiled_gpt_answers_at_positions_of_any_rows_and_lengths(kind) -> None:
    model = AtPositions(some_gpt(kind))
    compiled = torch.compile(model, backend="eager", dynamic=True)
    for shape in SHAPES[:2]:
        inputs = inputs_of(shape, at_positions=True)
        torch.testing.assert_close(compiled(*inputs), model(*inputs), rtol=1e-9, atol=1e-9)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("record", [trace, export])
@pytest.mark.parametrize("learning", [False, True], ids=["no grad", "grad"])
def test_a_fused_layer_alone_is_recorded_for_any_number_of_rows(record, learning) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)).double()
    freeze(model)
    replace_linear_with_lora(model, rank=2, alpha=4)
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.lora.B)
    fuse(model)
    with torch.set_grad_enabled(learning):
        recorded = record(model, (torch.randn(3, 8, dtype=torch.float64),))
        for rows in (1, 2, 50):
            x = torch.randn(rows, 8, dtype=torch.float64)
            torch.testing.assert_close(recorded(x), model(x), rtol=1e-9, atol=1e-9)
