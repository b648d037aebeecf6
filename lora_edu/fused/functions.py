"""What comes before a product and is computed again in the backward pass: layer norm and GELU.

torch's GELU with the tanh approximation takes five times as long on a CPU as its tanh. Here it is
composed from quicker operations,

    gelu(x) = x σ(y),   y = 2 √(2/π) (x + 0.044715 x³),   as (1 + tanh u) / 2 = σ(2u),

a few rows at a time, so that what is computed meanwhile stays in the processor's cache. Both
its value and its gradient need σ(y), and so are computed together in the backward pass.

Source:
    Hendrycks and Gimpel 2016, "Gaussian error linear units", arXiv:1606.08415, section 2.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

LINEAR = 2 * math.sqrt(2 / math.pi)
CUBIC = 0.044715 * LINEAR
PART = 65_536  # numbers a thread: 256 kB of float32 for each tensor in between
FEW = 32_768  # up to here one call of torch's is quicker than several


def as_type(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns `tensor.to(dtype)`, (...) → (...); quicker where nothing is to do."""
    return tensor if tensor.dtype == dtype else tensor.to(dtype)


class Before(ABC):
    """A function f that comes before a product; x and z = f(x) are (N, in).

    f computes in the format of x. The products may have a narrower one: that of dz, thin and a.
    """

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns f(x), and what `backward` needs beside x."""

    def again(self, x: Tensor) -> Tensor:
        """Returns f(x) a second time, (N, in)."""
        return self.forward(x)[0]

    @abstractmethod
    def backward(self, dz: Tensor, x: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """Returns the gradient of x, (N, in)."""

    def backward_with_product(
        self, dz: Tensor, x: Tensor, kept: Sequence[Tensor], thin: Tensor, a: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns thinᵀ f(x), (rank, in), and the gradient of x, (N, in), for dz + thin a.

        thin is (N, rank), a (rank, in); dz is changed.
        """
        dz.addmm_(thin, a)
        return thin.T @ as_type(self.again(x), thin.dtype), self.backward(dz, x, kept)


class Identity(Before):
    """f(x) = x."""

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns x."""
        return x, ()

    def backward(self, dz: Tensor, x: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """Returns the gradient of x, (N, in)."""
        return dz


class Norm(Before):
    """A frozen layer norm over the last dimension.

    Raises:
        ValueError: its weight or bias is to learn, which this arithmetic leaves out.
    """

    def __init__(self, norm: nn.LayerNorm) -> None:
        if norm.weight.requires_grad or norm.bias.requires_grad:
            raise ValueError(
                "a fused block's norms must be frozen, as the fast path computes no gradient for "
                "them; freeze the model, or call unfuse(model) first"
            )
        self.norm = norm

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns f(x), and each row's mean and 1 / standard deviation."""
        z, mean, scale = torch.native_layer_norm(x, *self._factors(x.dtype), self.norm.eps)
        return z, (mean, scale)

    def backward(self, dz: Tensor, x: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """Returns the gradient of x, (N, in)."""
        shape, weight, bias = self._factors(x.dtype)
        backward = torch.ops.aten.native_layer_norm_backward
        wanted = [True, False, False]
        return backward(as_type(dz, x.dtype), x, shape, *kept, weight, bias, wanted)[0]

    def _factors(self, dtype: torch.dtype) -> tuple[tuple[int, ...], Tensor, Tensor]:
        """The shape that is normalised, the weight and the bias."""
        norm = self.norm
        return norm.normalized_shape, as_type(norm.weight, dtype), as_type(norm.bias, dtype)


class Gelu(Before):
    """GELU in its tanh approximation, as GPT-2 has it."""

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns f(x); x alone is enough for `backward`."""
        if not _composed(x):
            return nn.functional.gelu(x, approximate="tanh"), ()
        z = torch.empty_like(x)
        for rows, part, (sigmoid,) in _sigmoids(x, 1):
            torch.mul(part, sigmoid, out=z[rows])
        return z, ()

    def backward(self, dz: Tensor, x: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """Returns the gradient of x, (N, in)."""
        return torch.ops.aten.gelu_backward(dz, x, approximate="tanh")

    def backward_with_product(
        self, dz: Tensor, x: Tensor, kept: Sequence[Tensor], thin: Tensor, a: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns thinᵀ f(x), (rank, in), and the gradient of x, (N, in), for dz + thin a.

        thin is (N, rank), a (rank, in); dz is changed into the gradient of x, which is what
        comes in times σ + x σ (1 − σ) y′. f(x) is never whole in memory.
        """
        if not _composed(x):
            return super().backward_with_product(dz, x, kept, thin, a)
        linear = _linear(x)
        wide = as_type(thin.T, linear.dtype)
        product = wide.new_zeros(a.shape)
        dz.addmm_(thin, a)
        for rows, part, (sigmoid, slope, rest) in _sigmoids(x, 3):
            torch.addcmul(linear, part, part, value=3 * CUBIC, out=slope)  # y′
            value = torch.mul(part, sigmoid)
            torch.addcmul(value, value, sigmoid, value=-1, out=rest)
            sigmoid.addcmul_(rest, slope)
            product.addmm_(wide[:, rows], value)
            dz[rows].mul_(sigmoid)
        return as_type(product, x.dtype), dz


def _composed(x: Tensor) -> bool:
    """Whether several quick operations do it sooner than one slow one; a compiler joins them."""
    return x.device.type == "cpu" and x.numel() > FEW and not torch.compiler.is_compiling()


def _sigmoids(x: Tensor, scratch: int) -> Iterator[tuple[slice, Tensor, list[Tensor]]]:
    """Yields rows, x of these rows in float32 or wider, and `scratch` tensors of that shape.

    The first of them holds σ(y); they are the same memory each time.
    """
    linear = _linear(x)
    step = max(1, PART * torch.get_num_threads() // x.shape[1])
    spare = [linear.new_empty(min(step, len(x)), x.shape[1]) for _ in range(scratch)]
    for first in range(0, len(x), step):
        rows = slice(first, first + step)
        part = as_type(x[rows], linear.dtype)
        here = [tensor[: len(part)] for tensor in spare]
        torch.addcmul(linear, part, part, value=CUBIC, out=here[0])  # y / x
        here[0].mul_(part).sigmoid_()
        yield rows, part, here


def _linear(x: Tensor) -> Tensor:
    """`LINEAR` as a tensor without dimensions, in the format that x is computed in."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return torch.tensor(LINEAR, dtype=wide, device=x.device)
