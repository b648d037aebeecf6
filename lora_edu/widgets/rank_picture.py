"""The rank explorer's picture: one figure, whose artists move when the state changes.

Both axes of the curve hold logarithms on linear scales with fixed ticks, so that the axes can be
drawn once and kept: a slider should not wait.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lora_edu.budget import TARGETS
from lora_edu.plots import figure, house_style, line_style
from lora_edu.widgets.canvas import Canvas
from lora_edu.widgets.units import in_words

_TICKS = {10**power: name for power, name in zip(range(2, 13, 2), "100 10k 1M 100M 10G 1T".split())}
_NOWHERE = math.nan


class ExplorerPicture:
    """Trainable parameters against rank, and the share of each kind of layer.

    Args:
        ranks: Ranks of the curve, powers of two.
    """

    def __init__(self, ranks: Sequence[int]) -> None:
        self.log_ranks = [math.log2(rank) for rank in ranks]
        drawn = figure(panels=2, size_inches=(7.6, 3.8))
        curve, bars = drawn.axes
        with house_style():
            self.title = drawn.suptitle(" ", x=0.01, ha="left", fontsize=11, fontweight="bold")
            self.curve = curve.plot([], [], **line_style(0), label="LoRA")[0]
            total = {"color": "#000000", "linestyle": ":", "label": "all parameters"}
            self.total = curve.axhline(0, **total)
            even = {"color": "#009E73", "linestyle": "--", "label": "break-even rank"}
            self.even = curve.axvline(0, ymax=0.84, **even)
            marked = {"color": "#D55E00", "markersize": 11, "linestyle": "none"}
            self.here = curve.plot([], [], marker="o", fillstyle="none", **marked)[0]
            crossed = marked | {"color": "#000000", "markeredgewidth": 2.5}
            self.guess = curve.plot([], [], marker="x", **crossed)[0]
            self.guess_name = curve.text(0, 0, "your prediction", fontsize=8, va="top")
            self.guess_name.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
            curve.set_xlim(-0.5, self.log_ranks[-1] + 0.5)
            curve.set_ylim(2, 12.6)
            curve.set_xticks(self.log_ranks[::2], [f"{rank:g}" for rank in ranks[::2]])
            curve.set_yticks([math.log10(value) for value in _TICKS], list(_TICKS.values()))
            curve.set_xlabel("rank r")
            curve.set_ylabel("trainable parameters")
            curve.legend(loc="upper left", fontsize=8, ncols=2)
            self.bars = bars.barh(range(len(TARGETS)), [0] * len(TARGETS), color="#0072B2")
            self.values = [bars.text(0, row, "", va="center") for row in range(len(TARGETS))]
            bars.set_yticks(range(len(TARGETS)), list(TARGETS))
            bars.invert_yaxis()
            bars.set_xlim(0, 135)
            bars.set_xticks([0, 25, 50, 75, 100])
            bars.set_xlabel("share of the adapter, per cent")
            bars.grid(False)
        moving = [self.title, self.total, self.even, self.curve, self.here]
        predicted = [self.guess, self.guess_name]
        self.canvas = Canvas(drawn, [*moving, *predicted, *self.bars, *self.values])

    def png(
        self,
        *,
        title: str,
        rank: int,
        counts: Sequence[int],
        total: int,
        break_even: float | None,
        by_target: Mapping[str, int],
        prediction: tuple[int, float] | None,
    ) -> bytes:
        """Draws a state.

        Args:
            title: The model's name.
            rank: The rank that is marked.
            counts: Trainable parameters at each rank of the curve; empty without layers.
            total: The model's parameters.
            break_even: The rank at which A and B hold as many numbers as the weights.
            by_target: Trainable parameters a kind of layer at `rank`.
            prediction: Rank and number of the learner's prediction.
        """
        here = sum(by_target.values())
        found = (
            f"LoRA of rank {rank} trains {in_words(here)} numbers" if counts else "no layer chosen"
        )
        self.title.set_text(f"{title}: {found}")
        heights = [math.log10(count) for count in counts]
        self.curve.set_data(self.log_ranks[: len(heights)], heights)
        self.total.set_ydata([math.log10(total)] * 2)
        self.even.set_xdata([_NOWHERE if break_even is None else math.log2(break_even)] * 2)
        self.here.set_data([math.log2(rank)], [math.log10(here) if here else _NOWHERE])
        self._show_prediction(prediction)
        for target, bar, text in zip(TARGETS, self.bars, self.values):
            count = by_target.get(target, 0)
            share = 100 * count / here if count else 0
            bar.set_width(share)
            text.set_x(share + 2)
            text.set_text(in_words(count).replace(" million", "M").replace(" billion", "G"))
            text.set_visible(count > 0)
        return self.canvas.png()

    def _show_prediction(self, prediction: tuple[int, float] | None) -> None:
        """Puts the cross and its name where the prediction is, or takes both away."""
        rank, count = prediction or (1, _NOWHERE)
        across, up = math.log2(rank), math.log10(count)
        self.guess.set_data([across], [up])
        right = across > self.log_ranks[-1] / 2
        self.guess_name.set_ha("right" if right else "left")
        self.guess_name.set_position((across + 0.3 if right else across - 0.3, up - 0.5))
        self.guess_name.set_visible(prediction is not None)
