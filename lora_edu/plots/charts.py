"""Figures: pure functions from data to a matplotlib `Figure`, in the style of `style.py`.

`show(figure, alt=...)` shows one in a notebook, with a text for those who do not see it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike

from lora_edu.plots.axes import label_decades, plain
from lora_edu.plots.curve_names import Beside, name_curves, name_points
from lora_edu.plots.free_places import name_freely
from lora_edu.plots.phone import PHONE_COLOURS, for_phone
from lora_edu.plots.sheet import picture_px
from lora_edu.plots.style import (
    COLOURS,
    CONCEPTS,
    DOTS_PER_INCH,
    HATCHES,
    INK,
    QUIET,
    concept_of,
    figure,
    house_style,
    line_style,
    png,
    shown_width,
    wrapped,
)

if TYPE_CHECKING:
    from lora_edu.plots.display import Picture

__all__ = [
    "Line",
    "bar_chart",
    "figure",
    "house_style",
    "line_chart",
    "line_style",
    "picture",
    "png",
    "point_chart",
    "show",
    "smoothed",
    "stacked_bars",
]

#: A chart of few names is as narrow as a drawing, and breaks its title.
_FEW, _NARROW_INCHES = 5, (picture_px("narrow") / DOTS_PER_INCH, 3.4)
_NARROW_CHARACTERS = 58
_ROOM = 1.12  # above bars, for the labels of the highest
_APART_POINTS = 5.0  # from a curve's whiskers to the next one's, at the same place
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # of a value, above the grid
_LABEL_SHARE = 0.1  # of the highest bar: what a label takes, at most
_LEGEND_CHARACTERS, _KEY_CHARACTERS = 92, 9  # of a row, and those that a line's sign takes of it
_REFERENCE_CHARACTERS = 9  # of a line of its name, right of the bars
SMOOTHED_STEPS = 6  # single batches jump: the strong line is the mean of the last few


@dataclass(frozen=True)
class Line:
    """One series of a line chart.

    Args:
        label: Its name; "" for none. Where it speaks of a concept, such as "LoRA, rank 8", the
            curve has the concept's colour.
        x: Positions.
        y: Values.
        low: Lower ends of the interval around `y`, drawn as whiskers, or None.
        high: Upper ends.
        points: Whether to mark each point; off for long curves.
        quiet: Whether it is there for comparison only, and so is drawn thin and grey.
    """

    label: str
    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None
    points: bool = True
    quiet: bool = False

    def _style(self, index: int) -> dict[str, Any]:
        style = line_style(index, self.label)
        if self.quiet:
            style |= {"color": CONCEPTS["frozen"], "linewidth": 1, "markersize": 3.5}
        return style if self.points else style | {"marker": ""}


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    y_label: str,
    x_log2: bool = False,
    y_log10: bool = False,
    y_log2: bool = False,
    beside: Mapping[str, Beside] | None = None,
) -> Figure:
    """Draws curves, each with whiskers where it has an interval, and its name at its end.

    Where the names find no room there, they are where the chart is free, and only where that fails
    does a legend below have them. Curves with intervals stand a
    little beside each other, as whiskers upon whiskers could not be told apart.

    Args:
        lines: The series.
        title: The finding.
        x_label: Horizontal axis, with the unit.
        y_label: Vertical axis, with the unit.
        x_log2: Space the horizontal axis by powers of two, labelled 1, 2, 4 …
        y_log10: Logarithmic vertical axis.
        y_log2: Space the vertical axis by powers of two.
        beside: Where the names are instead, for curves that do not end at one side: see
            `name_points`.
    """
    made = figure(title, x_label, y_label)
    axis = made.axes[0]
    with house_style():
        curves = []
        for index, line in enumerate(lines):
            curves += axis.plot(line.x, line.y, label=line.label, **line._style(index))
        with_whiskers = [(c, line) for c, line in zip(curves, lines) if line.low is not None]
        for place, (curve, line) in enumerate(with_whiskers):
            for drawn in (curve, *_whiskers(axis, line, curve.get_color())):
                _move(drawn, (place - (len(with_whiskers) - 1) / 2) * _APART_POINTS)
        if x_log2:
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_formatter(plain)
        if y_log2:
            axis.set_yscale("log", base=2)
            axis.yaxis.set_major_formatter(plain)
        if y_log10:
            label_decades(axis)
        if beside:
            name_points(axis, curves, beside)
        elif any(line.label for line in lines) and not (
            name_curves(axis, curves) or name_freely(axis, curves)
        ):
            made.legend(loc="outside lower center", ncols=_columns([line.label for line in lines]))
    return made


def _whiskers(axis: Axes, line: Line, colour: str) -> list[Artist]:
    """Draws a line's intervals: thin, with a mark at each end."""
    stems = axis.vlines(line.x, line.low, line.high, color=colour, linewidth=1, zorder=1.9)
    ends = {"color": colour, "linestyle": "", "marker": "_", "markersize": 6, "zorder": 1.9}
    return [stems, *axis.plot(line.x, line.low, **ends), *axis.plot(line.x, line.high, **ends)]


