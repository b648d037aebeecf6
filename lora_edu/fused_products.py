"""The arithmetic of adapted layers in one step each way, with as little kept as possible.

For z = f(x) and any number of layers that read the same z, forward computes

    y = z Wᵀ + b + multiplier · (z A) B

and backward, with Z = multiplier · dy Bᵀ computed once,

    dz = dy W + Z Aᵀ,   dA = zᵀ Z,   dB = multiplier · (z A)ᵀ dy.

Three things are saved against the readable layers of `lora.py`: sums are formed in place
(`addmm_`), the thin product z A is kept and dy Bᵀ reused, and z is not kept at all: f is a layer
norm or a GELU, cheap enough to be computed again. A frozen W needs no gradient and W alone for dz.

Source:
    Cherniuk et al. 2023, "RunLoRA", arXiv:2312.03415, on the orders of these products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from lora_edu.lora import LinearWithLoRA


class Identity:
    """f(x) = x."""

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns f(x), and what `backward` needs beside x."""
        return x, ()

    def again(self, x: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """Returns f(x) a second time, (N, in)."""
        return x

    def backward(self, dz: Tensor, x: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """Returns the gradient of x, (N, in)."""
        return dz


class Gelu(Identity):
    """GELU in its tanh approximation, as GPT-2 has it."""

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns f(x); x alone is enough for `backward`."""
        return nn.functional.gelu(x, approximate="tanh"), ()

    def again(self, x: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """Returns f(x) a second time, (N, in)."""
        return nn.functional.gelu(x, approximate="tanh")

    def backward(self, dz: Tensor, x: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """Returns the gradient of x, (N, in)."""
        return torch.ops.aten.gelu_backward(dz, x, approximate="tanh")


class Norm(Identity):
    """A frozen layer norm over the last dimension."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        self.norm = norm

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns f(x), and each row's mean and 1 / standard deviation."""
        norm = self.norm
        z, mean, scale = torch.native_layer_norm(
            x, norm.normalized_shape, norm.weight.to(x.dtype), norm.bias.to(x.dtype), norm.eps
        )
        return z, (mean, scale)

    def again(self, x: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """Returns f(x) a second time, (N, in), from the kept mean and scale."""
        mean, scale = kept
        return torch.addcmul(
            self.norm.bias.to(x.dtype), (x - mean).mul_(scale), self.norm.weight.to(x.dtype)
        ).to(x.dtype)

    def backward(self, dz: Tensor, x: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """Returns the gradient of x, (N, in)."""
        weight, bias = self.norm.weight.to(x.dtype), self.norm.bias.to(x.dtype)
        shape, wanted = self.norm.normalized_shape, [True, False, False]
        return torch.ops.aten.native_layer_norm_backward(dz, x, shape, *kept, weight, bias, wanted)[
            0
        ]


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
    if any(parameter.requires_grad for parameter in linear.parameters()):
        raise ValueError(
            "a fused layer's weight and bias must be frozen, as the fast path computes no "
            "gradient for them; freeze the model, or call unfuse(model) first"
        )
    if not adapted or layer.merged:
        return Factors(linear.weight, linear.bias, None, None), 0.0
    return Factors(linear.weight, linear.bias, layer.lora.A, layer.lora.B), layer.lora.multiplier


class AdaptedProducts(torch.autograd.Function):
    """x → y₁ … yₙ for n layers that read the same f(x); see the head of this module."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        before: Identity,
        multipliers: Sequence[float],
        *tensors: Tensor | None,
    ) -> tuple[Tensor, ...]:
        """Computes all outputs; x and they are (N, in) and (N, out)."""
        layers = [Factors(*tensors[i : i + 4]) for i in range(0, len(tensors), 4)]
        z, kept = before.forward(x)
        thin, outputs = [], []
        for layer, multiplier in zip(layers, multipliers, strict=True):
            y = nn.functional.linear(z, layer.weight, layer.bias)
            if layer.A is not None:
                thin.append(z @ layer.A)
                y.addmm_(thin[-1], layer.B, alpha=multiplier)
            outputs.append(y)
        ctx.before, ctx.multipliers, ctx.layers = before, multipliers, len(layers)
        ctx.save_for_backward(x, *tensors, *thin, *kept)
        ctx.thin, ctx.kept = len(thin), len(kept)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *dys: Tensor) -> tuple[Tensor | None, ...]:
        """Computes the gradients of x, and of each A and B."""
        x, *rest = ctx.saved_tensors
        tensors, rest = rest[: 4 * ctx.layers], rest[4 * ctx.layers :]
        thin, kept = iter(rest[: ctx.thin]), rest[ctx.thin :]
        layers = [Factors(*tensors[i : i + 4]) for i in range(0, len(tensors), 4)]
        z = ctx.before.again(x, kept)
        dz, gradients = None, []
        for layer, multiplier, dy in zip(layers, ctx.multipliers, dys, strict=True):
            d_a = d_b = None
            back = None
            if layer.A is not None:
                back = (dy @ layer.B.T).mul_(multiplier)
                d_a, d_b = z.T @ back, (next(thin).T @ dy).mul_(multiplier)
            if ctx.needs_input_grad[0]:
                dz = dy @ layer.weight if dz is None else dz.addmm_(dy, layer.weight)
                if back is not None:
                    dz.addmm_(back, layer.A.T)
            gradients += [None, None, d_a, d_b]
        dx = ctx.before.backward(dz, x, kept) if ctx.needs_input_grad[0] else None
        return dx, None, None, *gradients


def adapted_products(
    x: Tensor, layers: Sequence[nn.Linear | LinearWithLoRA], before: Identity | None = None
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
    device = x.device.type
    autocast = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device) if autocast else x.dtype
    x = x.to(dtype)
    tensors = [None if tensor is None else tensor.to(dtype) for tensor in tensors]
    with torch.autocast(device, enabled=False):
        flat = x.reshape(-1, x.shape[-1])
        outputs = AdaptedProducts.apply(flat, before or Identity(), multipliers, *tensors)
    return tuple(y.view(*x.shape[:-1], y.shape[-1]) for y in outputs)
