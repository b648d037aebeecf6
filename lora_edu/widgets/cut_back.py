"""A cut ΔW put back into the model: energy kept and accuracy kept, at any rank.

State in (`CutBackState`), words and picture out; `CutBack` puts controls around them. It answers
from recorded runs at once; a button cuts, puts back and tests on this machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ipywidgets

from lora_edu.widgets.cut_back_picture import Curve, CutBackPicture
from lora_edu.widgets.live import LABELLED, LivePicture, View
from lora_edu.widgets.units import percent, whole_percent

ENERGY = "energy that the cut keeps"


@dataclass(frozen=True)
class CutBackData:
    """What was recorded, as means over seeds.

    Args:
        accuracy: By kind of update, then by rank. The first kind is ΔW cut.
        energy: Share of ΔW's energy, by kind of update, then by rank. The cut's is drawn.
        levels: Accuracies that no rank changes, such as that of ΔW whole, under their names.
        live_seed: Accuracy of the cut with the seed that a live run repeats, by rank.
    """

    accuracy: Mapping[str, Curve]
    energy: Mapping[str, Curve]
    levels: Mapping[str, float]
    live_seed: Curve


@dataclass(frozen=True)
class CutBackState:
    """What is set, and what has been measured live.

    Args:
        rank: r.
        live: Accuracy by rank.
    """

    rank: int
    live: Curve = field(default_factory=dict)


def finding(state: CutBackState, data: CutBackData) -> str:
    """The picture's title: energy and accuracy of the cut at this rank."""
    cut, energy = (next(iter(each.values()))[state.rank] for each in (data.accuracy, data.energy))
    kept, right = whole_percent(energy), whole_percent(cut)
    return f"Rank {state.rank} keeps {kept} of the energy; accuracy {right}"


def explain(state: CutBackState, data: CutBackData) -> str:
    """Says what the model gets right at this rank, by kind of update, and what a live run said."""
    energy, accuracy = (_at(state.rank, curves) for curves in (data.energy, data.accuracy))
    levels = ", ".join(f"{name} {whole_percent(share)}" for name, share in data.levels.items())
    words = (
        f"Rank {state.rank}. Energy kept: {energy}. "
        f"Accuracy, mean over seeds: {accuracy}; {levels}."
    )
    if state.rank in state.live:
        words += (
            f" Live, seed 0: {percent(state.live[state.rank])}; "
            f"recorded for that seed {percent(data.live_seed[state.rank])}."
        )
    return words


def _at(rank: int, curves: Mapping[str, Curve]) -> str:
    """The shares at a rank, under their names, of those curves that reach it."""
    return ", ".join(
        f"{name} {whole_percent(curve[rank])}" for name, curve in curves.items() if rank in curve
    )


def describe(state: CutBackState, data: CutBackData) -> str:
    """The picture in words."""
    stars = ", ".join(
        f"{whole_percent(share)} at rank {rank}" for rank, share in state.live.items()
    )
    return (
        f"Accuracy against rank for {', '.join(data.accuracy)}, and a curve of the {ENERGY}. "
        f"{finding(state, data)}." + (f" Stars, measured live: {stars}." if stars else "")
    )


class CutBack(LivePicture):
    """The widget, shown by `_ipython_display_`.

    Args:
        data: What was recorded.
        live: rank → accuracy, measured now.
    """

    def __init__(self, data: CutBackData, live: Callable[[int], float]) -> None:
        self._data, self._measure = data, live
        self._live: dict[int, float] = {}
        cut_energy = next(iter(data.energy.values()))
        self._drawing = CutBackPicture({**data.accuracy, ENERGY: cut_energy}, data.levels)
        ranks = tuple(cut_energy)
        self.button = ipywidgets.Button(
            description="Run it live", tooltip="Cut ΔW, put it back and test, on this machine"
        )
        self.button.on_click(self.run_live)
        slider = ipywidgets.SelectionSlider(
            options=ranks, value=ranks[0], description="Rank r", style=LABELLED
        )
        super().__init__({"rank": slider}, self._view, [("rank",)], height_px=465)
        first, *others = self.widget.children
        first.children = (*first.children, self.button)
        self.widget.children = (first, *others)

    def _view(self, values: Mapping[str, Any]) -> View:
        state = CutBackState(values["rank"], dict(self._live))
        picture = self._drawing.png(finding(state, self._data), state.rank, state.live)
        return View(picture, describe(state, self._data), explain(state, self._data))

    def run_live(self, _: Any = None) -> None:
        """Measures the accuracy at the rank that is set, and adds it as a star."""
        rank = self.values["rank"]
        self.button.disabled = True
        try:
            with self.error_line:
                self._live[rank] = self._measure(rank)
                self.redraw()
        finally:
            self.button.disabled = False
