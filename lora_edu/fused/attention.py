"""Causal attention whose backward pass is computed in float32 where 16 bits are slow.

On a CPU, torch 2.13's backward pass of attention in bfloat16 takes several times as long as in
float32 while rows are short; at 33 tokens, six to nine times. So q, k, v and the result are kept
in 16 bits, as always, and widened for the backward pass, which is more exact, too.

The two operations that this takes are torch's own and private. A torch without them gets the same
from public ones, somewhat slower: attention's shares are computed a second time.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

SHORT = 256  # tokens; from here on both formats take about equally long
FORWARD = "_scaled_dot_product_flash_attention_for_cpu"
BACKWARD = f"{FORWARD}_backward"
PRIVATE = hasattr(torch.ops.aten, FORWARD) and hasattr(torch.ops.aten, BACKWARD)


class WidenedBackward(torch.autograd.Function):
    """Causal attention on a CPU: forward in the format of q, backward in float32."""

    @staticmethod
    def forward(ctx: FunctionCtx, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Computes softmax(q kᵀ / √D) v; q, k, v and the result are (B, H, T, D)."""
        if not PRIVATE:
            ctx.save_for_backward(q, k, v)
            return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        mixed, normalizers = getattr(torch.ops.aten, FORWARD)(q, k, v, is_causal=True)
        ctx.save_for_backward(q, k, v, mixed, normalizers)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Computes the gradients of q, k and v, in their format."""
        q, k, v, *found = ctx.saved_tensors
        wide = [tensor.float() for tensor in (q, k, v)]
        if found:
            mixed, normalizers = found
            given = gradient.float(), *wide, mixed.float(), normalizers
            gradients = getattr(torch.ops.aten, BACKWARD)(*given, 0.0, True)
        else:
            with torch.autocast(q.device.type, enabled=False):
                gradients = _written_out(gradient.float(), wide)
        return tuple(each.to(q.dtype) for each in gradients)


def _written_out(gradient: Tensor, wide: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v: with P = softmax(S), dS = P ∘ (dP - rowsum(P ∘ dP))."""
    q, k, v = wide
    scale = q.shape[-1] ** -0.5
    later = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool, device=q.device).triu(1)
    shares = (scale * q @ k.mT).masked_fill(later, -math.inf).softmax(-1)
    d_shares = gradient @ v.mT
    d_scores = scale * shares * (d_shares - (shares * d_shares).sum(-1, keepdim=True))
    return d_scores @ k, d_scores.mT @ q, shares.mT @ gradient


def attend(
    q: Tensor, k: Tensor, v: Tensor, *, attn_mask: Tensor | None = None, is_causal: bool = False
) -> Tensor:
    """`F.scaled_dot_product_attention`, its backward pass widened where that is faster.

    Shape:
        q (B, H, T, D); k and v (B, H, S, D); the result that of q.
    """
    narrow = q.device.type == "cpu" and q.element_size() == 2 and q.dtype == k.dtype == v.dtype
    if narrow and is_causal and torch.is_grad_enabled() and q.numel() and q.shape[2] <= SHORT:
        return WidenedBackward.apply(q, k, v)
    return nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=attn_mask, is_causal=is_causal
    )
