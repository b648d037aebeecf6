"""Equal in every bit: the strictest way to say that nothing changed."""

from __future__ import annotations

import torch
from torch import Tensor


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same type and shape, and agree in every bit.

    `torch.equal` compares numbers: for it 0.0 and -0.0 are equal, and nan differs from itself. In
    which memory the tensors lie, and in which order, does not matter.

    Example:
        >>> zero = torch.zeros(1)
        >>> torch.equal(zero, -zero), same_bits(zero, -zero)
        (True, False)
    """
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(*(_bytes(tensor) for tensor in (one, other)))


def _bytes(tensor: Tensor) -> Tensor:
    plain = tensor.detach().resolve_conj().resolve_neg()
    return plain.cpu().contiguous().reshape(-1).view(torch.uint8)