def _move(drawn: Artist, points: float) -> None:
    """Shows what is drawn so far to the right of its data, which keep their place on the axes."""
    inches = points / 72
    drawn.set_transform(
        drawn.axes.transData + ScaledTranslation(inches, 0, drawn.figure.dpi_scale_trans)
    )


def _columns(names: Sequence[str]) -> int:
    """How many columns a legend has: all names in one row, where there is room for it."""
    if sum(len(name) + _KEY_CHARACTERS for name in names) <= _LEGEND_CHARACTERS:
        return len(names)
    return 3 if max(map(len, names)) <= 20 else 2


def _for_names(number: int, title: str, y_label: str) -> Figure:
    """Makes the figure of a chart that has so many names side by side."""
    if number > _FEW:
        return figure(title, "", y_label)
    title = wrapped(title, _NARROW_CHARACTERS)
    return figure(title, "", y_label, size_inches=_NARROW_INCHES)


def bar_chart(
    values: Mapping[str, float],
    *,
    title: str,
    y_label: str,
    intervals: Mapping[str, tuple[float, float]] | None = None,
    reference: tuple[str, float] | None = None,
    label_format: str = "{:.3g}",
    concept: str = "frozen",
) -> Figure:
    """Draws one bar a name, with its value written above and its interval as a whisker.

    A bar whose name speaks of a concept, such as "LoRA", has the concept's colour.

    Args:
        values: Height of each bar.
        title: The finding.
        y_label: What the heights are, with the unit.
        intervals: Lower and upper end for some or all names.
        reference: Name and height of a dashed line across, such as a baseline.
        label_format: How the values are written.
        concept: Whose colour the other bars have.
    """
    made = _for_names(len(values), title, y_label)
    axis = made.axes[0]
    ends = []  # of bars and whiskers
    with house_style():
        for index, (name, value) in enumerate(values.items()):
            low, high = (intervals or {}).get(name, (value, value))
            colour = CONCEPTS[concept_of(name) or concept]
            axis.bar(index, value, 0.62, color=colour)
            if high > low:
                whisker = [[value - low], [high - value]]
                axis.errorbar(index, value, yerr=whisker, color="black", capsize=5)
            ends.append(high)
        top = max(*values.values(), *ends)
        for index, (value, end) in enumerate(zip(values.values(), ends)):
            if reference and end < reference[1] < end + _LABEL_SHARE * top:
                end = reference[1]  # upon the line, which would strike it out
            place = {"textcoords": "offset points", "ha": "center", "bbox": _PAPER}
            axis.annotate(label_format.format(value), (index, end), (0, 5), **place)
        if reference:
            _name_reference(axis, *reference)
        axis.set_xticks(range(len(values)), list(values), color=INK)
        axis.set_ylim(top=_ROOM * top if top > 0 else None)
    return made


def _name_reference(axis: Axes, name: str, height: float) -> None:
    """Draws a dashed line across, with its name at its right end, where no bar is."""
    axis.axhline(height, color=QUIET, linestyle="--")
    place = {"xycoords": axis.get_yaxis_transform(), "textcoords": "offset points"}
    text = textwrap.fill(name, _REFERENCE_CHARACTERS)
    axis.annotate(text, (1, height), (4, 0), va="center", annotation_clip=False, **place)


