"""What charts share beside their marks: levels, numbers on an axis, and equal margins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter

from lora_edu.plots.style import QUIET, house_style

#: Marks the names of levels; a phone's form of a chart breaks them.
LEVEL = "name of a level"

_MANY_DECADES = 3  # of a logarithmic axis, from which on its powers of ten are labels enough


def add_level(
    axis: Axes,
    height: float,
    name: str,
    *,
    colour: str = QUIET,
    right: float = 1.0,
    above: bool = True,
) -> None:
    """Draws a dotted line across a chart, such as the loss before training, with its name.

    Args:
        axis: What it is drawn into.
        height: Where, in the axis' unit.
        name: Is written at the line, clear of it.
        colour: Of the line.
        right: Where the name ends, as a share of the width: left of a curve that comes near.
        above: Whether the name is above the line, not below.
    """
    place = {"xycoords": axis.get_yaxis_transform(), "textcoords": "offset points", "ha": "right"}
    side = "bottom" if above else "top"
    with house_style():
        axis.axhline(height, color=colour, linestyle=":", linewidth=1.4)
        place["path_effects"] = [withStroke(linewidth=3, foreground="white")]  # over whiskers
        axis.annotate(name, (right, height), (-4, 4 if above else -4), va=side, gid=LEVEL, **place)


def label_decades(axis: Axes) -> None:
    """Makes the vertical axis logarithmic, with 1, 2 and 5 of each decade where few are shown."""
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    few = np.log10(high / low) < _MANY_DECADES
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axis.yaxis.set_major_formatter(plain)
    axis.yaxis.set_minor_formatter(NullFormatter())  # which else writes 3 × 10⁰ between them


def plain(value: float, _: int) -> str:
    """Labels a power of two or ten by its value: 0.1, 4, 16,384."""
    return f"{value:,.7g}"


def align(charts: Sequence[Figure]) -> None:
    """Gives charts of one panel each, in place, the same left and right edge.

    For charts that are read below each other: by themselves each leaves as much room at its sides
    as its own numbers and names take.
    """
    for chart in charts:
        with house_style():
            chart.draw_without_rendering()  # computes the layout, which is then kept
        chart.set_layout_engine("none")
    places = [chart.axes[0].get_position() for chart in charts]
    left, right = max(place.x0 for place in places), min(place.x1 for place in places)
    for chart, place in zip(charts, places):
        chart.axes[0].set_position([left, place.y0, right - left, place.height])
