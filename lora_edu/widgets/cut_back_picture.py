"""The picture of what a cut ΔW is worth in the model: curves that stay, and marks that move."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lora_edu.plots import figure, house_style, line_style
from lora_edu.widgets.canvas import Canvas

Curve = Mapping[int, float]  # by rank

_LOWEST, _HIGHEST = 0, 105  # per cent


class CutBackPicture:
    """Accuracy against rank, a curve for each kind of update, beside the energy that is kept.

    Args:
        curves: Shares by rank, under their names; each gets a mark at the rank that is set.
        levels: Shares that depend on no rank, drawn across, under their names.
    """

    def __init__(self, curves: Mapping[str, Curve], levels: Mapping[str, float]) -> None:
        self._curves = curves
        ranks = sorted({rank for curve in curves.values() for rank in curve})
        drawn = figure(" ", "rank r", "per cent", size_inches=(7.6, 4.2))
        axis = drawn.axes[0]
        with house_style():
            for index, (name, curve) in enumerate(curves.items()):
                at = [math.log2(rank) for rank in curve]
                heights = [100 * share for share in curve.values()]
                axis.plot(at, heights, label=name, **line_style(index, name))
            for name, share in levels.items():
                axis.axhline(100 * share, xmax=0.88, color="#555555", linestyle=":")
                axis.text(math.log2(ranks[-1]) + 0.2, 100 * share, name, va="center", fontsize=8)
            axis.set_xlim(-0.4, math.log2(ranks[-1]) + 1.2)  # room for the names of the levels
            axis.set_xticks([math.log2(rank) for rank in ranks], [str(rank) for rank in ranks])
            axis.set_ylim(_LOWEST, _HIGHEST)
            drawn.legend(loc="outside lower center", ncols=2, fontsize=9)
            self.title = axis.set_title(" ")
            self.rank = axis.axvline(0, color="#555555", linestyle="--")
            ring = {"color": "#000000", "markersize": 11, "fillstyle": "none"}
            self.here = axis.plot([], [], "o", **ring)[0]
            self.live = axis.plot([], [], "*", color="#000000", markersize=13)[0]
        self.canvas = Canvas(drawn, [self.title, self.rank, self.here, self.live])

    def png(self, title: str, rank: int, live: Curve) -> bytes:
        """Draws a state.

        Args:
            title: The finding.
            rank: The rank that is set.
            live: What was measured live, drawn as stars.
        """
        at = math.log2(rank)
        marked = [100 * curve[rank] for curve in self._curves.values() if rank in curve]
        self.title.set_text(title)
        self.rank.set_xdata([at, at])
        self.here.set_data([at] * len(marked), marked)
        self.live.set_data([math.log2(r) for r in live], [100 * share for share in live.values()])
        return self.canvas.png()
