"""LoRA: beside each frozen linear layer, a trainable update of low rank.

    y = linear(x) + multiplier · x A B,    A (in_dim × rank), B (rank × out_dim)

The names and the default formula keep the interface of appendix E of "Build a Large Language
Model From Scratch" (S. Raschka, 2024), which multiplies by `alpha` itself. The method is Hu et
al. 2021, "LoRA", arXiv:2106.09685, which multiplies by alpha / rank and writes both factors
transposed: its A is (rank × in_dim) and stands on the right.

Freeze, then replace: freezing afterwards stops A and B too; without freezing, everything learns.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from numbers import Integral, Real
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lora_edu.merged_state import store_unmerged
from lora_edu.targets import find_targets, is_conv1d, is_linear_like, linear_dtype, linear_shape

SCALINGS = ("alpha", "alpha/rank", "alpha/sqrt(rank)")
INITS = ("reference", "peft")


def scaling_factor(alpha: float, rank: int, scaling: str = "alpha") -> float:
    """Computes what x A B is multiplied by: alpha, alpha / rank, or alpha / √rank.

    Args:
        alpha: Strength of the update, any finite number.
        rank: Inner width of the update, at least 1.
        scaling: "alpha" (the reference), "alpha/rank" (paper, PEFT), "alpha/sqrt(rank)" (rsLoRA).

    Raises:
        ValueError: `rank` is not a whole number from 1 up, `alpha` is not a finite number, or
            `scaling` is unknown.

    Source:
        arXiv:2106.09685, section 4.1 (alpha / rank); arXiv:2312.03732, theorem 3.2 (alpha / √rank).

    Example:
        >>> [scaling_factor(16, 4, scaling) for scaling in SCALINGS]
        [16.0, 4.0, 8.0]
    """
    if not isinstance(rank, Integral) or isinstance(rank, bool) or rank < 1:
        raise ValueError(f"rank must be a whole number from 1 up, got {rank!r}; try rank=8")
    if not isinstance(alpha, Real) or isinstance(alpha, bool) or not math.isfinite(alpha):
        raise ValueError(f"alpha must be a finite number, got {alpha!r}; try alpha=16")
    if scaling not in SCALINGS:
        raise ValueError(f"scaling must be one of {SCALINGS}, got {scaling!r}")
    divisors = {"alpha": 1, "alpha/rank": rank, "alpha/sqrt(rank)": math.sqrt(rank)}
    return float(alpha / divisors[scaling])


class LoRALayer(nn.Module):
    """A trainable update of rank at most `rank`: x ↦ multiplier · x A B.

    A is random and B is zero, so training starts at the base. PyTorch's Kaiming takes its fan-in
    from the second dimension of the matrix it is given, which makes two customs of one call:
    "reference" draws A as stored here, uniform within ±1/√rank; "peft" draws its transpose, as
    the paper's code and PEFT do, uniform within ±1/√in_dim.

    Args:
        in_dim: Input width; k in the paper.
        out_dim: Output width; d in the paper.
        rank: Inner width; r in the paper. Warns above min(in_dim, out_dim), the most a product
            can use.
        alpha: Strength of the update; `multiplier` follows from it by `scaling_factor`.
        scaling: One of `SCALINGS`.
        init: One of `INITS`.
        device: Where A and B live.
        dtype: Their type.

    Shape:
        Input (..., in_dim); output (..., out_dim); `A` (in_dim, rank); `B` (rank, out_dim).

    Raises:
        ValueError: as `scaling_factor`, or `init` is unknown.

    Source:
        arXiv:2106.09685, section 4.1, equation 3.

    Example:
        >>> LoRALayer(8, 4, rank=2, alpha=4)(torch.ones(3, 8)).shape
        torch.Size([3, 4])
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        rank: int,
        alpha: float,
        *,
        scaling: str = "alpha",
        init: str = "reference",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.multiplier = scaling_factor(alpha, rank, scaling)
        self.rank, self.alpha, self.scaling = int(rank), alpha, scaling
        if init not in INITS:
            raise ValueError(f"init must be one of {INITS}, got {init!r}")
        if rank > min(in_dim, out_dim):
            warnings.warn(
                f"rank {rank} exceeds min(in_dim, out_dim) = {min(in_dim, out_dim)}, which is "
                "the highest rank an update of this layer can have; that much is enough",
                stacklevel=2,
            )
        drawn_shape = (in_dim, rank) if init == "reference" else (rank, in_dim)
        drawn = torch.empty(drawn_shape, device=device, dtype=dtype)
        nn.init.kaiming_uniform_(drawn, a=math.sqrt(5))
        self.A = nn.Parameter(drawn if init == "reference" else drawn.T.contiguous())
        self.B = nn.Parameter(torch.zeros(rank, out_dim, device=device, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_dim) → (..., out_dim)."""
        return self.multiplier * (x @ self.A @ self.B)

    def extra_repr(self) -> str:
        """Returns what `print` shows: sizes, rank, multiplier."""
        sizes = f"{self.A.shape[0]} → {self.B.shape[1]}"
        return f"{sizes}, rank={self.rank}, multiplier={self.multiplier:g}"

    def delta(self) -> Tensor:
        """Returns the update as one matrix, multiplier · A B: (in_dim, out_dim), at least float32.

        `nn.Linear` stores its weight transposed: there, add `delta().T`.
        """
        wide = torch.promote_types(self.A.dtype, torch.float32)
        return self.multiplier * (self.A.to(wide) @ self.B.to(wide))


class LinearWithLoRA(nn.Module):
    """A linear layer with its update beside it: x ↦ linear(x) + lora(x).

    The linear layer is taken as it is, frozen or not. A and B take its device and `linear_dtype`.

    Args:
        linear: An `nn.Linear`, or a Hugging Face `Conv1D`.
        rank: As for `LoRALayer`, and so the rest.
        alpha: Strength of the update.
        scaling: One of `SCALINGS`.
        init: One of `INITS`.

    Raises:
        ValueError: `linear` is no such layer (a wrapped one is not); and as `LoRALayer`.

    Example:
        >>> linear = nn.Linear(8, 4)
        >>> x = torch.ones(3, 8)
        >>> torch.equal(LinearWithLoRA(linear, rank=2, alpha=4)(x), linear(x))  # since B is zero
        True
    """

    def __init__(
        self,
        linear: nn.Module,
        rank: int,
        alpha: float,
        *,
        scaling: str = "alpha",
        init: str = "reference",
    ) -> None:
        super().__init__()
        if not is_linear_like(linear):
            raise ValueError(
                f"linear must be an nn.Linear or a Conv1D, got {type(linear).__name__}; "
                "wrap the linear layers inside it, each once"
            )
        like = {"device": linear.weight.device, "dtype": linear_dtype(linear)}
        self.linear = linear
        self.lora = LoRALayer(
            *linear_shape(linear), rank, alpha, scaling=scaling, init=init, **like
        )
        self.merged = False
        store_unmerged(self)
        self.train(linear.training)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_dim) → (..., out_dim). Once merged, the linear layer does it alone."""
        return self.linear(x) if self.merged else self.linear(x) + self.lora(x)

    @torch.no_grad()
    def merge(self) -> None:
        """Puts the update into the weight: W + delta, added in float32 and rounded once.

        The linear layer gets a new weight; the old one is kept aside, untouched. A weight tied
        to another layer's is therefore untied, and the other layer keeps the old one, until
        `unmerge`. Merging twice is merging once. A state dict holds a merged layer unmerged.
        """
        if self.merged:
            return
        old = self.linear.weight
        delta = self.lora.delta() if is_conv1d(self.linear) else self.lora.delta().T
        merged = (old.to(delta.dtype) + delta).to(old.dtype)
        self.linear.weight = nn.Parameter(merged, requires_grad=False)
        self._unmerged = (old,)  # in a tuple: not registered, so not counted and not saved
        self.merged = True

    def unmerge(self) -> None:
        """Puts the kept weight back: the same tensor, not a subtraction, and tied as before."""
        if not self.merged:
            return
        (old,) = self._unmerged
        old.data = old.data.to(self.linear.weight)  # the model may have moved meanwhile
        self.linear.weight = old
        del self._unmerged
        self.merged = False


def replace_linear_with_lora(
    model: nn.Module,
    rank: int,
    alpha: float,
    *,
    targets: str | Iterable[str] | None = None,
    scaling: str = "alpha",
    init: str = "reference",
) -> list[str]:
    """Replaces linear layers of `model` by `LinearWithLoRA`, in place; freezes nothing.

    Args:
        model: Any module with linear layers inside. After an error it is unchanged.
        rank: Inner width of each update.
        alpha: Strength of each update.
        targets: Which layers, see `find_targets`. None means every one, a new head and a tied
            output layer included, as in the reference.
        scaling: One of `SCALINGS`.
        init: One of `INITS`.

    Returns:
        The names of the layers replaced, in the model's order.

    Raises:
        ValueError: nothing matches, a match is wrapped already; and as `LoRALayer`.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> freeze(model)
        >>> replace_linear_with_lora(model, rank=2, alpha=4)
        ['0', '2']
        >>> count_parameters(model)
        ParameterCount(total=142, trainable=52)
    """
    layers = {name: model.get_submodule(name) for name in find_targets(model, targets)}
    if twice := [name for name, layer in layers.items() if isinstance(layer, LinearWithLoRA)]:
        raise ValueError(f"{twice} are wrapped already; choose other targets, or a fresh model")
    wrapped = {
        layer: LinearWithLoRA(layer, rank, alpha, scaling=scaling, init=init)
        for layer in dict.fromkeys(layers.values())  # one update for a layer used in two places
    }
    for name, layer in layers.items():
        model.set_submodule(name, wrapped[layer])
    return list(layers)


def freeze(model: nn.Module) -> None:
    """Stops every parameter of `model` from learning. Call it before replacing, not after."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def lora_layers(model: nn.Module) -> dict[str, LinearWithLoRA]:
    """Returns the wrapped layers of `model` by name."""
    return {n: m for n, m in model.named_modules() if isinstance(m, LinearWithLoRA)}


def merge(model: nn.Module) -> None:
    """Merges every wrapped layer of `model`; see `LinearWithLoRA.merge`."""
    for layer in lora_layers(model).values():
        layer.merge()


def unmerge(model: nn.Module) -> None:
    """Restores every merged layer of `model`, bit for bit."""
    for layer in lora_layers(model).values():
        layer.unmerge()


class ParameterCount(NamedTuple):
    """How many numbers a model holds, and how many of them learn."""

    total: int
    trainable: int


def count_parameters(model: nn.Module) -> ParameterCount:
    """Counts parameters; a weight that two layers share counts once."""
    parameters = list(model.parameters())
    return ParameterCount(
        total=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
    )
