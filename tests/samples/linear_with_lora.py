"""Answers to the exercise that asks for the class `LinearWithLoRA`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lora_edu.lora import LinearWithLoRA, LoRALayer
from samples import Samples


def _wrapper(
    forward: Callable[[Any, Tensor], Tensor],
    keep: Callable[[nn.Linear], nn.Linear] = lambda linear: linear,
    shape: Callable[[nn.Linear, int], tuple[int, int, int]] = lambda linear, rank: (
        linear.in_features,
        linear.out_features,
        rank,
    ),
    pass_alpha: bool = True,
    place: Callable[[nn.Module, nn.Linear], nn.Module] = lambda lora, linear: lora.to(
        linear.weight
    ),
) -> type:
    """Makes a LinearWithLoRA with one thing different."""

    class Answer(nn.Module):
        def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
            super().__init__()
            self.linear = keep(linear)
            lora = LoRALayer(*shape(linear, rank), alpha if pass_alpha else 1.0)
            self.lora = place(lora, linear)

    Answer.forward = forward
    return Answer


def _new_linear(linear: nn.Linear) -> nn.Linear:
    return nn.Linear(linear.in_features, linear.out_features)


class _OfTheNotebook(nn.Module):
    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.linear = linear
        self.lora = LoRALayer(linear.in_features, linear.out_features, rank, alpha)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x) + self.lora(x)  # noqa: F821


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


class _Unregistered(nn.Module):
    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.linear = linear
        self.parts = [LoRALayer(linear.in_features, linear.out_features, rank, alpha)]

    @property
    def lora(self) -> nn.Module:
        return self.parts[0]

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.lora(x)


def _detached_weight(self: Any, x: Tensor) -> Tensor:
    return F.linear(x, self.linear.weight.detach(), self.linear.bias) + self.lora(x)


def _sum(self: Any, x: Tensor) -> Tensor:
    return self.linear(x) + self.lora(x)


def _no_gradient_through_linear(self: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        y = self.linear(x)
    return y + self.lora(x)


SAMPLES = {
    "02.linear_with_lora": Samples(
        right=[
            LinearWithLoRA,
            _wrapper(_sum),
            _wrapper(_sum, place=lambda lora, linear: lora.to(dtype=linear.weight.dtype)),
            _wrapper(lambda self, x: self.lora(x) + self.linear(x)),
            _wrapper(
                lambda self, x: F.linear(x, self.linear.weight, self.linear.bias) + self.lora(x)
            ),
            _wrapper(lambda self, x: torch.stack([self.linear(x), self.lora(x)]).sum(0)),
        ],
        wrong=[
            (_OfTheNotebook, "Write self.linear."),
            (_wrapper(lambda self, x: self.lora(x)), "W itself is not factorised"),
            (_wrapper(lambda self, x: self.linear(x)), "does not reach the output"),
            (_wrapper(lambda self, x: self.linear(x) - self.lora(x)), "forward must return"),
            (_wrapper(_sum, keep=_new_linear), "the pretrained ones are lost"),
            (
                _wrapper(
                    _sum,
                    shape=lambda linear, rank: (linear.in_features, linear.out_features, rank + 1),
                ),
                "got (6, 3)",
            ),
            (
                _wrapper(
                    _sum,
                    shape=lambda linear, rank: (linear.out_features, linear.in_features, rank),
                ),
                "got (5, 2)",
            ),
            (_wrapper(_sum, pass_alpha=False), "without alpha"),
            (
                _wrapper(lambda self, x: x @ self.linear.weight.T + self.lora(x)),
                "The bias is missing",
            ),
            (
                _wrapper(lambda self, x: self.linear(x) + 3.0 * self.lora(x)),
                "LoRALayer applies alpha already",
            ),
            (
                _wrapper(lambda self, x: (y := self.linear(x)) + self.lora(y)),
                "beside the layer, not behind it",
            ),
            (_wrapper(lambda self, x: None), "forward returned None: is the return missing?"),
            (_wrapper(_no_gradient_through_linear), "does not pass through linear(x)"),
            (
                _wrapper(lambda self, x: self.linear(x) + self.lora(x).detach()),
                "must not detach the update",
            ),
            (_OtherNames, "self.linear and self.lora"),
            (_Freezes, "freezes the layer that it is given"),
            (_wrapper(_sum, keep=copy.deepcopy), "You copied the linear layer"),
            (_wrapper(lambda self, x: self.linear(x) * self.lora(x)), "since you multiply"),
            (_wrapper(_detached_weight), "No gradient reaches W"),
            (_wrapper(_sum, shape=lambda linear, rank: (6, 5, 2)), "take the sizes from the layer"),
            (_Unregistered, "assign self.lora as an nn.Module"),
            (_wrapper(_sum, place=lambda lora, linear: lora), "Add .to(linear.weight) after"),
        ],
    ),
}
