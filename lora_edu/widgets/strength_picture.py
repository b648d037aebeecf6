"""The strength explorer's picture: probabilities of the next token, now and at strength 0."""

from __future__ import annotations

from collections.abc import Mapping

from lora_edu.plots import figure, house_style
from lora_edu.widgets.canvas import Canvas

MOST_ROWS = 8
_FEWEST_ROWS = 5  # so that two bars do not become two walls


class StrengthPicture:
    """Bars for this strength, and a white diamond for strength 0."""

    def __init__(self) -> None:
        drawn = figure(" ", "probability, per cent", size_inches=(7.2, 3.4))
        axis = drawn.axes[0]
        rows = range(MOST_ROWS)
        with house_style():
            self.bars = axis.barh(rows, [100] * MOST_ROWS, 0.66, color="#0072B2")
            self.bars.set_label("with the adapter at this strength")
            diamond = {"color": "#000000", "markersize": 7, "markerfacecolor": "#FFFFFF"}
            self.base = axis.plot([0] * MOST_ROWS, rows, "D", label="at strength 0", **diamond)[0]
            self.values = [axis.text(111, row, "", va="center", ha="right") for row in rows]
            axis.set_xlim(0, 112)  # room for the numbers
            axis.set_xticks([0, 25, 50, 75, 100])
            axis.set_yticks(rows, ["abcdefg(hij)"] * MOST_ROWS)
            axis.set_ylim(MOST_ROWS - 0.5, -0.5)
            axis.grid(False, axis="y")
            axis.legend(loc="upper left", bbox_to_anchor=(0, -0.2), ncols=2, borderaxespad=0)
            self.title = axis.set_title(" ")
        self.axis = axis
        self.canvas = Canvas(drawn, [*self.bars, self.base, *self.values, self.title])

    def png(self, title: str, shares: Mapping[str, float], base: Mapping[str, float]) -> bytes:
        """Draws a state.

        Args:
            title: The finding.
            shares: Probability of each row now.
            base: The same at strength 0; empty where it has no such answer.
        """
        names = list(shares)[:MOST_ROWS]
        self.title.set_text(title)
        self.axis.set_yticks(range(len(names)), names)
        self.axis.set_ylim(max(len(names), _FEWEST_ROWS) - 0.5, -0.5)
        for row, (bar, text) in enumerate(zip(self.bars, self.values, strict=True)):
            used = row < len(names)
            bar.set_width(100 * shares[names[row]] if used else 0)
            text.set_text(f"{100 * shares[names[row]]:.0f} %" if used else "")
        there = [row for row, name in enumerate(names) if name in base]
        self.base.set_data([100 * base[names[row]] for row in there], there)
        return self.canvas.png(scale=tuple(names))
