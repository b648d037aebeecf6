"""The picture of a training run: loss against steps, and accuracy where it is measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.ticker import FixedLocator, MaxNLocator

from lora_edu.plots import (
    DOTS_PER_INCH,
    PHONE_COLOURS,
    PHONE_PX,
    SIZE_INCHES,
    SMOOTHED_STEPS,
    figure,
    house_style,
    line_style,
    png,
    shown_width,
    smoothed,
    wrapped,
)
from lora_edu.training import History
from lora_edu.widgets.canvas import Canvas

_PALE = 0.75  # of the single batches' curve: in LoRA's colour 3 : 1 on white
_LOSS_GRID = 0.5  # the loss axis ends at a multiple of this
_ABOVE_LOSSES = 1.05  # how high the loss axis is beside the highest loss
#: The key is one row above the curves, which cross so often that a name beside one is beside all.
_KEY = {
    "loc": "lower left",
    "bbox_to_anchor": (0, 1),
    "borderaxespad": 0.3,
    "borderpad": 0,
    "handlelength": 1.5,
    "handletextpad": 0.5,
    "columnspacing": 1.1,
}
_KEY_COLUMNS = {True: 2, False: 3}  # on a phone, and elsewhere
#: Of what is measured on validation, in both panels: one colour and one mark, which the name of the
#: loss explains. Another measurement, not points of the line that it crosses: so the marks are
#: hollow. Nothing white is around the dashes, which would bite gaps into the curves beneath.
_VALIDATION = 1  # its place among the styles
_APART = {
    "markersize": 6.5,
    "markerfacecolor": "white",
    "markeredgewidth": 1.6,
}
_ROOM_FOR_MARKER = 0.03  # of the axes' width, at the right
# Height; without a title it is low, so that on a laptop the whole view is seen at once.
_HIGH_INCHES = {True: 3.2, False: 1.75}
# On a phone: the height of each panel, of which one is above the other, and a title's lines.
_PANEL_INCHES, _PHONE_CHARACTERS = 2.4, 42
#: Where the axis of accuracy begins, in per cent: the first of these that is below all of it.
_ACCURACY_FROM = (80, 50, 0)
_ROOM_FOR = 100  # the layout is made once, with room for tick labels as wide as this one


class TrainingPicture:
    """One figure; its curves grow with the history.

    Args:
        steps: Length of the whole run.
        accuracy: Whether evaluations bring an accuracy, which then gets axes of its own.
        titled: Whether the picture says its title itself, as one that is kept.
        phone: Whether it is laid out for a phone.
        name: What is trained. Where it speaks of a concept, such as "LoRA on spam", the training
            loss has the concept's colour.
        before: What was measured before the first step, if anything: drawn at step 0.
    """

    def __init__(
        self,
        steps: int,
        accuracy: bool,
        titled: bool = True,
        *,
        phone: bool = False,
        name: str = "",
        before: Mapping[str, float] | None = None,
    ) -> None:
        panels = 1 + accuracy
        size = SIZE_INCHES[0], _HIGH_INCHES[titled]
        if phone:
            size = PHONE_PX / DOTS_PER_INCH, _PANEL_INCHES * panels
        rows = {"panels": panels, "rows": panels if phone else 1}
        drawn = figure(x_label="step", y_label="loss, nats", size_inches=size, **rows)
        self._phone = phone
        self._before = [] if before is None else [{"step": 0, **before}]
        self._loss_axis = drawn.axes[0]
        strong = line_style(0, name)
        thin = {"color": strong["color"], "alpha": _PALE, "linewidth": 0.8}
        room = " \n " if phone else " "  # lines of a title, and rows of a key
        with house_style():
            title = {"x": 0.01, "ha": "left", "fontsize": 10.5, "fontweight": "bold"}
            self.titles = [drawn.suptitle(room, **title)] if titled else []
            mean = strong | {"marker": "", "label": f"mean of {SMOOTHED_STEPS} steps"}
            self._curves: dict[str, Any] = {
                "batches": self._loss_axis.plot([], [], label="each batch", **thin)[0],
                "training": self._loss_axis.plot([], [], **mean)[0],
                "validation": self._validation(self._loss_axis),
            }
            self._curves["validation"].set_label("validation")
            for axis in drawn.axes:  # keeps room for the key, and panels equally high
                axis.set_title(room, pad=6, fontsize=9)
            self._loss_axis.set_ylim(0, _ROOM_FOR)
            self._loss_axis.yaxis.set_major_formatter("{x:g}")
            self._loss_axis.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
            for axis in drawn.axes:
                axis.set_xlim(0, steps)
                axis.xaxis.set_major_locator(_up_to(steps))
            if accuracy:  # one curve, of validation; a step is as wide as beside it
                self._curves["accuracy"] = self._validation(drawn.axes[1])
                self._curves["accuracy"].set_label("validation")
                drawn.axes[1].set_ylabel("accuracy, %")
                drawn.axes[1].yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
                self._accuracy_from(0)
        self._always = [*self.titles, *self._curves.values()]
        self.canvas = Canvas(drawn, self._always)
        for axis in drawn.axes:
            place = axis.get_position()
            wide = place.width / (1 + _ROOM_FOR_MARKER)
            axis.set_position([place.x0, place.y0, wide, place.height])

    @staticmethod
    def _validation(axis: Any) -> Any:
        curve = axis.plot([], [], clip_on=False, **line_style(_VALIDATION) | _APART)[0]
        curve.set_in_layout(False)
        return curve

    def png(self, title: str, history: History) -> bytes:
        """Draws a history as far as it goes.

        Args:
            title: What is trained, and how far it is; where the picture says that itself.
            history: The record of the run.
        """
        for each in self.titles:
            each.set_text(wrapped(title, _PHONE_CHARACTERS) if self._phone else title)
        self._curves["batches"].set_data(history.steps, history.losses)
        self._curves["training"].set_data(history.steps, smoothed(history.losses))
        alone = len(history.losses) == 1  # a line of one point is not seen
        self._curves["training"].set_marker(line_style(0)["marker"] if alone else "")
        rows = [*self._before, *history.evaluations]
        validation = _measured(rows, "loss")
        self._curves["validation"].set_data(*validation)
        low = 0
        if "accuracy" in self._curves:
            steps, shares = _measured(rows, "accuracy")
            per_cent = [100 * share for share in shares]
            self._curves["accuracy"].set_data(steps, per_cent)
            low = next(each for each in _ACCURACY_FROM if each <= min(per_cent, default=0))
            self._accuracy_from(low)
        seen = [loss for loss in (*history.losses, *validation[1]) if math.isfinite(loss)]
        top = _LOSS_GRID * math.ceil(max(seen, default=1) * _ABOVE_LOSSES / _LOSS_GRID)
        self._loss_axis.set_ylim(0, top)
        keys = [self._key(axis) for axis in self._loss_axis.figure.axes]
        self.canvas.moving = [*self._always, *keys]
        return self.canvas.png(scale=(top, low))

    def _key(self, axis: Axes) -> Legend:
        """Names the curves of a panel that have begun, above them."""
        begun = [curve for curve in axis.lines if len(curve.get_xdata())]
        with house_style():
            return axis.legend(handles=begun, ncols=_KEY_COLUMNS[self._phone], **_KEY)

    def _accuracy_from(self, low: int) -> None:
        """Lets the axis of accuracy begin at `low` per cent, its lowest tick."""
        self._loss_axis.figure.axes[1].set_ylim(low, 100)

    def still(self) -> tuple[bytes, int]:
        """The last picture again, as sharp as all that are kept, and how wide it is shown."""
        for each in self.titles:  # a figure's own text is left out otherwise, also of a file
            each.set_animated(False)
        picture = png(self.canvas.figure, *([PHONE_COLOURS] if self._phone else []))
        for each in self.titles:
            each.set_animated(True)
        return picture, shown_width(self.canvas.figure)


def _up_to(steps: int) -> FixedLocator:
    """About five ticks at round numbers of steps, and none where there are only names."""
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10], integer=True).tick_values(0, steps)
    return FixedLocator([tick for tick in ticks if tick <= steps])


def _measured(
    evaluations: Sequence[Mapping[str, float]], measure: str
) -> tuple[list[float], list[float]]:
    """Steps and values of `measure` on validation."""
    name = f"validation_{measure}"
    rows = [row for row in evaluations if name in row]
    return [row["step"] for row in rows], [row[name] for row in rows]