def point_chart(
    values: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]] | None = None,
    *,
    title: str,
    y_label: str,
    label_format: str = "{:.3g}",
    y_log10: bool = False,
    labels_up: float = 0.0,
) -> Figure:
    """Draws one point a name, with its value written beside it and its interval as a whisker.

    For values whose distance from zero, which a bar shows, says little: those that are far from it
    and near each other, and those of several orders of magnitude, on a logarithmic axis. Where the
    axis leaves zero out, its label says where it begins.

    Args:
        values: Height of each point. A name that speaks of a concept has the concept's colour.
        intervals: Lower and upper end for some or all names.
        title: The finding.
        y_label: What the heights are, with the unit.
        label_format: How the values are written.
        y_log10: Logarithmic vertical axis.
        labels_up: How many points higher than its point a value stands, clear of a line there.
    """
    made = _for_names(len(values), title, y_label)
    axis = made.axes[0]
    with house_style():
        for index, (name, value) in enumerate(values.items()):
            low, high = (intervals or {}).get(name, (value, value))
            whisker = [[value - low], [high - value]] if high > low else None
            style = {"color": CONCEPTS[concept_of(name) or "frozen"], "fmt": "o", "capsize": 6}
            axis.errorbar(index, value, whisker, markersize=9, **style)
            beside = {"textcoords": "offset points", "va": "center", "bbox": _PAPER}
            axis.annotate(label_format.format(value), (index, value), (12, labels_up), **beside)
        axis.set_xticks(range(len(values)), list(values), color=INK)
        axis.set_xlim(-0.5, len(values) - 0.5)
        if y_log10:
            axis.margins(y=0.15)
            label_decades(axis)
        else:
            axis.locator_params("y", steps=[1, 2, 5, 10])
            _say_where_it_begins(axis)
    return made


def _say_where_it_begins(axis: Axes) -> None:
    """Begins a vertical axis that leaves zero out at one of its numbers, and says which."""
    lowest, _ = axis.get_ylim()
    start = max(tick for tick in axis.get_yticks() if tick <= lowest)
    if start > 0:
        axis.set_ylim(bottom=start)
        axis.set_ylabel(f"{axis.get_ylabel()}, from {start:g}")


def stacked_bars(
    values: Mapping[str, Sequence[float]],
    *,
    parts: Sequence[str],
    title: str,
    x_label: str,
) -> Figure:
    """Draws one lying bar a name, put together from its parts, from top to bottom.

    Args:
        values: Name → length of each part.
        parts: What the parts are called.
        title: The finding.
        x_label: What the lengths are, with the unit.

    Raises:
        ValueError: a name has another number of values than there are parts.
    """
    for name, lengths in values.items():
        if len(lengths) != len(parts):
            raise ValueError(
                f"values[{name!r}] has {len(lengths)} lengths for {len(parts)} parts; give one each"
            )
    made = figure(title, x_label)
    axis = made.axes[0]
    rows = np.arange(len(values))
    ends = np.zeros(len(values))
    with house_style():
        for index, (part, lengths) in enumerate(zip(parts, zip(*values.values()))):
            style = {"color": COLOURS[index % len(COLOURS)], "hatch": HATCHES[index % len(HATCHES)]}
            axis.barh(rows, lengths, 0.62, left=ends, label=part, edgecolor="white", **style)
            ends = ends + lengths
        axis.set_yticks(rows, list(values), color=INK)
        axis.invert_yaxis()
        axis.grid(False, axis="y")
        axis.grid(True, axis="x")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=len(parts))
    return made


def smoothed(losses: Sequence[float], window: int = SMOOTHED_STEPS) -> list[float]:
    """The mean of each loss and those just before it.

    Example:
        >>> smoothed([3.0, 1.0, 2.0], window=2)
        [3.0, 2.0, 1.5]
    """
    ends = range(1, len(losses) + 1)
    return [sum(losses[max(0, i - window) : i]) / min(i, window) for i in ends]


def show(drawn: Figure, alt: str) -> None:
    """Shows a figure in a notebook, with its text alternative.

    Args:
        drawn: The figure.
        alt: One or two sentences: what is drawn, and what it shows. Numbers in it should be
            rounded so far that they are the same on every machine: tests compare this text.

    Raises:
        ValueError: `alt` is empty.
    """
    from lora_edu.plots.display import show_picture  # ipywidgets: only where a notebook shows

    show_picture(png(drawn), alt, **_forms(drawn))


def picture(drawn: Figure, alt: str) -> Picture:
    """Returns a figure with its text alternative; `show` displays one at once, this one waits.

    Args:
        drawn: The figure.
        alt: As for `show`.

    Raises:
        ValueError: `alt` is empty.
    """
    from lora_edu.plots.display import Picture  # as in `show`

    return Picture(png(drawn), alt, **_forms(drawn))


def _forms(drawn: Figure) -> dict[str, Any]:
    """How wide a figure is shown, and its form for a phone."""
    small = for_phone(drawn)
    return {
        "width_px": shown_width(drawn),
        "phone": (png(small, PHONE_COLOURS), shown_width(small)),
    }
