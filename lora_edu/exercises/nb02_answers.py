"""Right and known wrong answers to the exercises of notebook 02; tests run the checkers on them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lora_edu.lora import LinearWithLoRA, LoRALayer

# 02.lora_layer


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
    end: Callable[[Tensor], Any] = lambda update: update,
) -> type:
    """Makes a LoRALayer with one thing different."""

    class Answer(nn.Module):
        def __init__(self, in_dim: int, out_dim: int, rank: int, alpha: float) -> None:
            super().__init__()
            self.A, self.B = keep(draw_A(in_dim, rank)), keep(draw_B(rank, out_dim))
            self.scale = multiplier(alpha, rank)

        def forward(self, x: Tensor) -> Tensor:
            update = self.scale * (x @ self.A @ self.B)
            return end(x[..., :1] + update if add_input else update)

    return Answer


class _PaperShapes(nn.Module):
    def __init__(self, in_dim: int, out_dim: int, rank: int, alpha: float) -> None:
        super().__init__()
        self.A, self.B = nn.Parameter(torch.randn(rank, in_dim)), nn.Parameter(torch.zeros(1))
        self.B = nn.Parameter(torch.zeros(out_dim, rank))


RIGHT_LAYERS = (LoRALayer, _layer())
WRONG_LAYERS = (
    _layer(draw_B=_random),  # both random
    _layer(draw_A=torch.zeros),  # both zero
    _layer(draw_A=torch.zeros, draw_B=_random),  # the wrong one zero
    _layer(draw_A=lambda rows, columns: _random(columns, rows).T.contiguous()),  # PEFT's draw
    _layer(draw_A=torch.randn),  # not Kaiming
    _layer(multiplier=lambda alpha, rank: alpha / rank),
    _layer(multiplier=lambda alpha, rank: 1.0),
    _layer(multiplier=lambda alpha, rank: alpha * alpha),
    _layer(keep=lambda tensor: tensor),  # not parameters
    _layer(keep=lambda tensor: nn.Parameter(tensor, requires_grad=False)),
    _layer(end=Tensor.detach),
    _layer(end=lambda update: None),  # no return
    _layer(add_input=True),
    _layer(draw_A=lambda rows, columns: _random(rows, rows)),  # a wrong shape
    _PaperShapes,
)

# 02.linear_with_lora


def _wrapper(
    forward: Callable[[Any, Tensor], Tensor],
    renew: bool = False,
    shape: Callable[[nn.Linear, int], tuple[int, int, int]] = lambda linear, rank: (
        linear.in_features,
        linear.out_features,
        rank,
    ),
    pass_alpha: bool = True,
) -> type:
    """Makes a LinearWithLoRA with one thing different."""

    class Answer(nn.Module):
        def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
            super().__init__()
            self.linear = nn.Linear(linear.in_features, linear.out_features) if renew else linear
            self.lora = LoRALayer(*shape(linear, rank), alpha if pass_alpha else 1.0)

    Answer.forward = forward
    return Answer


class _OtherNames(nn.Module):
    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base, self.update = linear, LoRALayer(6, 5, rank, alpha)


class _Freezes(nn.Module):
    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.lora = LoRALayer(linear.in_features, linear.out_features, rank, alpha)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.lora(x)


def _sum(self: Any, x: Tensor) -> Tensor:
    return self.linear(x) + self.lora(x)


def _no_gradient_through_linear(self: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        y = self.linear(x)
    return y + self.lora(x)


RIGHT_WRAPPERS = (LinearWithLoRA, _wrapper(_sum))
WRONG_WRAPPERS = (
    _wrapper(lambda self, x: self.lora(x)),  # W itself is factorised
    _wrapper(lambda self, x: self.linear(x)),  # the update is forgotten
    _wrapper(lambda self, x: self.linear(x) - self.lora(x)),
    _wrapper(_sum, renew=True),
    _wrapper(_sum, shape=lambda linear, rank: (linear.in_features, linear.out_features, rank + 1)),
    _wrapper(_sum, shape=lambda linear, rank: (linear.out_features, linear.in_features, rank)),
    _wrapper(_sum, pass_alpha=False),
    _wrapper(lambda self, x: self.linear(x) + 3.0 * self.lora(x)),  # alpha twice
    _wrapper(lambda self, x: (y := self.linear(x)) + self.lora(y)),  # one behind the other
    _wrapper(lambda self, x: None),  # no return
    _wrapper(_no_gradient_through_linear),
    _wrapper(lambda self, x: self.linear(x) + self.lora(x).detach()),
    _OtherNames,
    _Freezes,
)

# 02.gradient_at_start

WRONG_GRADIENTS = (
    {"W": True, "A": True, "B": True},
    {"W": False, "A": True, "B": True},
    {"W": False, "A": False, "B": True},
    {"W": False, "A": False, "B": False},
    {"W": "False", "A": "True", "B": "False"},
)

# 02.scaling


def _scale(over_rank: Callable[[float, int], float], over_root: Callable[[float, int], float]):
    rules = {"alpha": lambda alpha, rank: alpha, "alpha/rank": over_rank}
    return lambda alpha, rank, scaling: rules.get(scaling, over_root)(alpha, rank)


def _divided(alpha: float, rank: int) -> float:
    return alpha / rank


def _by_root(alpha: float, rank: int) -> float:
    return alpha / math.sqrt(rank)


RIGHT_SCALES = (_scale(_divided, _by_root), _scale(_divided, lambda a, r: a * r**-0.5))
WRONG_SCALES = (
    _scale(lambda alpha, rank: alpha, _by_root),
    _scale(_by_root, _divided),
    _scale(lambda alpha, rank: alpha * rank, _by_root),
    _scale(lambda alpha, rank: rank / alpha, _by_root),
    _scale(lambda alpha, rank: alpha - rank, _by_root),
    _scale(_divided, _divided),
    _scale(_divided, lambda alpha, rank: math.sqrt(alpha / rank)),
    _scale(_divided, lambda alpha, rank: alpha * math.sqrt(rank)),
    _scale(_divided, lambda alpha, rank: alpha - math.sqrt(rank)),
    _scale(lambda alpha, rank: alpha // rank, _by_root),
    lambda alpha, rank, scaling: alpha / rank,
    _scale(_divided, lambda alpha, rank: alpha / (rank**1 / 2)),
)

# 02.merge


def _in_place(linear: nn.Linear, lora: Any) -> Tensor:
    with torch.no_grad():
        linear.weight += lora.alpha * (lora.A @ lora.B).T
    return linear.weight


RIGHT_MERGES = (
    lambda linear, lora: linear.weight + lora.alpha * (lora.A @ lora.B).T,
    lambda linear, lora: linear.weight.detach() + lora.alpha * lora.B.T @ lora.A.T,
)
WRONG_MERGES = (
    lambda linear, lora: linear.weight + lora.alpha * (lora.A @ lora.B),
    lambda linear, lora: linear.weight + (lora.A @ lora.B).T,
    lambda linear, lora: lora.alpha * (lora.A @ lora.B).T,
    lambda linear, lora: copy.deepcopy(linear.weight),
    lambda linear, lora: linear.weight + lora.alpha / 2 * (lora.A @ lora.B).T,  # rank 2
    lambda linear, lora: (linear.weight + lora.alpha * (lora.A @ lora.B).T).T,
    _in_place,
)

# 02.another_pair


def _by_random_matrix(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """Mixes the columns of A; some random matrices are nearly singular, so their inverse rounds."""
    M = torch.randn(3, 3)
    return A @ M, torch.linalg.inv(M) @ B


RIGHT_PAIRS = (
    _by_random_matrix,
    lambda A, B: [2 * A, B / 2],
    lambda A, B: (2 * A, B / 2),
    lambda A, B: (-A, -B),
    lambda A, B: (A.flip(1), B.flip(0)),
    lambda A, B: (A @ (M := torch.eye(3) + torch.ones(3, 3)), torch.linalg.inv(M) @ B),
)
WRONG_PAIRS = (
    lambda A, B: (A, B),
    lambda A, B: (2 * A, 2 * B),
    lambda A, B: (A @ B, torch.eye(5)),
    lambda A, B: A @ B,
    lambda A, B: (A.mul_(2), B.div_(2)),
)

# 02.elbow: the planted rank, and losses by rank as a sweep could give them

CURVES = {
    4: {1: 0.301, 2: 0.080, 3: 0.040, 4: 0.0102, 6: 0.0101, 8: 0.0100, 16: 0.0101},
    6: {2: 0.092, 4: 0.050, 6: 0.0102, 8: 0.0101, 12: 0.0102, 24: 0.0100, 32: 0.0101},
    1: {1: 0.0100, 2: 0.0101, 3: 0.0101, 4: 0.0102},
    3: {1: 0.200, 2: 0.100, 3: 0.0100, 4: 0.0104, 8: 0.0120, 16: 0.0150},
    2: {1: 25.1, 2: 0.77, 3: 0.76, 4: 0.75, 8: 0.78},
}


def _within(share: float) -> Callable[[dict[int, float]], int]:
    return lambda losses: next(
        r for r in sorted(losses) if losses[r] <= share * min(losses.values())
    )


def _largest_gain(losses: dict[int, float]) -> int:
    ranks = list(losses)
    return ranks[
        1 + max(range(len(ranks) - 1), key=lambda i: losses[ranks[i]] - losses[ranks[i + 1]])
    ]


RIGHT_ELBOWS = (_within(1.05), _within(1.5), _within(2.0))
WRONG_ELBOWS = (
    lambda losses: min(losses, key=losses.get),
    _largest_gain,
    lambda losses: list(losses).index(_within(1.5)(losses)),
    _within(1.012),
    _within(10),
    lambda losses: next(r for r in sorted(losses) if losses[r] < min(losses.values()) + 0.05),
    lambda losses: [_within(1.5)(losses)],
    lambda losses: 5,
)
