"""Names at the ends of curves, so that no legend has to be matched with them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from lora_edu.plots.style import INK, house_style

#: Which of a curve's points a name is beside, and how far to its right and above it, in points.
Beside = tuple[int, float, float]

#: Mark the names that this module wrote, at curves' ends and at points that were asked for.
AT_END, AT_POINT = "name at a curve's end", "name at a point"

_LINE_CHARACTERS = 24
_MOST_NAMES = 5
_LINE_HEIGHT_POINTS, _APART_POINTS = 12.5, 3.0
_CLOSE_POINTS = 4.0


def name_curves(
    axis: Axes, curves: Sequence[Line2D], *, characters: int = _LINE_CHARACTERS
) -> bool:
    """Writes each curve's label at its right end; returns whether there was room.

    There is room if all curves with a label end at the right, apart from each other, and their
    names fit one above the other. A line ties each to its curve, as some must make way.

    Args:
        axis: What they are drawn into.
        curves: Whose labels are the names.
        characters: Of a line, beyond which a name is broken.
    """
    # matplotlib calls those without a label "_child0" and so on
    named = [curve for curve in curves if not str(curve.get_label()).startswith("_")]
    ends = {float(curve.get_xdata()[-1]) for curve in named}
    last = max((float(max(curve.get_xdata())) for curve in curves), default=0.0)
    if len(named) > _MOST_NAMES or ends != {last}:
        return False
    figure = axis.figure
    with house_style():
        figure.draw_without_rendering()  # now the axes know their place and their limits
        bottom, top = (72 / figure.dpi * edge for edge in (axis.bbox.y0, axis.bbox.y1))
        wished = [
            72 / figure.dpi * axis.transData.transform((last, curve.get_ydata()[-1]))[1]
            for curve in named
        ]
        ordered = sorted(wished)
        if any(b - a < _CLOSE_POINTS for a, b in zip(ordered, ordered[1:])):
            return False  # whose end is whose?
        texts = [textwrap.fill(curve.get_label(), characters) for curve in named]
        heights = [_LINE_HEIGHT_POINTS * (1 + text.count("\n")) + _APART_POINTS for text in texts]
        places = spread(wished, heights, bottom, top)
        if places is None:
            return False
        for curve, text, wish, place in zip(named, texts, wished, places):
            tie = {"arrowstyle": "-", "color": curve.get_color(), "shrinkA": 2, "shrinkB": 3}
            axis.annotate(
                text,
                (last, curve.get_ydata()[-1]),
                xytext=(24, place - wish),
                textcoords="offset points",
                va="center",
                color=INK,
                arrowprops=tie | {"linewidth": 0.9, "relpos": (0, 0.5)},
                annotation_clip=False,
                gid=AT_END,
            )
    return True


def name_points(axis: Axes, curves: Sequence[Line2D], places: Mapping[str, Beside]) -> None:
    """Writes names beside points of their curves.

    Args:
        axis: What they are drawn into.
        curves: Whose labels are the names.
        places: Name → where it is.

    Raises:
        KeyError: a curve has no place.
    """
    with house_style():
        for curve in curves:
            point, right, up = places[str(curve.get_label())]
            at = [part[point] for part in curve.get_data()]
            side = "left" if right >= 0 else "right"
            how = {"textcoords": "offset points", "va": "center", "ha": side, "color": INK}
            how |= {"gid": AT_POINT}
            how |= {"path_effects": [withStroke(linewidth=3, foreground="white")]}  # over the grid
            axis.annotate(curve.get_label(), at, (right, up), annotation_clip=False, **how)


def spread(
    wished: Sequence[float], heights: Sequence[float], bottom: float, top: float
) -> list[float] | None:
    """Moves middles apart so far that things of these heights do not overlap.

    Returns:
        The middles, in the order of `wished`, or None where there is no room.

    Example:
        >>> spread([10, 12, 40], [10, 10, 10], 0, 50)
        [6.0, 16.0, 40.0]
    """
    if sum(heights) > top - bottom:
        return None
    order = sorted(range(len(wished)), key=lambda i: wished[i])
    groups: list[tuple[list[int], float, float]] = []  # members, height, lower edge
    for index in order:
        members, height = [index], heights[index]
        low = _inside(wished[index] - height / 2, height, bottom, top)
        while groups and groups[-1][2] + groups[-1][1] > low:
            before, its, _ = groups.pop()
            members, height = before + members, its + height
            below = [sum(heights[j] for j in members[:k]) for k in range(len(members))]
            fits = (wished[i] - heights[i] / 2 - b for i, b in zip(members, below))
            low = _inside(sum(fits) / len(members), height, bottom, top)
        groups.append((members, height, low))
    middles = [0.0] * len(wished)
    for members, _, low in groups:
        for index in members:
            middles[index] = low + heights[index] / 2
            low += heights[index]
    return middles


def _inside(low: float, height: float, bottom: float, top: float) -> float:
    return max(bottom, min(low, top - height))
