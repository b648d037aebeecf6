"""The strength explorer's picture: probabilities of the next token, now and without the adapter."""

from __future__ import annotations

from collections.abc import Mapping

from lora_edu.plots import figure, house_style
from lora_edu.widgets.live import Canvas

MOST_ROWS = 8


class StrengthPicture:
    """Bars for this strength, and a hollow diamond where the base alone stands."""

    def __init__(self) -> None:
        drawn = figure(" ", "probability, per cent", size_inches=(7.2, 3.4))
        axis = drawn.axes[0]
        rows = range(MOST_ROWS)
        with house_style():
            self.bars = axis.barh(rows, [100] * MOST_ROWS, 0.66, color="#0072B2")
            self.bars.set_label("with the adapter at this strength")
            hollow = {"color": "#000000", "markersize": 7, "fillstyle": "none"}
            self.base = axis.plot([0] * MOST_ROWS, rows, "D", label="the base alone", **hollow)[0]
            self.values = [axis.text(101, row, "100", va="center") for row in rows]
            axis.set_xlim(0, 112)
            axis.set_xticks([0, 25, 50, 75, 100])
            axis.set_yticks(rows, ["␣abcdefgh"] * MOST_ROWS)
            axis.set_ylim(MOST_ROWS - 0.5, -0.5)
            axis.grid(False, axis="y")
            axis.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2, borderaxespad=0)
        self.axis = axis
        self.canvas = Canvas(drawn, [*self.bars, self.base, *self.values, axis.title])

    def png(self, title: str, shares: Mapping[str, float], base: Mapping[str, float]) -> bytes:
        """Draws a state.

        Args:
            title: The finding.
            shares: Probability of each row now.
            base: The same for the base alone; empty where it has no such answer.
        """
        names = list(shares)[:MOST_ROWS]
        self.axis.set_title(title)
        self.axis.set_yticks(range(len(names)), names)
        for row, (bar, text) in enumerate(zip(self.bars, self.values, strict=True)):
            share = shares[names[row]] if row < len(names) else 0.0
            bar.set_width(100 * share)
            marked = base.get(names[row], 0.0) if row < len(names) else 0.0
            text.set_x(100 * max(share, marked) + 2)
            text.set_text(f"{100 * share:.0f}" if row < len(names) else "")
        there = [row for row, name in enumerate(names) if name in base]
        self.base.set_data([100 * base[names[row]] for row in there], there)
        return self.canvas.png(scale=tuple(names))
