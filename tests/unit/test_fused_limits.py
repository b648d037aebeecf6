"""What the fast path must leave alone, refuse, or not break."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lora_edu.adapters.adapter import Adapter
from lora_edu.adapters.attachment import detach
from lora_edu.adapters.rows import MixedAdapters
from lora_edu.fused.blocks import fuse
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze, lora_layers, replace_linear_with_lora

IDS = torch.tensor([[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]])


def adapted_gpt(targets: tuple[str, ...] = ("query", "fc_in")) -> GPT:
    """A small GPT with an adapter that is felt."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(20, 8, n_layer=2, n_head=2, n_embd=8))
    freeze(model)
    replace_linear_with_lora(model, rank=2, alpha=4, targets=targets)
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.lora.B)
    return model


def gradients(model: nn.Module) -> list[torch.Tensor]:
    return [p.grad for p in model.parameters() if p.requires_grad]


@pytest.mark.parametrize("shape", [(3, 8), (3, 2, 8)])
def test_an_output_may_be_changed_in_place(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))
    freeze(model)
    replace_linear_with_lora(model, rank=2, alpha=4)
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.lora.B)
    x, found = torch.randn(shape), []
    for ready in (lambda: None, lambda: fuse(model)):
        ready()
        model.zero_grad()
        model(x).square().sum().backward()
        found.append(gradients(model))
    assert all(torch.allclose(*pair, rtol=1e-4, atol=1e-5) for pair in zip(*found, strict=True))


class Counting(nn.Linear):
    """A layer that does more than to compute."""

    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) → (..., out)."""
        self.calls += 1
        return super().forward(x)


def test_a_subclass_of_linear_keeps_its_own_forward() -> None:
    model = nn.Sequential(Counting(4, 4), nn.Linear(4, 4))
    freeze(model)
    replace_linear_with_lora(model, rank=1, alpha=1)
    x = torch.ones(1, 4)
    before, calls = model(x), model[0].linear.calls
    assert fuse(model) == ["1"]
    assert torch.allclose(model(x), before) and model[0].linear.calls == calls + 1


@pytest.mark.parametrize("where", ["blocks.0.mlp", "blocks.0.attention.query.linear"])
def test_a_module_in_which_a_hook_waits_is_not_fused(where: str) -> None:
    model, called = adapted_gpt(), []
    model.get_submodule(where).register_forward_hook(lambda *_: called.append(where))
    fused = fuse(model)
    assert "blocks.0" not in fused and "blocks.1" in fused
    model(IDS)
    assert called == [where]


def test_to_fuse_twice_is_to_fuse_once() -> None:
    model = adapted_gpt()
    names = fuse(model)
    assert names and fuse(model) == names


def test_a_norm_that_is_to_learn_is_refused_and_not_left_out() -> None:
    model = adapted_gpt()
    fuse(model)
    model.blocks[1].mlp_norm.requires_grad_(True)
    with pytest.raises(ValueError, match="norms must be frozen"):
        model(IDS)


def test_after_detach_the_base_serves_a_mixed_batch() -> None:
    model = adapted_gpt(("query",))
    fuse(model)
    detach(model)
    pair = (torch.randn(8, 4), torch.randn(4, 8))
    adapter = Adapter(4, 8.0, "alpha", {"blocks.0.attention.query": pair})
    with torch.no_grad():
        base = model(IDS)
        with MixedAdapters(model, {"task": adapter}).rows(["task", None]):
            mixed = model(IDS)
        again = model(IDS)
    assert torch.equal(again, base)
    assert torch.allclose(mixed[1], base[1], atol=1e-6)
    assert not torch.allclose(mixed[0], base[0], atol=1e-3)


def test_the_way_back_keeps_its_format_inside_an_autocast_block() -> None:
    model = adapted_gpt()
    fuse(model)
    found = []
    for autocast in (False, True):
        model.zero_grad()
        loss = model(IDS).square().sum()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss.backward()
        found.append(gradients(model)[0])
    # torch's own backward pass of the head is in bfloat16 there; ours goes on in float32.
    assert found[1].dtype == torch.float32
    assert torch.allclose(*found, rtol=0.05, atol=0.05 * found[0].abs().max())


def test_float64_stays_float64_under_autocast() -> None:
    model = nn.Sequential(nn.Linear(4, 3)).double()
    freeze(model)
    replace_linear_with_lora(model, rank=1, alpha=1)
    fuse(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(torch.ones(2, 4, dtype=torch.float64)).dtype == torch.float64
