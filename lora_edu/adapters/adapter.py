"""An adapter in memory, independent of any model and of any file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lora_edu.lora import scaling_factor


class AdapterError(ValueError):
    """An adapter cannot be saved, read or attached; the message says why and what to do."""


@dataclass(frozen=True)
class Adapter:
    """One task's matrices, and what else it trained; independent of any model.

    Args:
        rank: Inner width of a pair (A, B).
        alpha: With `scaling` and the rank, what A B is multiplied by.
        scaling: One of `lora.SCALINGS`.
        matrices: Name of an adapted layer → (A, B).
        heads: Name of a layer stored whole → its tensors by name, "weight" for example.
        base_fingerprint: Hash of the base's file, or None where the adapter does not say.
        targets: Names, or ends of names, of the layers that must have matrices.
        ranks: Name of an adapted layer → its rank, where that is another.
        alphas: Name of an adapted layer → its alpha, where that is another.
        base_tensors: Name of an adapted layer → tensors of the base itself that came in the file,
            as PEFT adds them for an `lm_head`; the base must have the same.
        listed_heads: Ends of names of layers that must be among `heads`, if the model has them.
        base_model: Name or folder of the causal language model of transformers that it was trained
            on, or None where the adapter does not say.

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
    ranks: dict[str, int] = field(default_factory=dict)
    alphas: dict[str, float] = field(default_factory=dict)
    base_tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    listed_heads: tuple[str, ...] = ()
    base_model: str | None = None

    @property
    def multiplier(self) -> float:
        """What A B is multiplied by, in layers of the usual rank and alpha."""
        return scaling_factor(self.alpha, self.rank, self.scaling)

    def rank_of(self, layer: str) -> int:
        """The rank of an adapted layer."""
        return self.ranks.get(layer, self.rank)

    def alpha_of(self, layer: str) -> float:
        """The alpha of an adapted layer."""
        return self.alphas.get(layer, self.alpha)

    def multiplier_of(self, layer: str) -> float:
        """What A B is multiplied by in an adapted layer."""
        return scaling_factor(self.alpha_of(layer), self.rank_of(layer), self.scaling)

    @property
    def highest_rank(self) -> int:
        """The rank of the layer that has the highest."""
        return max(self.rank_of(layer) for layer in self.matrices)

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


def padded_to_rank(a: Tensor, b: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The same product A B at a higher rank: zero columns in A, zero rows in B.

    Shape:
        A (in, r) and B (r, out) → A (in, rank) and B (rank, out).
    """
    more = rank - a.shape[1]
    return F.pad(a, (0, more)).contiguous(), F.pad(b, (0, 0, 0, more)).contiguous()


def with_common_values(
    matrices: dict[str, tuple[Tensor, Tensor]], alphas: dict[str, float]
) -> dict[str, Any]:
    """The arguments of `Adapter` that say rank and alpha: the usual ones, then the others.

    Args:
        matrices: Name of a layer → (A, B), each of any rank.
        alphas: Name of each of these layers → its alpha.
    """
    ranks = {name: a.shape[1] for name, (a, _) in matrices.items()}
    rank, _ = Counter(ranks.values()).most_common(1)[0]
    alpha, _ = Counter(alphas.values()).most_common(1)[0]
    return {
        "rank": rank,
        "alpha": alpha,
        "ranks": {name: other for name, other in ranks.items() if other != rank},
        "alphas": {name: other for name, other in alphas.items() if other != alpha},
    }
