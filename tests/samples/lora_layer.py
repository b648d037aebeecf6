"""Answers to the exercise that asks for the class `LoRALayer`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lora_edu.lora import LoRALayer
from samples import Samples


def _random(rows: int, columns: int) -> Tensor:
    matrix = torch.empty(rows, columns)
    nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))
    return matrix


def _layer(
    draw_A: Callable[[int, int], Tensor] = _random,
    draw_B: Callable[[int, int], Tensor] = torch.zeros,
    multiplier: Callable[[float, int], float] = lambda alpha, rank: alpha,
    keep: Callable[[Tensor], Any] = nn.Parameter,
    add_input: bool = False,
    multiply: Callable[[Tensor, Tensor], Tensor] = torch.matmul,
    end: Callable[[Tensor], Any] = lambda update: update,
) -> type:
    """Makes a LoRALayer with one thing different."""

    class Answer(nn.Module):
        def __init__(self, in_dim: int, out_dim: int, rank: int, alpha: float) -> None:
            super().__init__()
            self.A, self.B = keep(draw_A(in_dim, rank)), keep(draw_B(rank, out_dim))
            self.scale = multiplier(alpha, rank)

        def forward(self, x: Tensor) -> Tensor:
            update = self.scale * multiply(multiply(x, self.A), self.B)
            return end(x[..., :1] + update if add_input else update)

    return Answer


class _OfTheRepository(_layer()):  # type: ignore[misc]
    """Appendix E as the book's repository has it since September 2025, not as it is printed."""

    def __init__(self, in_dim: int, out_dim: int, rank: int, alpha: float) -> None:
        super().__init__(in_dim, out_dim, rank, alpha)
        self.alpha, self.rank = alpha, rank

    def forward(self, x: Tensor) -> Tensor:
        return (self.alpha / self.rank) * (x @ self.A @ self.B)


class _NumberByNumber(_layer()):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        return self.scale * (x * self.A * self.B)


class _OfTheNotebook(_layer()):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        return self.scale * (x @ A @ B)  # noqa: F821


class _AlphaOfTheNotebook(_layer()):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        return alpha * (x @ self.A @ self.B)  # noqa: F821


class _PaperShapes(nn.Module):
    def __init__(self, in_dim: int, out_dim: int, rank: int, alpha: float) -> None:
        super().__init__()
        self.A, self.B = nn.Parameter(torch.randn(rank, in_dim)), nn.Parameter(torch.zeros(1))
        self.B = nn.Parameter(torch.zeros(out_dim, rank))


class _DrawnByBounds(nn.Module):
    """Kaiming's bounds by hand, the update through F.linear."""

    def __init__(self, in_dim: int, out_dim: int, rank: int, alpha: float) -> None:
        super().__init__()
        self.A = nn.Parameter((2 * torch.rand(in_dim, rank) - 1) / math.sqrt(rank))
        self.B, self.alpha = nn.Parameter(torch.zeros(rank, out_dim)), alpha

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.alpha * (self.A @ self.B).T)


SAMPLES = {
    "02.lora_layer": Samples(
        right=[
            LoRALayer,
            _layer(),
            _layer(keep=lambda tensor: nn.Parameter(tensor.clone())),
            _layer(multiply=lambda x, factor: torch.einsum("...i,ij->...j", x, factor)),
            _layer(multiply=lambda x, factor: x @ factor, end=lambda update: update + 0),
            _DrawnByBounds,
        ],
        wrong=[
            (_layer(draw_B=_random), "both random"),
            (_layer(draw_A=torch.zeros), "both zero"),
            (_layer(draw_A=torch.zeros, draw_B=_random), "other way round"),
            (
                _layer(draw_A=lambda rows, columns: _random(columns, rows).T.contiguous()),
                "as PEFT does",
            ),
            (_layer(draw_A=torch.randn), "reach"),  # not Kaiming
            (_layer(multiplier=lambda alpha, rank: alpha / rank), "since September 2025"),
            (_OfTheRepository, "since September 2025"),
            (_layer(multiplier=lambda alpha, rank: 1.0), "alpha is missing"),
            (_layer(multiplier=lambda alpha, rank: alpha * alpha), "alpha is applied twice"),
            (_layer(keep=lambda tensor: tensor), "must both be nn.Parameter"),
            (
                _layer(keep=lambda tensor: nn.Parameter(tensor, requires_grad=False)),
                "must both learn",
            ),
            (_layer(end=Tensor.detach), "No gradient reaches A and B"),
            (_layer(end=lambda update: None), "forward returned None: is the return missing?"),
            (_layer(add_input=True), "the update alone"),
            (_layer(draw_A=lambda rows, columns: _random(rows, rows)), "is (8, 8)"),
            (_PaperShapes, "the paper's shapes"),
            (_OfTheNotebook, "`A` in your forward is not the layer's own"),
            (_AlphaOfTheNotebook, "Write self.alpha."),
            (_layer(multiplier=lambda alpha, rank: 4.0), "multiplies by 4 whatever alpha is"),
            (_layer(multiply=torch.mm), "in a GPT x is (rows, tokens, width)"),
            (_layer(draw_B=lambda rows, columns: torch.zeros(3, columns)), "B is (3, 32)"),
            (_NumberByNumber, "`*` multiplies number by number; the matrix product is `@`."),
            (
                _layer(multiplier=lambda alpha, rank: nn.Parameter(torch.tensor(alpha))),
                "self.scale is a parameter",
            ),
        ],
    ),
}
