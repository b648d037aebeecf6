"""The memory budget's picture: three stacked bars, and lines where common cards end."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.patches import Rectangle

from lora_edu.budget import GPUS_BYTES, MemoryBudget
from lora_edu.plots import figure, house_style
from lora_edu.widgets.canvas import Canvas
from lora_edu.widgets.units import megabytes

_PARTS = {
    "weights": ("#0072B2", ""),
    "gradients": ("#E69F00", "///"),
    "optimizer": ("#009E73", "..."),
    "activations": ("#CC79A7", "xx"),
}
_STEPS = 4  # ticks beside 0
_NAME_ROWS = (1.02, 1.09, 1.16)  # heights of the names of cards, which would hide each other


def _round_up(size_bytes: float) -> float:
    """The next of 1, 2, 4 and 8 times a power of ten: divides well into `_STEPS`."""
    power = 1.0
    while True:
        for digit in (1, 2, 4, 8):
            if digit * power >= size_bytes:
                return digit * power
        power *= 10


class MemoryPicture:
    """Stacked bars, one a method, on one linear scale that grows with the largest.

    Args:
        names: The methods, from top to bottom.
    """

    def __init__(self, names: Sequence[str]) -> None:
        drawn = figure(" ", "memory of one training step", size_inches=(7.6, 3.6))
        self.axis = axis = drawn.axes[0]
        with house_style():
            self.title = axis.set_title(" ", pad=42)
            self.bars: list[list[Rectangle]] = []
            for part, (colour, hatch) in _PARTS.items():
                style = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.5}
                self.bars.append(
                    list(axis.barh(range(len(names)), [0] * len(names), 0.6, label=part, **style))
                )
            grey = {"color": "#555555", "linestyle": "--", "linewidth": 1.2}
            self.cards = [axis.axvline(0, **grey) for _ in GPUS_BYTES]
            white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            self.totals = [
                axis.text(0, row, "", va="center", bbox=white) for row in range(len(names))
            ]
            at_top = axis.get_xaxis_transform()
            self.card_names = [
                axis.text(0, _NAME_ROWS[0], name, transform=at_top, ha="center", fontsize=8)
                for name in GPUS_BYTES
            ]
            axis.set_yticks(range(len(names)), list(names))
            axis.set_xticks([0, 1], ["0", "1"])
            axis.invert_yaxis()
            axis.grid(False, axis="y")
            axis.legend(loc="lower right", fontsize=9)
        bars = [bar for part in self.bars for bar in part]
        moving = [self.title, *bars, *self.cards, *self.totals, *self.card_names]
        self.canvas = Canvas(drawn, moving)

    def png(self, title: str, budgets: Sequence[MemoryBudget]) -> bytes:
        """Draws a state.

        Args:
            title: What is budgeted.
            budgets: One a method.
        """
        self.title.set_text(f"{title}: LoRA saves {_saved(budgets):.0%}")
        end = _round_up(max(budget.total_bytes for budget in budgets) * 1.12)
        with house_style():
            self.axis.set_xlim(0, end * 1.04)  # room for the last tick's label
            ticks = [end * step / _STEPS for step in range(_STEPS + 1)]
            self.axis.set_xticks(ticks, ["0", *map(megabytes, ticks[1:])])
        for row, budget in enumerate(budgets):
            left = 0.0
            for bars, size in zip(self.bars, _parts(budget), strict=True):
                bars[row].set_x(left)
                bars[row].set_width(size)
                left += size
            self.totals[row].set_x(left + 0.01 * end)
            self.totals[row].set_text(megabytes(left))
        self._place_cards(end)
        return self.canvas.png(scale=end)

    def _place_cards(self, end: float) -> None:
        """Moves the cards' lines; a name takes the first row with room, or is left out."""
        free_from = [0.0 for _ in _NAME_ROWS]
        for line, name, size in zip(self.cards, self.card_names, GPUS_BYTES.values(), strict=True):
            line.set_xdata([size, size])
            name.set_x(size)
            line.set_visible(0.04 * end < size <= end)
            row = next((i for i, free in enumerate(free_from) if size >= free), None)
            name.set_visible(line.get_visible() and row is not None)
            if name.get_visible():
                name.set_y(_NAME_ROWS[row])
                free_from[row] = size + 0.13 * end


def _parts(budget: MemoryBudget) -> tuple[float, float, float, float]:
    return (
        budget.weights_bytes,
        budget.gradients_bytes,
        budget.optimizer_bytes,
        budget.activations_bytes,
    )


def _saved(budgets: Sequence[MemoryBudget]) -> float:
    return 1 - budgets[1].total_bytes / budgets[0].total_bytes
