"""Attention whose backward pass is widened: the same function, nearer to the exact gradients."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F

from lora_edu.fused import attention as fused_attention
from lora_edu.fused.attention import SHORT
from lora_edu.fused.blocks import fuse
from lora_edu.gpt import GPT, GPTConfig
from lora_edu.lora import freeze, replace_linear_with_lora


def heads(rows: int, tokens: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """q, k, v and a gradient as a block has them: (B, H, T, D), not contiguous."""
    dice = torch.Generator().manual_seed(tokens)
    flat = (torch.randn(rows, tokens, 3 * 16, generator=dice) for _ in range(4))
    return [each.to(dtype).unflatten(-1, (3, 16)).transpose(1, 2) for each in flat]


def answers(function, q, k, v, gradient) -> list[torch.Tensor]:
    """The result and the gradients of q, k and v."""
    leaves = [each.detach().requires_grad_() for each in (q, k, v)]
    mixed = function(*leaves, is_causal=True)
    return [mixed, *torch.autograd.grad(mixed, leaves, gradient)]


def widened(monkeypatch) -> list[int]:
    """Counts how often the backward pass is widened."""
    calls = []
    monkeypatch.setattr(
        fused_attention.WidenedBackward,
        "apply",
        lambda *tensors: (
            calls.append(1) or F.scaled_dot_product_attention(*tensors, is_causal=True)
        ),
    )
    return calls


class Without:
    """torch's operations, the two private ones removed."""

    def __init__(self, aten) -> None:
        self._aten = aten

    def __getattr__(self, name: str):
        if name in (fused_attention.FORWARD, fused_attention.BACKWARD):
            raise AttributeError(name)
        return getattr(self._aten, name)


@pytest.fixture(params=[True, False], ids=["private operations", "public ones"])
def attend(request, monkeypatch) -> Callable[..., torch.Tensor]:
    """`attend` of this torch, and of one that lacks the private operations."""
    if request.param:
        assert fused_attention.PRIVATE
        return fused_attention.attend
    monkeypatch.setattr(torch.ops, "aten", Without(torch.ops.aten))
    spec = importlib.util.spec_from_file_location("of_another_torch", fused_attention.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert not module.PRIVATE
    return module.attend


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("rows", "tokens"), [(2, 1), (3, 33), (1, SHORT)])
def test_results_are_the_same_and_gradients_nearer_to_the_exact_ones(attend, rows, tokens, dtype):
    given = heads(rows, tokens, dtype)
    exact = answers(F.scaled_dot_product_attention, *(each.double() for each in given))
    # What float32 itself rounds off: of a single token the gradients of q and k are exactly zero,
    # and on some processors float32 finds 1e-6 of it, as it adds the same numbers in two orders.
    single = answers(F.scaled_dot_product_attention, *(each.float() for each in given))
    theirs = answers(F.scaled_dot_product_attention, *given)
    ours = answers(attend, *given)
    assert torch.equal(ours[0], theirs[0])
    for mine, their, wide, true in zip(ours[1:], theirs[1:], single[1:], exact[1:], strict=True):
        assert mine.dtype == dtype and mine.shape == true.shape
        off, float32 = (mine - true).norm(), 2 * (wide - true).norm()
        assert off <= 1.01 * (their - true).norm() + float32
        assert off <= 0.5 * torch.finfo(dtype).eps * true.norm() + float32  # one rounding


def test_float32_and_float64_are_torchs_own_bit_for_bit(attend):
    for dtype in (torch.float32, torch.float64):
        given = heads(2, 7, dtype)
        for mine, theirs in zip(
            answers(attend, *given), answers(F.scaled_dot_product_attention, *given), strict=True
        ):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    ("tokens", "dtype", "learning", "expected"),
    [
        (SHORT, torch.bfloat16, True, 1),
        (SHORT + 1, torch.bfloat16, True, 0),
        (0, torch.bfloat16, True, 0),
        (8, torch.float32, True, 0),
        (8, torch.bfloat16, False, 0),
    ],
)
def test_it_is_widened_only_where_that_is_faster(monkeypatch, tokens, dtype, learning, expected):
    q, k, v, _ = heads(2, tokens, dtype)
    calls = widened(monkeypatch)
    with torch.set_grad_enabled(learning):
        assert fused_attention.attend(q, k, v, is_causal=True).shape == q.shape
    assert len(calls) == expected


def test_a_mask_goes_the_usual_way(monkeypatch):
    attend = fused_attention.attend
    q, k, v, _ = heads(2, 6, torch.bfloat16)
    calls = widened(monkeypatch)
    mask = torch.ones(6, 6, dtype=torch.bool).tril()
    masked = attend(q, k, v, attn_mask=mask)
    assert calls == []
    torch.testing.assert_close(masked, attend(q, k, v, is_causal=True), rtol=2e-2, atol=2e-2)


def test_a_fused_gpt_under_autocast_uses_it_and_is_nearer_to_its_gradients(monkeypatch):
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=37, context_length=40, n_layer=3, n_head=2, n_embd=32))
    freeze(model)
    replace_linear_with_lora(model, 3, 6, targets=("query", "value", "fc_in"))
    for name, parameter in model.named_parameters():
        if name.endswith(".B"):
            torch.nn.init.normal_(parameter, std=0.2)
    tokens = torch.randint(37, (4, 33), generator=torch.Generator().manual_seed(1))

    def gradients(kind: str) -> torch.Tensor:
        one = copy.deepcopy(model)
        if kind == "float64":
            one.double()
        else:
            fuse(one)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind != "float64"):
            loss = one(tokens).float().logsumexp(-1).mean()
        loss.backward()
        return torch.cat([p.grad.flatten() for p in one.parameters() if p.requires_grad])

    exact, ours = gradients("float64"), gradients("ours")
    calls = widened(monkeypatch)
    theirs = gradients("torch's")
    assert len(calls) == 3  # one a block
    assert not torch.equal(ours, theirs)
    assert (ours - exact).norm() <= 1.1 * (theirs - exact).norm() < 0.1 * exact.norm()


def test_it_compiles(attend, monkeypatch):
    monkeypatch.undo()  # a compiler needs all of torch
    q, k, v, gradient = heads(2, 9, torch.bfloat16)
    compiled = torch.compile(attend, backend="aot_eager", fullgraph=True)
    for mine, plain in zip(
        answers(compiled, q, k, v, gradient), answers(attend, q, k, v, gradient), strict=True
    ):
        torch.testing.assert_close(mine, plain)
