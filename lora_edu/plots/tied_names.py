"""Names of curves that grow and cross, each tied to a place where its curve is apart.

Curves of one run meet again and again, and often end together: a name at their ends would be that
of none. So a short line leads from each name to a point that only its curve is near, or to one of
its marks, which no other curve has. The name itself covers nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from numpy.typing import NDArray

from lora_edu.plots.style import INK, house_style

#: Marks what this module drew, which is drawn anew each time: names, and the lines that tie them.
TIED = "tied name"

_ASIDE_POINTS = (12.0, 16.0, 22.0, 30.0, 44.0, 60.0)  # from a curve to its name
_START_POINTS, _START_MARKED = 1.5, 4.5  # where the line that ties them begins, away from the curve
_CLEAR_POINTS, _WORDS_POINTS = 2.5, 6.0  # from a name to what is drawn, and to other words
_APART_POINTS = (2.5, 4.0, 6.0, 8.0, 10.0)  # from a name's point to the next curve: one at least
_ON_TIE = 12  # places on the line that are looked at
# What is exchanged, in points of distance: for a line that is over a curve all along, for a point
# one step nearer to the next curve, and for a name where the curves may come when they grow:
# beneath its own, or to the right of all and not above them.
_CROSSING, _NEARER, _BENEATH, _AHEAD = 60.0, 6.0, 4.0, 30.0
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))

Numbers = NDArray[np.float64]
Truths = NDArray[np.bool_]


class _Places(NamedTuple):
    """Where a name may be, in dots: points of its curve and the name's middles, (places, 2)."""

    points: Numbers
    middles: Numbers


class _Ink:
    """Where a curve has drawn in its axes: a table of sums, which any box can be looked up in."""

    def __init__(self, curve: Line2D) -> None:
        axis = curve.axes
        self._corner = axis.bbox.min
        self._last = np.ceil(axis.bbox.size).astype(int)
        marks = np.zeros(self._last + 1, dtype=np.int32)
        x, y = self._cells(_dots(curve)).T
        marks[x, y] = 1
        self._sums = np.zeros(self._last + 2, dtype=np.int32)
        self._sums[1:, 1:] = marks.cumsum(0).cumsum(1)

    def _cells(self, dots: Numbers) -> NDArray[np.int64]:
        return np.clip(np.floor(dots - self._corner).astype(int), 0, self._last)

    def within(self, middles: Numbers, half: Numbers | float) -> Truths:
        """Says if ink is in boxes around `middles`, (…, 2), of half this width and height."""
        low, high = self._cells(middles - half), self._cells(middles + half) + 1
        (x0, y0), (x1, y1) = np.moveaxis(low, -1, 0), np.moveaxis(high, -1, 0)
        sums = self._sums
        return sums[x1, y1] - sums[x0, y1] - sums[x1, y0] + sums[x0, y0] > 0


def tie_names(axis: Axes, curves: Sequence[Line2D]) -> list[Artist]:
    """Writes each curve's label where it is free, tied to a point where the curve is apart.

    Called again when the curves have grown, it leaves a name where it was as long as it is free
    there. Where a curve is apart nowhere, all names are in a key instead.

    Args:
        axis: Its layout and its limits are made.
        curves: Whose labels are the names, of one line each. The first one finds its place first.

    Returns:
        What was drawn.
    """
    before = [each for each in axis.get_children() if each.get_gid() == TIED]
    old = {each.get_text(): each for each in before if isinstance(each, Annotation)}
    for each in before:
        each.remove()
    begun = [curve for curve in curves if len(_corners(curve))]
    with house_style():
        page = _Page(axis, begun)
        for curve in begun:
            if not page.name(curve, old.get(str(curve.get_label()))):
                return [_key(axis, begun)]
        return page.draw()


def _key(axis: Axes, curves: Sequence[Line2D]) -> Artist:
    made = axis.legend(handles=list(curves), loc="upper right")
    made.set_gid(TIED)
    made.set_in_layout(False)
    return made


