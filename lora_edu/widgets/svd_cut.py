"""Cutting matrices to a rank by SVD: a picture, a random matrix and a measured ΔW side by side.

State in (`CutState`), words and picture out; `svd_cut` puts controls around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ipywidgets
import torch
from torch import Tensor

from lora_edu.budget import layer_parameters
from lora_edu.spectra import energy_kept
from lora_edu.widgets.cut_picture import CutPicture, Panel
from lora_edu.widgets.live import LABELLED, LivePicture, View
from lora_edu.widgets.units import percent

RANKS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192)
#: How the three objects are named.
PICTURE, RANDOM, UPDATE = "picture", "random matrix", "measured ΔW"


@dataclass(frozen=True)
class Factors:
    """A matrix with its singular value decomposition and range of colours, computed once.

    Args:
        matrix: (m, n).
        u: Directions out, as columns.
        values: Strengths, largest first.
        vh: Directions in, as rows.
        low: Lower end of the colour scale: 0, or -high where the matrix has signs.
        high: Its upper end: the largest entry, or 99 % of the entries' sizes lie below it.
    """

    matrix: Tensor
    u: Tensor
    values: Tensor
    vh: Tensor
    low: float
    high: float

    @classmethod
    def of(cls, matrix: Tensor) -> Factors:
        """Decomposes a matrix, and finds the ends of its colour scale."""
        matrix = matrix.double()
        signed = bool((matrix < 0).any())
        high = (matrix.abs().quantile(0.99) if signed else matrix.max()).item()
        factors = torch.linalg.svd(matrix, full_matrices=False)
        return cls(matrix, *factors, -high if signed else 0.0, high)

    def cut(self, rank: int) -> Tensor:
        """The closest matrix of that rank, as `lora_edu.truncate`."""
        return (self.u[:, :rank] * self.values[:rank]) @ self.vh[:rank]

    def energy(self, rank: int) -> float:
        """Share of the energy that the cut keeps."""
        rank = min(rank, len(self.values))
        return energy_kept(self.values)[rank - 1].item() if rank else 0.0


@dataclass(frozen=True)
class CutState:
    """What the learner has set.

    Args:
        rank: The rank all three are cut to.
        block: Block that ΔW is taken from.
        module: Layer of the block, `query` say.
    """

    rank: int = 8
    block: int = 0
    module: str = "query"


def explain(state: CutState, objects: Mapping[str, Factors]) -> str:
    """Says, for each object, what the cut keeps and what it stores.

    Args:
        state: The setting.
        objects: `PICTURE`, `RANDOM` and `UPDATE`.
    """
    kept = ", ".join(
        f"{name} {percent(factors.energy(state.rank))}" for name, factors in objects.items()
    )
    m, n = objects[UPDATE].matrix.shape
    stored = layer_parameters(m, n, state.rank) if state.rank else 0
    return (
        f"Cut to rank {state.rank}, energy kept: {kept}. For ΔW of block {state.block}, "
        f"{state.module} ({m} × {n}), the cut stores r (m + n) = {stored:,} numbers instead of "
        f"{m * n:,}."
    )


def describe(state: CutState, objects: Mapping[str, Factors]) -> str:
    """The picture in words."""
    parts = "; ".join(
        f"{name}, {percent(factors.energy(state.rank))} of the energy"
        for name, factors in objects.items()
    )
    return (
        f"Three columns cut to rank {state.rank}: {parts}. Each shows the cut, the residual, and "
        "the falling singular values with a line where they are cut."
    )


def svd_cut(
    picture: Tensor, updates: Mapping[str, Tensor], *, start: CutState | None = None
) -> LivePicture:
    """Makes the widget.

    Args:
        picture: A picture as a matrix.
        updates: ΔW by parameter name, `blocks.0.attention.query.weight` and so on.
        start: The setting it opens with.
    """
    begin = start or CutState()
    names = {_block_and_module(name): name for name in updates}
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(picture.shape, generator=generator, dtype=torch.float64)
    fixed = {PICTURE: Factors.of(picture), RANDOM: Factors.of(noise)}
    drawing = CutPicture(list(fixed) + [UPDATE])

    @lru_cache(maxsize=64)
    def update_factors(block: int, module: str) -> Factors:
        return Factors.of(updates[names[block, module]])

    def view(values: Mapping[str, Any]) -> View:
        state = CutState(**values)
        objects = fixed | {UPDATE: update_factors(state.block, state.module)}
        panels = [
            Panel(f.matrix, f.cut(state.rank), f.values, f.energy(state.rank), f.low, f.high)
            for f in objects.values()
        ]
        png = drawing.png(f"Cut to rank {state.rank}", state.rank, panels)
        return View(png, describe(state, objects), explain(state, objects))

    blocks, modules = (tuple(dict.fromkeys(key[i] for key in names)) for i in (0, 1))
    choose = {"style": LABELLED}
    controls = {
        "rank": ipywidgets.SelectionSlider(
            options=RANKS, value=begin.rank, description="Rank r", **choose
        ),
        "block": ipywidgets.Dropdown(
            options=blocks, value=begin.block, description="ΔW of block", **choose
        ),
        "module": ipywidgets.Dropdown(
            options=modules, value=begin.module, description="layer", **choose
        ),
    }
    return LivePicture(controls, view, [("rank", "block", "module")], height_px=570)


def _block_and_module(name: str) -> tuple[int, str]:
    """`blocks.0.attention.query.weight` → (0, "query")."""
    parts = name.split(".")
    return int(parts[1]), parts[-2]
