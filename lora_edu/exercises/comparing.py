"""Comparing a learner's numbers with ours, whatever library and precision they are made in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lora_edu.exercises.core import Wrong

RELATIVE = 1e-5  # float32 keeps about 7 digits; misconceptions differ from the third on
SMALLEST = 1e-9  # where 0 is expected
_AS_TENSOR = (int, float, np.ndarray, np.generic)  # what torch.as_tensor takes in any case


def number(found: Any) -> float:
    """Returns one number of Python, torch, numpy or fractions as a float.

    Args:
        found: What the learner's code returned.

    Raises:
        Wrong: it is text, True or False, or not one number.

    Example:
        >>> number(torch.tensor(0.5)), number(3)
        (0.5, 3.0)
    """
    if isinstance(found, (str, bytes)):
        raise Wrong("This is text. Give the number itself, without quotation marks.")
    if isinstance(found, (bool, np.bool_)) or getattr(found, "dtype", None) == torch.bool:
        raise Wrong("True and False are no numbers here. Give the number itself.")
    try:
        return float(found)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(f"One number is asked for, yours is a {type(found).__name__}.") from None


def numbers(found: Any, otherwise: str) -> list[float]:
    """Returns several numbers, of any library and in any collection, as floats.

    Args:
        found: What the learner's code returned.
        otherwise: What to say where it is no collection.

    Raises:
        Wrong: it is no collection, or one of its members is no number.

    Example:
        >>> numbers(torch.tensor([1, 2]), "Give two numbers.")
        [1.0, 2.0]
    """
    try:
        members = list(found)
    except TypeError:
        raise Wrong(otherwise) from None
    if any(getattr(member, "ndim", 0) for member in members):
        raise Wrong(otherwise)
    return [number(member) for member in members]


def same(found: Any, expected: float) -> bool:
    """Says whether a number is the expected one, but for the rounding of float32.

    Raises:
        Wrong: `found` is text, or True or False.

    Example:
        >>> same(torch.tensor(16) / torch.tensor(10.0).sqrt(), 16 / math.sqrt(10)), same(5.05, 5.06)
        (True, False)
    """
    return math.isclose(number(found), expected, rel_tol=RELATIVE, abs_tol=SMALLEST)


def tensor(found: Any) -> Tensor:
    """Returns a learner's tensor in double precision, without its gradient.

    Args:
        found: What the learner's code returned.

    Raises:
        Wrong: it is no tensor, which the notebook's next cells would need.

    Example:
        >>> tensor(torch.ones(2)).dtype
        torch.float64
    """
    kind = type(found).__name__
    if isinstance(getattr(found, "weight", None), Tensor):
        raise Wrong(f"A tensor is asked for, and you return a whole {kind}: return its `.weight`.")
    if not isinstance(found, Tensor):
        mend = " torch.as_tensor makes one of it." if isinstance(found, _AS_TENSOR) else ""
        raise Wrong(f"A tensor is asked for, as the one given; yours is a {kind}.{mend}")
    return found.detach().double()


def close(found: Any, expected: Tensor) -> bool:
    """Says whether `found` is a tensor of that shape with, but for rounding, those values.

    Args:
        found: What the learner's code returned; its precision does not matter.
        expected: The right tensor.

    Example:
        >>> close(torch.ones(2, 1).double(), torch.ones(2, 1)), close([1, 1], torch.ones(2))
        (True, False)
    """
    return (
        isinstance(found, Tensor)
        and found.shape == expected.shape
        and torch.allclose(found.detach().double(), expected.detach().double(), 1e-4, 1e-5)
    )