class _Page:
    """The axes with what is drawn in them, and the names that have a place already."""

    def __init__(self, axis: Axes, curves: Sequence[Line2D]) -> None:
        self._axis, self._point = axis, axis.figure.dpi / 72
        self._ink = {curve: _Ink(curve) for curve in curves}
        self._named: dict[Line2D, tuple[_Places, Numbers]] = {}

    def name(self, curve: Line2D, old: Annotation | None) -> bool:
        """Finds a place for a curve's name, where it was or the best; returns whether it did."""
        half = _half_size(self._axis, str(curve.get_label()))
        kinds = [self._all(curve, half)]
        if old is not None:
            at = self._axis.transData.transform([old.xy])
            kinds.insert(0, _Places(at, at + np.array(old.get_position()) * self._point))
        for places in kinds:
            costs = self._costs(curve, places, half)
            best = [int(np.argmin(costs))]
            if np.isfinite(costs[best]).all():
                self._named[curve] = _Places(places.points[best], places.middles[best]), half
                return True
        return False

    def _all(self, curve: Line2D, half: Numbers) -> _Places:
        """All places that are tried, at the corners of a curve."""
        aside = np.array(_ASIDE_POINTS)[:, None, None] * self._point
        reach = np.array(_SIDES, dtype=float) * (half + aside)
        points = _corners(curve)[:, None, None]
        middles = points + reach
        points = np.broadcast_to(points, middles.shape)
        return _Places(points.reshape(-1, 2), middles.reshape(-1, 2))

    def _costs(self, curve: Line2D, places: _Places, half: Numbers) -> Numbers:
        """How bad each place is, in points; infinite where it is not free."""
        point, room = self._point, self._axis.bbox
        own, others = self._ink[curve], [ink for of, ink in self._ink.items() if of is not curve]
        low, high = places.middles - half, places.middles + half
        inside = ((low >= room.min) & (high <= room.max)).all(1)
        clear = half + _CLEAR_POINTS * point
        covers = [ink.within(places.middles, clear) for ink in (own, *others)]
        near = [
            np.any([ink.within(places.points, r * point) for ink in others], axis=0)
            for r in _APART_POINTS
        ]
        start, end = _tie(curve, places, half, point)
        along = start + np.linspace(0, 1, _ON_TIE)[:, None, None] * (end - start)
        over = np.mean([ink.within(along, point) for ink in (own, *others)], axis=1).sum(0)
        for other, (named, its_half) in self._named.items():
            apart = its_half + half + _WORDS_POINTS * point
            covers.append((np.abs(places.middles - named.middles) < apart).all(1))
            clear = its_half + _CLEAR_POINTS * point
            covers.append((np.abs(along - named.middles) < clear).all(2).any(0))
            its = np.linspace(*_tie(other, named, its_half, point), _ON_TIE)  # (places, 1, 2)
            clear = half + _CLEAR_POINTS * point
            covers.append((np.abs(its - places.middles) < clear).all(2).any(0))
        length = np.hypot(*(end - places.points).T) / point
        beneath = _BENEATH * (places.middles < places.points)[:, 1]
        if not _marked(curve):
            covers.append(near[0])
        last, highest = np.concatenate([_corners(each) for each in self._ink]).max(axis=0)
        ahead = _AHEAD * ((high[:, 0] > last) & (low[:, 1] < highest))
        costs = length + _CROSSING * over + _NEARER * np.sum(near, axis=0) + beneath + ahead
        return np.where(inside & ~np.any(covers, axis=0), costs, np.inf)

    def draw(self) -> list[Artist]:
        """Writes the names, and draws what ties them."""
        return [part for curve in self._named for part in self._write(curve)]

    def _write(self, curve: Line2D) -> list[Artist]:
        places, half = self._named[curve]
        to_data = self._axis.transData.inverted().transform
        start, end = (each[0] for each in _tie(curve, places, half, self._point))
        name = self._axis.annotate(
            str(curve.get_label()),
            to_data(places.points[0]),
            tuple((places.middles - places.points)[0] / self._point),
            textcoords="offset points",
            ha="center",
            va="center",
            color=INK,
            path_effects=[withStroke(linewidth=3, foreground="white")],  # over the grid
            annotation_clip=False,
            gid=TIED,
        )
        name.set_in_layout(False)
        line = Line2D(*to_data([start, end]).T, color=curve.get_color(), linewidth=0.9, gid=TIED)
        line.set_in_layout(False)
        return [self._axis.add_line(line), name]


def _tie(curve: Line2D, places: _Places, half: Numbers, point: float) -> tuple[Numbers, Numbers]:
    """From where to where a line goes that ties a name to its point: (places, 2) each."""
    end = np.clip(places.points, places.middles - half, places.middles + half)
    away = end - places.points
    length = np.maximum(np.hypot(*away.T), 1e-9)[:, None]
    start = _START_MARKED if _marked(curve) else _START_POINTS
    return places.points + away * np.minimum(1, start * point / length), end


def _half_size(axis: Axes, words: str) -> Numbers:
    text = axis.text(0, 0, words)
    size = text.get_window_extent().size
    text.remove()
    return size / 2


def _corners(curve: Line2D) -> Numbers:
    """A curve's points on the page."""
    data = np.column_stack([np.asarray(part, dtype=float) for part in curve.get_data()])
    return curve.get_transform().transform(data[np.isfinite(data).all(axis=1)])


def _marked(curve: Line2D) -> bool:
    return str(curve.get_marker()) not in ("", "None")


def _dots(curve: Line2D) -> Numbers:
    """A dot for each pixel of a curve, and of its markers."""
    corners = _corners(curve)
    longest = np.abs(np.diff(corners, axis=0)).max(initial=1)
    share = np.linspace(0, 1, int(longest) + 1)[:, None, None]
    line = (corners[:-1] + share * np.diff(corners, axis=0)).reshape(-1, 2)
    if not _marked(curve):
        return np.concatenate([corners, line])
    reach = np.arange(-1, 1.01, 0.2) * curve.get_markersize() / 2 * curve.axes.figure.dpi / 72
    mark = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 1, 2)
    return np.concatenate([(corners + mark).reshape(-1, 2), line])
