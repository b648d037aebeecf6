"""LoRA: beside each frozen linear layer, a trainable update of low rank.

    y = linear(x) + multiplier · x A B,    A (in_dim × rank), B (rank × out_dim)

    freeze(model)                                       # 1. nothing learns,
    replace_linear_with_lora(model, rank=8, alpha=16)   # 2. but the new A and B,
    fit(model, batches, loss, lr=1e-3, steps=100)       # 3. in a loop like any other

In this order: freezing afterwards stops A and B too; without freezing, everything learns.

Source:
    Hu et al. 2021, "LoRA", arXiv:2106.09685, section 4.1. It divides the multiplier by the rank,
    and writes both factors transposed: its A is (rank × in_dim) and comes second. The names and
    the default multiplier, `alpha`, are those of appendix E of "Build a Large Language Model From
    Scratch" (S. Raschka), as printed in 2024; its repository divides, too, since September 2025.
"""

from __future__ import annotations

import math
import warnings
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor, nn

from lora_edu.base import remember_base
from lora_edu.targets import Targets, adaptable_layers, check_adaptable, is_conv1d, linear_shape

SCALINGS = ("alpha", "alpha/rank", "alpha/sqrt(rank)")
INITS = ("reference", "peft")


class LoRALayer(nn.Module):
    """A trainable update of rank at most `rank`: x ↦ multiplier · x A B.

    A is random and B is zero, so training starts at the base. PyTorch's Kaiming takes its fan-in
    from the second dimension of the matrix it is given, which makes two customs of one call:
    "reference" draws A as stored here, uniform within ±1/√rank; "peft" draws its transpose, as
    the paper's code and PEFT do, uniform within ±1/√in_dim.

    There is no dropout on x, which the paper's code and PEFT can have: nothing in the course needs
    it, and without it an adapted layer is one function, in training as when merged.

    Args:
        in_dim, out_dim: Widths of input and output; k and d in the paper.
        rank: Inner width; r in the paper. Above min(in_dim, out_dim) it is of no use, and warns.
        alpha: Strength of the update; `multiplier` follows from it by `scaling_factor`.
        scaling, init: One of `SCALINGS`, one of `INITS`.
        device, dtype: Of A and B.

    Shape:
        Input (..., in_dim); output (..., out_dim); `A` (in_dim, rank); `B` (rank, out_dim).

    Raises:
        ValueError: as `scaling_factor`, or `init` is unknown.
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
        self.rank, self.alpha, self.scaling, self.init = int(rank), alpha, scaling, init
        if init not in INITS:
            raise ValueError(f"init must be one of {INITS}, got {init!r}")
        if rank > (most := min(in_dim, out_dim)):
            text = f"rank {rank} exceeds min(in_dim, out_dim) = {most}, the highest rank that an "
            warnings.warn(f"{text}update of this layer can have; {most} is enough", stacklevel=2)
        self.A = nn.Parameter(torch.empty(in_dim, rank, device=device, dtype=dtype))
        self.B = nn.Parameter(torch.empty(rank, out_dim, device=device, dtype=dtype))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Starts anew: A random, B zero."""
        drawn = self.A.new_empty(self.A.T.shape if self.init == "peft" else self.A.shape)
        nn.init.kaiming_uniform_(drawn, a=math.sqrt(5))
        self.A.copy_(drawn.T if self.init == "peft" else drawn)
        self.B.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_dim) → (..., out_dim), computed in the type of A and B."""
        return self.multiplier * (x.to(self.A.dtype) @ self.A @ self.B)

    def delta(self) -> Tensor:
        """Returns the update as one matrix, multiplier · A B: (in_dim, out_dim), at least float32.

        `nn.Linear` stores its weight transposed: there, add `delta().T`.
        """
        wide = torch.promote_types(self.A.dtype, torch.float32)
        with torch.autocast(self.A.device.type, enabled=False):
            return self.multiplier * (self.A.to(wide) @ self.B.to(wide))

    def extra_repr(self) -> str:
        """Returns what `print` shows: sizes, rank, multiplier."""
        sizes = f"{len(self.A)} → {self.B.shape[1]}"
        return f"{sizes}, rank={self.rank}, multiplier={self.multiplier:g}"

    def _apply(self, *arguments: Any) -> nn.Module:
        had_storage = not self.A.is_meta
        super()._apply(*arguments)
        if not had_storage and not self.A.is_meta:  # `to_empty` leaves whatever was in memory
            self.reset_parameters()
        return self


class LinearWithLoRA(nn.Module):
    """A linear layer with its update beside it: x ↦ linear(x) + lora(x).

    The linear layer is taken as it is, frozen or not. A and B are in float32 even where its weight
    has fewer bits, since an optimizer's small steps would be lost in those. Some models read the
    weight of a layer instead of calling it: they get `weight`, the two together.

    Args:
        linear: An `nn.Linear`, or a Hugging Face `Conv1D`.
        rank, alpha, options: As for `LoRALayer`; `options` are `scaling` and `init`.

    Raises:
        ValueError: `linear` cannot be adapted, see `targets.refusal`; and as `LoRALayer`.
    """

    def __init__(self, linear: nn.Module, rank: int, alpha: float, **options: str) -> None:
        super().__init__()
        check_adaptable({"linear": linear})
        dtype = torch.promote_types(linear.weight.dtype, torch.float32)
        like = {"device": linear.weight.device, "dtype": dtype}
        self.linear, self.merged = linear, False
        self.lora = LoRALayer(*linear_shape(linear), rank, alpha, **options, **like)
        self.register_state_dict_post_hook(_write_unmerged)
        self.register_load_state_dict_pre_hook(_unmerge_first)
        self.train(linear.training)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in_dim) → (..., out_dim). Once merged, the linear layer does it alone."""
        y = self.linear(x)
        return y if self.merged else (y + self.lora(x)).to(y.dtype)

    @property
    def weight(self) -> Tensor:
        """W plus the update, to be read: (out_dim, in_dim), or the other way round in a Conv1D."""
        W = self.linear.weight
        if self.merged:
            return W
        delta = self.lora.delta() if is_conv1d(self.linear) else self.lora.delta().T
        return (W.to(delta.dtype) + delta).to(W.dtype)

    bias = property(lambda self: self.linear.bias, doc="The linear layer's.")
    in_features = nx = property(lambda self: self.lora.A.shape[0], doc="in_dim.")
    out_features = nf = property(lambda self: self.lora.B.shape[1], doc="out_dim.")

    @torch.no_grad()
    def merge(self) -> None:
        """Puts the update into the weight: W + delta, added in float32 and rounded once.

        The linear layer gets a new weight; the old one is kept aside, untouched. A weight tied to
        another layer's is untied until `unmerge`, and the other layer keeps the old one. A layer
        that was pruned or quantized since is refused. Merging twice is merging once.
        """
        if self.merged:
            return
        check_adaptable({"linear": self.linear})
        old, self.linear.weight = self.linear.weight, nn.Parameter(self.weight, requires_grad=False)
        self._unmerged = (old,)  # in a tuple: not registered, so not counted and not saved
        self.merged = True

    def unmerge(self) -> None:
        """Puts the kept weight back: the same tensor, not a subtraction, and tied as before."""
        if self.merged:
            (old,) = self.__dict__.pop("_unmerged")
            old.data = old.data.to(self.linear.weight)  # the model may have moved meanwhile
            self.linear.weight, self.merged = old, False


