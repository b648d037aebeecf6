"""The picture of a training run: loss against steps, and accuracy where it is measured."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from lora_edu.plots import (
    SMOOTHED_STEPS,
    figure,
    house_style,
    line_style,
    png,
    shown_width,
    smoothed,
)
from lora_edu.training import History
from lora_edu.widgets.canvas import Canvas

_LOSS_GRID = 0.5  # the loss axis ends at a multiple of this
# Another measurement, not points of the line that it crosses: hollow marks, white around all.
_APART = {
    "markersize": 6.5,
    "markerfacecolor": "white",
    "markeredgewidth": 1.6,
    "path_effects": [withStroke(linewidth=3.6, foreground="white")],
}
_ROOM_FOR = 100  # the layout is made once, with room for tick labels as wide as this one


class TrainingPicture:
    """One figure; its curves grow with the history.

    Args:
        steps: Length of the whole run.
        accuracy: Whether evaluations bring an accuracy, which then gets axes of its own.
    """

    def __init__(self, steps: int, accuracy: bool) -> None:
        drawn = figure(
            x_label="step", y_label="loss (nats)", panels=1 + accuracy, size_inches=(7.6, 3.2)
        )
        self._loss_axis = drawn.axes[0]
        thin = {"color": line_style(0)["color"], "alpha": 0.55, "linewidth": 0.8}
        thin["label"] = "each batch"
        with house_style():
            self.title = drawn.suptitle(" ", x=0.01, ha="left", fontsize=10.5, fontweight="bold")
            self._curves: dict[str, Any] = {
                "batches": self._loss_axis.plot([], [], **thin)[0],
                "training": self._curve(0, 0, f"mean of {SMOOTHED_STEPS} steps", marker=""),
                "validation": self._curve(0, 1, "validation", **_APART),
            }
            self._loss_axis.set_ylim(0, _ROOM_FOR)
            self._loss_axis.yaxis.set_major_formatter("{x:g}")
            self._loss_axis.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            if accuracy:  # one curve, which its axis names
                self._curves["accuracy"] = self._curve(1, 2, "accuracy")
                drawn.axes[1].set_ylabel("accuracy on validation (%)")
                drawn.axes[1].set_ylim(0, 105)
            for axis in drawn.axes:
                axis.set_xlim(0, 1.03 * steps)  # room for the last marker
                axis.set_title(" ")  # keeps a line free for the names of the curves
        self._named: list[tuple[str, str]] = []
        self.canvas = Canvas(drawn, [self.title, *self._curves.values()])

    def _curve(self, panel: int, style: int, label: str, **changed: Any) -> Any:
        axis = self._loss_axis.figure.axes[panel]
        return axis.plot([], [], label=label, **line_style(style) | changed)[0]

    def png(self, title: str, history: History) -> bytes:
        """Draws a history as far as it goes.

        Args:
            title: What is trained, and how far it is.
            history: The record of the run.
        """
        self.title.set_text(title)
        self._curves["batches"].set_data(history.steps, history.losses)
        self._curves["training"].set_data(history.steps, smoothed(history.losses))
        alone = len(history.losses) == 1  # a line of one point is not seen
        self._curves["training"].set_marker(line_style(0)["marker"] if alone else "")
        validation = _measured(history, "loss")
        self._curves["validation"].set_data(*validation)
        if "accuracy" in self._curves:
            steps, shares = _measured(history, "accuracy")
            self._curves["accuracy"].set_data(steps, [100 * share for share in shares])
        seen = [loss for loss in (*history.losses, *validation[1]) if math.isfinite(loss)]
        top = _LOSS_GRID * math.ceil(max(seen, default=1) * 1.05 / _LOSS_GRID)
        self._loss_axis.set_ylim(0, top)
        return self.canvas.png(scale=(top, *self._name_curves()))

    def still(self) -> tuple[bytes, int]:
        """The last picture again, as sharp as all that are kept, and how wide it is shown."""
        self.title.set_animated(False)  # a figure's own text is left out otherwise, also of a file
        picture = png(self.canvas.figure)
        self.title.set_animated(True)
        return picture, shown_width(self.canvas.figure)

    def _name_curves(self) -> list[tuple[str, str]]:
        """Gives the losses a legend of those that have begun; returns their names and markers."""
        axis = self._loss_axis
        lines = [line for line in axis.get_lines() if len(line.get_xdata())]
        names = [(str(line.get_label()), str(line.get_marker())) for line in lines]
        if names != self._named:
            with house_style():
                above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
                row = {"ncols": 3, "columnspacing": 1.2, "handlelength": 2.2}
                axis.legend(handles=lines, fontsize=8.5, **above, **row)
            self._named = names
        return names


def _measured(history: History, measure: str) -> tuple[list[float], list[float]]:
    """Steps and values of `measure` on validation."""
    name = f"validation_{measure}"
    rows = [row for row in history.evaluations if name in row]
    return [row["step"] for row in rows], [row[name] for row in rows]
