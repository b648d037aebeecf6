"""The arithmetic of adapted layers in one step each way, with as little kept as possible.

For z = f(x) and any number of layers that read the same z, forward computes

    y = z Wᵀ + b + multiplier · (z A) B

and backward, with Z = multiplier · dy Bᵀ computed once,

    dz = dy W + Z Aᵀ,   dA = zᵀ Z,   dB = multiplier · (z A)ᵀ dy.

Five things are saved against the readable layers of `lora.py`: sums are formed in place
(`addmm_`); the thin product z A is kept and dy Bᵀ reused; z is not kept at all, as f is a layer
norm or a GELU, cheap enough to be computed again; layers that read the same z share one product
with their A side by side, since thin matrices waste a processor's width; and the thin matrix
always stands where the product is fast: for Zᵀz it is on the left, and A is laid out by rank
first, which makes those two products two to three times as fast as zᵀZ and z A as they are
written. A frozen W needs no gradient, and W alone for dz.

Where nothing is to learn and a weight meets enough rows, one product does: z (W + update)ᵀ.

Source:
    Cherniuk et al. 2023, "RunLoRA", arXiv:2312.03415, on the orders of these products.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from lora_edu.fused.functions import Before, Identity, as_type
from lora_edu.lora import LinearWithLoRA


class Factors(NamedTuple):
    """What one layer multiplies by: weight (out, in), bias (out,), A (in, rank), B (rank, out).

    Without an update A and B are None.
    """

    weight: Tensor
    bias: Tensor | None
    A: Tensor | None
    B: Tensor | None


def factors(layer: nn.Linear | LinearWithLoRA) -> tuple[Factors, float]:
    """Returns a layer's factors and its multiplier; a merged layer has no update of its own.

    Raises:
        ValueError: the layer's weight or bias is to learn, which this arithmetic leaves out.
    """
    adapted = isinstance(layer, LinearWithLoRA)
    linear = layer.linear if adapted else layer
    weight, bias = linear.weight, linear.bias
    if weight.requires_grad or (bias is not None and bias.requires_grad):
        raise ValueError(
            "a fused layer's weight and bias must be frozen, as the fast path computes no "
            "gradient for them; freeze the model, or call unfuse(model) first"
        )
    if not adapted or layer.merged:
        return Factors(weight, bias, None, None), 0.0
    lora = layer.lora
    return Factors(weight, bias, lora.A, lora.B), lora.multiplier


def without_autocast(device: str) -> AbstractContextManager:
    """Returns a context in which autocast is off; one that does nothing where it is off already."""
    on = torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if on else nullcontext()


class AdaptedProducts(torch.autograd.Function):
    """x → y₁ … yₙ for n layers that read the same f(x); see the head of this module."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        before: Before,
        multipliers: Sequence[float],
        *tensors: Tensor | None,
    ) -> tuple[Tensor, ...]:
        """Computes all outputs, (N, out), from x, (..., in) with N rows in all.

        They get their other dimensions outside: what a function returns as a view must not be
        changed in place.
        """
        layers, rows = _by_layer(tensors), x.reshape(-1, x.shape[-1])
        z, kept = before.forward(rows)
        z = as_type(z, layers[0].weight.dtype)
        outputs = [nn.functional.linear(z, layer.weight, layer.bias) for layer in layers]
        adapted = [i for i, layer in enumerate(layers) if layer.A is not None]
        thin = nn.functional.linear(z, _rank_first(layers, adapted)) if adapted else None
        for i, part in zip(adapted, _parts_of(thin, layers, adapted)):
            outputs[i].addmm_(part, layers[i].B, alpha=multipliers[i])
        ctx.before, ctx.multipliers, ctx.layers = before, multipliers, len(layers)
        ctx.adapted, ctx.shape = adapted, x.shape
        ctx.save_for_backward(rows, thin, *tensors, *kept)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *dys: Tensor) -> tuple[Tensor | None, ...]:
        """Computes the gradients of x, and of each A and B."""
        with without_autocast(dys[0].device.type):
            return _gradients(ctx, dys)