def freeze(model: nn.Module) -> None:
    """Stops every parameter of `model` from learning. Call it before replacing, not after."""
    model.requires_grad_(False)


def replace_linear_with_lora(
    model: nn.Module, rank: int, alpha: float, *, targets: Targets = None, **options: str
) -> list[str]:
    """Replaces linear layers of `model` by `LinearWithLoRA` and names them; freezes nothing.

    Args:
        model: Any module with linear layers inside. After an error it is unchanged.
        rank: Inner width of each update.
        alpha: Strength of each update.
        targets: Which layers, see `find_targets`. None means all of them, as in the reference,
            also a new head and a tied output layer.
        options: `scaling` and `init`, as for `LoRALayer`.

    Raises:
        ValueError: as `adaptable_layers` and `LoRALayer`.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> freeze(model)
        >>> replace_linear_with_lora(model, rank=2, alpha=4)
        ['0', '2']
    """
    layers = adaptable_layers(model, targets)
    wrapped = {
        layer: LinearWithLoRA(layer, rank, alpha, **options)
        for layer in dict.fromkeys(layers.values())  # one update for a layer used in two places
    }
    remember_base(model)  # `adapter_of` compares
    for name, layer in layers.items():
        model.set_submodule(name, wrapped[layer])
    return list(layers)


def lora_layers(model: nn.Module) -> dict[str, LinearWithLoRA]:
    """Returns the wrapped layers of `model` by name."""
    return {n: m for n, m in model.named_modules() if isinstance(m, LinearWithLoRA)}


def merge(model: nn.Module) -> None:
    """Merges every wrapped layer of `model`, or none where one is refused."""
    layers = lora_layers(model)
    check_adaptable({name: layer.linear for name, layer in layers.items() if not layer.merged})
    for layer in layers.values():
        layer.merge()


def unmerge(model: nn.Module) -> None:
    """Restores every merged layer of `model`, bit for bit."""
    for layer in lora_layers(model).values():
        layer.unmerge()


def scaling_factor(alpha: float, rank: int, scaling: str = "alpha") -> float:
    """Computes what x A B is multiplied by: alpha, alpha / rank, or alpha / √rank.

    Args:
        alpha: Any finite number.
        rank: Any whole number from 1 up.
        scaling: "alpha", "alpha/rank", or rsLoRA's (arXiv:2312.03732) "alpha/sqrt(rank)".

    Raises:
        ValueError: an argument is none of these.

    Example:
        >>> [scaling_factor(16, 4, scaling) for scaling in SCALINGS]
        [16.0, 4.0, 8.0]
    """
    if not isinstance(rank, Integral) or isinstance(rank, bool) or rank < 1:
        raise ValueError(f"rank must be a whole number from 1 up, got {rank!r}; try rank=8")
    try:
        finite = isinstance(alpha, Real) and not isinstance(alpha, bool) and math.isfinite(alpha)
    except OverflowError:  # a whole number that no float can hold
        finite = False
    if not finite:
        raise ValueError(f"alpha must be a finite number, got {alpha!r:.30}; try alpha=16")
    if scaling not in SCALINGS:
        raise ValueError(f"scaling must be one of {SCALINGS}, got {scaling!r}")
    divisors = {"alpha": 1, "alpha/rank": rank, "alpha/sqrt(rank)": math.sqrt(rank)}
    return float(alpha / divisors[scaling])


# A state dict does not say whether a layer is merged, so it is written, and read, unmerged.
def _write_unmerged(layer: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    if layer.merged:
        name, (weight,) = f"{prefix}linear.weight", layer._unmerged
        weight.data = weight.data.to(state[name])  # the model may have moved since
        state[name] = weight if isinstance(state[name], nn.Parameter) else weight.detach()


def _unmerge_first(layer: nn.Module, *arguments: Any) -> None:
    layer.unmerge()
