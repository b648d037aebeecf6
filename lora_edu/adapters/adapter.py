"""An adapter in memory, independent of any model and of any file."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from lora_edu.lora import scaling_factor


class AdapterError(ValueError):
    """An adapter cannot be saved, read or attached; the message says why and what to do."""


@dataclass(frozen=True)
class Adapter:
    """One task's matrices, and its trained head if it has one; independent of any model.

    Args:
        rank: Inner width of every pair.
        alpha: With `scaling`, what A B is multiplied by.
        scaling: One of `lora.SCALINGS`.
        matrices: Name of an adapted layer → (A, B).
        heads: Name of a layer trained in full → its tensors by name, "weight" and maybe "bias".
        base_fingerprint: Hash of the base's file, or None where the adapter does not say.
        targets: Names, or ends of names, of the layers that must have matrices.

    Shape:
        A (in_dim, rank) and B (rank, out_dim), as in `LoRALayer`.
    """

    rank: int
    alpha: float
    scaling: str
    matrices: dict[str, tuple[Tensor, Tensor]]
    heads: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    base_fingerprint: str | None = None
    targets: tuple[str, ...] = ()

    @property
    def multiplier(self) -> float:
        """What A B is multiplied by."""
        return scaling_factor(self.alpha, self.rank, self.scaling)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the stored numbers."""
        return next(iter(self.matrices.values()))[0].dtype

    @property
    def n_parameters(self) -> int:
        """How many numbers the adapter holds, its head included."""
        pairs = [tensor for pair in self.matrices.values() for tensor in pair]
        heads = [tensor for tensors in self.heads.values() for tensor in tensors.values()]
        return sum(tensor.numel() for tensor in pairs + heads)
