"""Cutting matrices to a rank by SVD: a picture, noise and a measured ΔW side by side.

State in (`CutState`), words out; `components/cut.js` says the same words and draws the cut, the
residual and the singular values. What it answers from, and what of that is rounded, is in
`cut_record.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from lora_edu.budget import layer_parameters
from lora_edu.widgets.component import Component
from lora_edu.widgets.cut_record import NOISE, PICTURE, Data, is_recorded, record, recorded
from lora_edu.widgets.units import percent


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


def finding(state: CutState, data: Data) -> str:
    """The one line above the pictures: how much of its energy each of the three keeps.

    Args:
        state: The setting.
        data: As `cut_record.record` returns it.
    """
    picture, noise, update = (percent(share) for share in _energies(state, data))
    return (
        f"Energy kept at rank {state.rank}: {PICTURE} {picture}, {NOISE} {noise}, "
        f"measured ΔW {update}."
    )


def explain(state: CutState, data: Data) -> str:
    """Says what the cut of ΔW stores.

    Args:
        state: The setting.
        data: As `cut_record.record` returns it.
    """
    m, n = data["objects"][_update(state)]["shape"]
    stored = layer_parameters(m, n, state.rank) if state.rank else 0
    return (
        f"ΔW of block {state.block}, {state.module}, is {m} × {n}, outputs × inputs, as PyTorch "
        "stores it. "
        f"Cut to rank {state.rank} it is r (m + n) = {stored:,} numbers instead of m n = {m * n:,}."
    )


def describe(state: CutState, data: Data) -> str:
    """The picture in words."""
    return (
        f"A picture, noise of random numbers and a measured ΔW (block {state.block}, "
        f"{state.module}), cut to rank {state.rank}. Each shows the cut, what is cut off, and the "
        f"falling singular values with a line where they are cut. {finding(state, data)}"
    )


def svd_cut(
    picture: Tensor, updates: Mapping[str, Tensor], *, start: CutState | None = None
) -> Component:
    """Makes the explorer.

    Args:
        picture: A picture as a matrix.
        updates: ΔW by parameter name, `blocks.0.attention.query.weight` and so on; the first and
            the last block can be chosen.
        start: The setting that it opens with.
    """
    data = recorded() if is_recorded(picture, updates) else record(picture, updates)
    return cut_explorer(data, start or CutState())


def cut_explorer(data: Data, start: CutState) -> Component:
    """Makes the explorer of a record.

    Args:
        data: As `cut_record.record` returns it.
        start: The setting that it opens with.
    """
    shown: dict[str, Any] = {**data, "start": asdict(start)}
    text = f"{finding(start, data)} {explain(start, data)}"
    pictured = start == CutState() and data == recorded()
    return Component("cut", shown, alt=describe(start, data), text=text, pictured=pictured)


def _energies(state: CutState, data: Data) -> list[float]:
    """The shares that picture, noise and ΔW keep."""
    place = data["ranks"].index(state.rank)
    return [data["objects"][name]["energy"][place] for name in (PICTURE, NOISE, _update(state))]


def _update(state: CutState) -> str:
    return f"{state.block}.{state.module}"
