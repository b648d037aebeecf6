"""Names of curves at places that are free, for curves whose ends have no room for them.

A legend makes a reader look back and forth. So each name goes beside its curve, where no curve, no
whisker and no other word is, and where the next curve is as far away as can be had.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from lora_edu.plots.style import INK, house_style

#: Marks the names that this module wrote; they can be taken away and written anew.
BESIDE = "name beside a curve"

_ASIDE_POINTS = (6.0, 14.0, 24.0)  # from a curve to its name
_TIED_POINTS = 9.0  # from here on a line ties them
_CLEAR_POINTS = 3.0  # from a name to anything else
_NEARER = 1.5  # times its own curve's distance: that of the next one, at least
_FAR_POINTS = 30.0  # a curve further away is no nearer to a name's meaning
_STEP_DOTS = 3.0  # between the dots that a curve is taken for
_PLACES = 60  # along a curve, that are tried
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))

Dots = NDArray[np.float64]  # (dots, 2), on the page


class _Place(NamedTuple):
    """A dot of a curve, the box of its name, and how good that is: more is better."""

    at: Dots
    box: Bbox
    worth: float


def name_freely(axis: Axes, curves: Sequence[Line2D], *, characters: int = 24) -> bool:
    """Writes each curve's label where there is room beside it; returns whether there was for all.

    Args:
        axis: With all that is drawn into it, and its limits.
        curves: Whose labels are the names.
        characters: Of a line, beyond which a name is broken.
    """
    named = [curve for curve in curves if not str(curve.get_label()).startswith("_")]
    places: dict[Line2D, _Place] = {}
    with house_style():
        axis.figure.draw_without_rendering()  # now the axes know their place and their limits
        words = {curve: textwrap.fill(str(curve.get_label()), characters) for curve in named}
        free = {curve: _free(axis, curve, words[curve]) for curve in named}
        for curve in sorted(named, key=lambda each: len(free[each])):  # the one with fewest first
            taken = [place.box for place in places.values()]
            open_ = [place for place in free[curve] if _clear(axis, place.box, taken)]
            if not open_:
                return False
            places[curve] = max(open_, key=lambda place: place.worth)
        for curve, place in places.items():
            _write(axis, curve, words[curve], place)
    return True


def covers_nothing(axis: Axes, text: Text) -> bool:
    """Says whether a text is inside its axes, and covers no curve and no other text."""
    with house_style():
        axis.figure.draw_without_rendering()
        box, room = text.get_window_extent(), axis.bbox
        others = [other.get_window_extent() for other in axis.texts if other is not text]
        curves = np.concatenate([_dots(curve) for curve in axis.lines])
    inside = room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1
    return inside and _distance(box, curves) > 0 and _clear(axis, box, others)


def _write(axis: Axes, curve: Line2D, words: str, place: _Place) -> None:
    """Writes a name at its place, with a line to its curve where it is not next to it."""
    point = axis.figure.dpi / 72
    away = (np.array([place.box.x0 + place.box.x1, place.box.y0 + place.box.y1]) / 2) - place.at
    tie = {"arrowstyle": "-", "color": curve.get_color(), "linewidth": 0.9}
    axis.annotate(
        words,
        axis.transData.inverted().transform(place.at),
        tuple(away / point),
        textcoords="offset points",
        ha="center",
        va="center",
        color=INK,
        path_effects=[withStroke(linewidth=3, foreground="white")],  # over the grid
        arrowprops=tie if _distance(place.box, place.at[None]) > _TIED_POINTS * point else None,
        gid=BESIDE,
    )


def _free(axis: Axes, curve: Line2D, words: str) -> list[_Place]:
    """The places at a curve where its name covers nothing, and no other curve is nearer."""
    point, own = axis.figure.dpi / 72, _dots(curve)
    drawn = [_dots(other) for other in axis.lines if other is not curve]
    whiskers = [_along(axis.transData.transform(part)) for part in _segments(axis)]
    others = np.concatenate([np.empty((0, 2)), *drawn, *whiskers])
    taken = [text.get_window_extent() for text in axis.texts]
    found = []
    for at, box in _tried(axis, own, _size(axis, words)):
        mine, theirs = _distance(box, own), _distance(box, others)
        if mine < _CLEAR_POINTS * point or theirs < _NEARER * mine:
            continue
        if _clear(axis, box, taken) and not _crosses(at, box, others, point):
            found.append(_Place(at, box, min(theirs, _FAR_POINTS * point) - 3 * mine))
    return found


def _size(axis: Axes, words: str) -> Bbox:
    text = axis.text(0, 0, words)
    size = text.get_window_extent()
    text.remove()
    return size


def _clear(axis: Axes, box: Bbox, taken: Sequence[Bbox]) -> bool:
    around = box.padded(2 * _CLEAR_POINTS * axis.figure.dpi / 72)
    return not any(around.overlaps(other) for other in taken)


def _crosses(at: Dots, box: Bbox, others: Dots, point: float) -> bool:
    """Whether a line from a curve's dot to its name would meet another curve."""
    to = np.clip(at, [box.x0, box.y0], [box.x1, box.y1])
    line = Bbox.from_extents(*np.minimum(at, to), *np.maximum(at, to))
    return _distance(line, others) < _CLEAR_POINTS * point / 2


def _segments(axis: Axes) -> list[Dots]:
    """The whiskers of an axis' curves, in its data."""
    drawn = (each for each in axis.collections if isinstance(each, LineCollection))
    return [part for each in drawn for part in each.get_segments() if len(part)]


def _dots(curve: Line2D) -> Dots:
    data = np.column_stack([np.asarray(part, dtype=float) for part in curve.get_data()])
    return _along(curve.get_transform().transform(data))


def _along(corners: Dots) -> Dots:
    """Dots on a line through `corners`."""
    parts = [corners[:1]]
    for start, end in zip(corners, corners[1:]):
        number = max(1, int(np.hypot(*(end - start)) / _STEP_DOTS))
        parts.append(start + (end - start) * np.linspace(0, 1, number + 1)[1:, None])
    return np.concatenate(parts)


def _tried(axis: Axes, dots: Dots, size: Bbox) -> Iterator[tuple[Dots, Bbox]]:
    """Where a name of this size could be: a dot of its curve, and the name's box."""
    point, room = axis.figure.dpi / 72, axis.bbox
    starts = dots[:: max(1, len(dots) // _PLACES)]
    for at, aside, (right, up) in itertools.product(starts, _ASIDE_POINTS, _SIDES):
        x = at[0] + right * (point * aside + size.width / 2)
        y = at[1] + up * (point * aside + size.height / 2)
        box = Bbox.from_bounds(x - size.width / 2, y - size.height / 2, size.width, size.height)
        if box.x0 >= room.x0 and box.x1 <= room.x1 and box.y0 >= room.y0 and box.y1 <= room.y1:
            yield at, box


def _distance(box: Bbox, dots: Dots) -> float:
    """How far a box is from the nearest dot: 0 where one is inside."""
    if not len(dots):
        return float("inf")
    beyond = np.maximum(np.maximum([box.x0, box.y0] - dots, dots - [box.x1, box.y1]), 0)
    return float(np.hypot(*beyond.T).min())
