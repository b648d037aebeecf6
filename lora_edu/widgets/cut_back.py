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

ENERGY = "energy that the cut keeps"


@dataclass(frozen=True)
class CutBackData:
    """What was recorded, as means over seeds.

    Args:
        accuracy: By kind of update, then by rank. The first kind is ΔW cut.
        energy: Share of ΔW's energy that the cut keeps, by rank.
        whole: Accuracy with ΔW whole.
        nothing: Accuracy at rank 0.
        live_seed: Accuracy of the cut with the seed that a live run repeats, by rank.
    """

    accuracy: Mapping[str, Curve]
    energy: Curve
    whole: float
    nothing: float
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
    cut, energy = next(iter(data.accuracy.values()))[state.rank], data.energy[state.rank]
    return f"Rank {state.rank} keeps {energy:.0%} of the energy; accuracy {cut:.0%}"


def explain(state: CutBackState, data: CutBackData) -> str:
    """Says what the model gets right at this rank, by kind of update, and what a live run said."""
    rows = ", ".join(
        f"{name} {curve[state.rank]:.0%}"
        for name, curve in data.accuracy.items()
        if state.rank in curve
    )
    words = (
        f"Rank {state.rank}. The cut keeps {data.energy[state.rank]:.0%} of ΔW's energy. Accuracy, "
        f"mean over seeds: {rows}; ΔW whole {data.whole:.0%}, rank 0 {data.nothing:.0%}."
    )
    if state.rank in state.live:
        words += (
            f" Live, seed 0: {state.live[state.rank]:.1%}; "
            f"recorded for that seed {data.live_seed[state.rank]:.1%}."
        )
    return words


def describe(state: CutBackState, data: CutBackData) -> str:
    """The picture in words."""
    stars = ", ".join(f"{share:.0%} at rank {rank}" for rank, share in state.live.items())
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
        levels = {"ΔW whole": data.whole, "rank 0": data.nothing}
        self._drawing = CutBackPicture({**data.accuracy, ENERGY: data.energy}, levels)
        ranks = tuple(data.energy)
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
            self._live[rank] = self._measure(rank)
        finally:
            self.button.disabled = False
        self.redraw()
