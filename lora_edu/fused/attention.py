"""Causal attention whose way back is computed in float32 where 16 bits are slow.

On a CPU, torch 2.13's backward pass of attention in bfloat16 takes several times as long as in
float32 while rows are short; at 33 tokens, six to nine times. So q, k, v and the result are kept
in 16 bits, as always, and widened for the way back, which is more exact, too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

SHORT = 256  # tokens; from here on both formats take about equally long


class WidenedBackward(torch.autograd.Function):
    """Causal attention on a CPU: forward in the format of q, backward in float32."""

    @staticmethod
    def forward(ctx: FunctionCtx, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Computes softmax(q kᵀ / √D) v; q, k, v and the result are (B, H, T, D)."""
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        mixed, normalizers = flash(q, k, v, is_causal=True)
        ctx.save_for_backward(q, k, v, mixed, normalizers)
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Computes the gradients of q, k and v, in their format."""
        *narrow, normalizers = ctx.saved_tensors
        wide = [tensor.float() for tensor in (gradient, *narrow)]
        backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
        found = backward(*wide, normalizers, 0.0, True)
        return tuple(each.to(narrow[0].dtype) for each in found)


def attend(
    q: Tensor, k: Tensor, v: Tensor, *, attn_mask: Tensor | None = None, is_causal: bool = False
) -> Tensor:
    """`F.scaled_dot_product_attention`, the way back widened where that is faster.

    Shape:
        q (B, H, T, D); k and v (B, H, S, D); the result that of q.
    """
    narrow = q.device.type == "cpu" and q.element_size() == 2 and q.dtype == k.dtype == v.dtype
    if narrow and is_causal and torch.is_grad_enabled() and q.numel() and q.shape[2] <= SHORT:
        return WidenedBackward.apply(q, k, v)
    return nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=attn_mask, is_causal=is_causal
    )
