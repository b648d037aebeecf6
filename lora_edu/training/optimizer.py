"""What the optimizer gets: groups of trainable parameters, and how the learning rate moves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor, nn

from lora_edu.base import plain_modules
from lora_edu.training.precision import PRECISIONS

FUSED_DEVICES = ("cpu", "cuda")  # of those on which torch has a fused AdamW, the ones we test

SCHEDULES = ("linear", "cosine", "constant")

Groups = Callable[[nn.Module, float], list[dict[str, Any]]]


@dataclass(frozen=True)
class Plan:
    """The numbers that a training run follows; `fit` explains each.

    Raises:
        ValueError: one is out of range, with its name, value and the range.

    Example:
        >>> Plan(steps=100, lr=1e-3, warmup_steps=10).learning_rate_factor(4)
        0.5
    """

    steps: int
    lr: float
    weight_decay: float = 0.0
    schedule: str = "linear"
    warmup_steps: int = 0
    clip: float = 1.0
    accumulate: int = 1
    precision: str = "fp32"
    eval_every: int = 1
    monitor: str = "validation_loss"
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "accumulate", "eval_every", "warmup_steps", "patience", "seed"):
            object.__setattr__(self, name, _whole(name, getattr(self, name)))
        for name in ("lr", "weight_decay", "clip"):
            object.__setattr__(self, name, _number(name, getattr(self, name)))
        for name in ("steps", "accumulate", "eval_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience must be at least 1, or None, got {self.patience}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be above 0 and finite, got {self.lr}")
        if not self.clip > 0:
            raise ValueError(f"clip must be above 0 (math.inf is off), got {self.clip}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {SCHEDULES}, got {self.schedule!r}")
        if self.precision not in PRECISIONS:
            raise ValueError(
                f'precision must be "auto" or one of {list(PRECISIONS)}, got {self.precision!r}'
            )

    def learning_rate_factor(self, step: int) -> float:
        """What to multiply the learning rate by at a step (from 0), between 0 and 1.

        A straight line up over `warmup_steps`; then, with p from 0 to 1 over the remaining steps,
        "linear": 1 - p, "cosine": (1 + cos πp) / 2, "constant": 1.
        """
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        p = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        return {"linear": 1 - p, "cosine": (1 + math.cos(math.pi * p)) / 2, "constant": 1.0}[
            self.schedule
        ]


def _whole(name: str, value: Any) -> int | None:
    """A whole number, NumPy's too, as Python's own, which a checkpoint can hold."""
    if value is None and name == "patience":
        return None
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    return int(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} must be a number, got {value!r}")
    return float(value)


def trainable_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Names and parameters that `requires_grad`; a tied one is there once.

    The names are those of the plain model, whatever `torch.compile` or `DistributedDataParallel`
    put around it, so that a checkpoint fits with and without.
    """
    names: dict[Tensor, str] = {}
    for name, module in plain_modules(model).items():
        for part, parameter in module.named_parameters(name, recurse=False):
            if parameter.requires_grad:
                names.setdefault(parameter, part)
    return {name: parameter for parameter, name in names.items()}


def can_be_updated_fused(parameter: Tensor) -> bool:
    """Whether AdamW may update it by one kernel for all parameters, instead of a dozen for each.

    That kernel runs through memory without looking at strides: a parameter must lie as its
    gradient and moments will, which is the layout of `empty_like`. A slice of a tensor does not.

    Example:
        >>> square = torch.ones(4, 4)
        >>> can_be_updated_fused(square.T), can_be_updated_fused(square[:, :2])
        (True, False)
    """
    moment = torch.empty_like(parameter, device="meta")
    return (
        parameter.device.type in FUSED_DEVICES
        and parameter.is_floating_point()
        and parameter.stride() == moment.stride()
    )


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for AdamW: matrices with weight decay; biases and norms (vectors) without.

    Decay pulls towards zero. That is meant for matrices; a bias or a norm's gain has no reason to
    be near zero.

    Source:
        Brown et al. 2020, arXiv:2005.14165, appendix B (decay 0.1); nanoGPT's choice of groups.

    Example:
        >>> groups = parameter_groups(nn.Linear(3, 2), weight_decay=0.1)
        >>> [(len(group["params"]), group["weight_decay"]) for group in groups]
        [(1, 0.1), (1, 0.0)]
    """
    parameters = trainable_parameters(model).values()
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def adamw(groups: list[dict[str, Any]], lr: float) -> torch.optim.AdamW:
    """AdamW over parameter groups; by its fused kernel, where all their parameters allow that.

    Args:
        groups: As `parameter_groups` makes them.
        lr: Learning rate of the groups that bring none of their own.

    Source:
        Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2.
    """
    parameters = [parameter for group in groups for parameter in group["params"]]
    fused = all(map(can_be_updated_fused, parameters))
    return torch.optim.AdamW(groups, lr=lr, fused=fused)