def _gradients(ctx: FunctionCtx, dys: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    x, thin, *rest = ctx.saved_tensors
    layers, kept = _by_layer(rest[: 4 * ctx.layers]), rest[4 * ctx.layers :]
    adapted, multipliers, before = ctx.adapted, ctx.multipliers, ctx.before
    dz = dx = None
    if ctx.needs_input_grad[0]:
        for layer, dy in zip(layers, dys, strict=True):
            dz = dy @ layer.weight if dz is None else dz.addmm_(dy, layer.weight)
    gradients: list[Tensor | None] = [None] * (4 * len(layers))
    if adapted:
        backs = [_scaled(dys[i], layers[i].B.T, multipliers[i]) for i in adapted]
        back = backs[0] if len(backs) == 1 else torch.cat(backs, dim=1)
        if dz is None:
            joint_d_a = back.T @ as_type(before.again(x), back.dtype)
        else:
            a = _rank_first(layers, adapted)
            joint_d_a, dx = before.backward_with_product(dz, x, kept, back, a)
        joint = (_parts_of(each, layers, adapted) for each in (joint_d_a.T, thin))
        for i, d_a, z_a in zip(adapted, *joint):
            d_b = _scaled(z_a.T, dys[i], multipliers[i])
            gradients[4 * i + 2 : 4 * i + 4] = d_a, d_b
    elif dz is not None:
        dx = before.backward(dz, x, kept)
    return None if dx is None else dx.view(ctx.shape), None, None, *gradients


def _scaled(one: Tensor, other: Tensor, multiplier: float) -> Tensor:
    """Returns multiplier · one other in one operation; what `addmm` adds is ignored for beta 0."""
    return torch.addmm(one.new_empty(1, 1), one, other, beta=0, alpha=multiplier)


def _by_layer(tensors: Sequence[Tensor | None]) -> list[Factors]:
    """Puts the flat sequence that autograd sees back into one `Factors` a layer."""
    return [Factors(*tensors[i : i + 4]) for i in range(0, len(tensors), 4)]


def _rank_first(layers: Sequence[Factors], adapted: Sequence[int]) -> Tensor:
    """All A of the adapted layers, transposed and below each other: (sum of ranks, in)."""
    return torch.cat([layers[i].A.T for i in adapted])


def _parts_of(
    joint: Tensor | None, layers: Sequence[Factors], adapted: Sequence[int]
) -> Sequence[Tensor]:
    """Takes a joint matrix apart again, the columns of each adapted layer; none of none."""
    if len(adapted) < 2:
        return [joint] * len(adapted)
    return joint.split_with_sizes([layers[i].A.shape[1] for i in adapted], dim=1)


def _answers(z: Tensor, layers: Sequence[Factors], multipliers: Sequence[float]) -> list[Tensor]:
    """The outputs for z, (N, in), where nothing is kept for backward."""
    outputs = []
    for (weight, bias, a, b), multiplier in zip(layers, multipliers, strict=True):
        if a is not None and _folding_pays(len(z), weight):
            weight, a = torch.addmm(weight, b.T, a.T, alpha=multiplier), None
        outputs.append(nn.functional.linear(z, weight, bias))
        if a is not None:
            outputs[-1].addmm_(z @ a, b, alpha=multiplier)
    return outputs


def _folding_pays(rows: int, weight: Tensor) -> bool:
    """Whether to add the update to the weight costs less than to add it to `rows` outputs.

    The weight takes 2 · rank · in · out operations, the outputs 2 · rank · rows · (in + out); but
    the sum has to be written somewhere new, which about doubles its cost. Of a weight in fewer
    bits than float32, rounding would take what is small in the update.
    """
    fine = weight.dtype in (torch.float32, torch.float64)
    return fine and rows * sum(weight.shape) > 2 * weight.numel()


def adapted_products(
    x: Tensor, layers: Sequence[nn.Linear | LinearWithLoRA], before: Before | None = None
) -> tuple[Tensor, ...]:
    """Applies layers that read the same f(x), frozen but for their updates.

    Args:
        x: Input of all layers.
        layers: Frozen `nn.Linear`, with or without an update.
        before: f; by default x itself is read.

    Shape:
        x (..., in); each output (..., out).

    Returns:
        One output for each layer.
    """
    parts, multipliers = zip(*map(factors, layers), strict=True)
    tensors = [tensor for part in parts for tensor in part]
    device, dtype = x.device.type, x.dtype
    if torch.is_autocast_enabled(device) and dtype != torch.float64:  # which autocast leaves alone
        dtype = torch.get_autocast_dtype(device)
    tensors = [None if tensor is None else as_type(tensor, dtype) for tensor in tensors]
    if before is None:  # f computes in x's own format, as autocast has a layer norm do
        x = as_type(x, dtype)
    before, learning = before or Identity(), torch.is_grad_enabled()
    with without_autocast(device):
        if learning:
            outputs = AdaptedProducts.apply(x, before, multipliers, *tensors)
        else:
            z = as_type(before.forward(x.reshape(-1, x.shape[-1]))[0], dtype)
            outputs = _answers(z, _by_layer(tensors), multipliers)
    return tuple(y.view(*x.shape[:-1], y.shape[-1]) for y in outputs)
