"""What a block of code changes and puts back: the model's mode, and the random state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Switches dropout off for the block inside; after it, each module has the mode that it had.

    A part that was in evaluation mode inside a model in training, a frozen batch norm for
    instance, stays so.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout().eval())
        >>> with evaluation_mode(model):
        ...     model.training
        False
        >>> model.training, model[1].training
        (True, False)
    """
    modes = modes_of(model)
    model.eval()
    try:
        yield
    finally:
        put_back_modes(model, modes)


def modes_of(model: nn.Module) -> dict[nn.Module, bool]:
    """Returns, for each module in a model, whether it is in training mode."""
    return {module: module.training for module in model.modules()}


def put_back_modes(model: nn.Module, modes: dict[nn.Module, bool]) -> None:
    """Gives each module in a model the mode that it had when `modes_of` was asked."""
    model.train(modes[model])  # its own method first: a class may do more there
    for module, mode in modes.items():
        module.training = mode


@contextmanager
def own_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds torch and `random` for the block inside, and gives the caller's states back after.

    Args:
        seed: Of both.
        device: Whose random state is kept beside the CPU's.

    Example:
        >>> with own_random_state(0, torch.device("cpu")):
        ...     first = torch.rand(1)
        >>> with own_random_state(0, torch.device("cpu")):
        ...     torch.equal(torch.rand(1), first)
        True
    """
    python_state = random.getstate()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python_state)
