"""A chart's second form, for a page as narrow as a phone's.

Shrunk to a phone, a chart of a laptop's width has letters that cannot be read; scrolled, it hides
what its title says. So the same chart is laid out anew: as wide as a phone shows, with the same
letters, its words broken into lines, and its names where there is room for them.
"""

from __future__ import annotations

import pickle
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import NullLocator

from lora_edu.plots.axes import LEVEL
from lora_edu.plots.curve_names import AT_END, AT_POINT, name_curves
from lora_edu.plots.free_places import BESIDE, covers_nothing, name_freely
from lora_edu.plots.style import DOTS_PER_INCH, house_style, wrapped

#: How wide it is laid out. On the smallest phones it is shown a little smaller.
PHONE_PX = 380
#: It is stored beside the other form, and with few colours it takes a quarter less.
PHONE_COLOURS = 64

_HIGH_INCHES, _LINE_INCHES = 3.3, 0.19  # with one line above and below; of each further line
_TITLE_CHARACTERS, _LABEL_CHARACTERS, _LEVEL_CHARACTERS = 42, 42, 26
_NAME_CHARACTERS = 14, 24  # that are tried
_TICK_CHARACTERS = 12  # of a line of a bar's name
_Y_LABEL_CHARACTERS = 34  # as high as the axis is
_LEGEND_CHARACTERS, _KEY_CHARACTERS = 50, 9
_APART_DOTS = 4  # between two labels of an axis


def for_phone(drawn: Figure) -> Figure:
    """Returns a chart laid out for a phone; the one given stays as it is.

    Args:
        drawn: A chart of one panel.

    Raises:
        ValueError: the chart has several panels, which have no room beside each other.
    """
    made: Figure = pickle.loads(pickle.dumps(drawn))
    FigureCanvasAgg(made)
    if len(made.axes) > 1:
        number = len(made.axes)
        raise ValueError(f"a chart for a phone has 1 panel, got {number}; draw each by itself")
    made.set_layout_engine("constrained")
    (axis,) = made.axes
    if not axis.get_in_layout():  # its place was set, for another width
        axis.set_in_layout(True)
        axis.set_subplotspec(axis.get_subplotspec())
    with house_style():
        lines = _break(axis)
        high = _HIGH_INCHES + _LINE_INCHES * lines
        made.set_size_inches(PHONE_PX / DOTS_PER_INCH, high)
        _name_anew(axis)
        rows = sum(map(_narrow_legend, made.legends))
        made.set_size_inches(PHONE_PX / DOTS_PER_INCH, high + _LINE_INCHES * rows)
        made.draw_without_rendering()
        _clear(axis, axis.xaxis)
        _fit_title(axis)
    return made


def _break(axis: Axes) -> int:
    """Breaks what is written along the edges, in place; returns how many lines are added."""
    title = wrapped(axis.get_title("left"), _TITLE_CHARACTERS)
    axis.set_title(title, loc="left")
    axis.set_xlabel(_broken(axis.get_xlabel(), _LABEL_CHARACTERS))
    axis.set_ylabel(_broken(axis.get_ylabel(), _Y_LABEL_CHARACTERS))
    for text in _marked(axis, LEVEL):
        text.set_text(_broken(text.get_text(), _LEVEL_CHARACTERS))
    return title.count("\n") + axis.get_xlabel().count("\n")


def _broken(text: str, characters: int) -> str:
    """Breaks long lines, and keeps the breaks that are there."""
    return "\n".join(wrapped(line, characters) for line in text.split("\n"))


def _marked(axis: Axes, *marks: str) -> list[Text]:
    return [text for text in axis.texts if text.get_gid() in marks]


def _name_anew(axis: Axes) -> None:
    """Writes the curves' names where this width has room for them."""
    old = _marked(axis, AT_END, AT_POINT, BESIDE)
    if not old:
        return
    at_ends = bool(_marked(axis, AT_END))
    for text in old:
        text.remove()
    for characters in _NAME_CHARACTERS:
        if name_freely(axis, axis.lines, characters=characters):
            return
    if at_ends and name_curves(axis, axis.lines, characters=_NAME_CHARACTERS[0]):
        return
    for text in old:  # as a hand has put them
        text.set_text(textwrap.fill(text.get_text(), _NAME_CHARACTERS[0]))
        axis.add_artist(text)
    if not at_ends and all(covers_nothing(axis, text) for text in old):
        return
    for text in old:
        text.remove()
    axis.figure.legend(loc="outside lower center")


def _narrow_legend(legend: Legend) -> int:
    """Puts a figure's legend into as many columns as a phone has room for; returns its rows."""
    names = [text.get_text() for text in legend.get_texts()]
    handles, made = legend.legend_handles, legend.figure
    row = sum(len(name) + _KEY_CHARACTERS for name in names)
    columns = len(names) if row <= _LEGEND_CHARACTERS else 1
    legend.remove()
    made.legend(handles, names, loc="outside lower center", ncols=columns)
    return 1 if columns > 1 else len(names)


def _clear(axis: Axes, along: Axis) -> None:
    """Keeps the horizontal axis' labels apart: of numbers each second, names turned."""
    labels = [text for text in along.get_ticklabels() if text.get_text()]
    if not _touch(labels):
        return
    numbers = all(text.get_text().strip("−-")[:1].isdigit() for text in labels)
    if not numbers and _wrap_names(axis, along, labels):
        return
    if not numbers:
        for text in labels:
            text.set(text=text.get_text().replace("\n", " "), rotation=40, ha="right")
            text.set_rotation_mode("anchor")
        axis.set_xticks(
            along.get_majorticklocs(),
            [text.get_text() for text in labels],
            rotation=40,
            ha="right",
            rotation_mode="anchor",
        )
        return
    places = list(along.get_majorticklocs())
    shown = [(at, text) for at, text in zip(places, along.get_ticklabels()) if text.get_text()]
    left, right = sorted(axis.get_xlim())
    shown = [(at, text.get_text()) for at, text in shown if left <= at <= right]
    while len(shown) > 2 and _touch(along.get_ticklabels()):
        shown = shown[::2]
        axis.set_xticks(*map(list, zip(*shown)))
        along.set_minor_locator(NullLocator())
        axis.set_xlim(left, right)
        axis.figure.draw_without_rendering()


def _wrap_names(axis: Axes, along: Axis, labels: Sequence[Text]) -> bool:
    """Breaks names beneath bars into short lines; returns whether they are apart then."""
    names = [text.get_text() for text in labels]
    short = [textwrap.fill(" ".join(name.split()), _TICK_CHARACTERS) for name in names]
    axis.set_xticks(along.get_majorticklocs(), short)
    axis.figure.draw_without_rendering()
    if not _touch(along.get_ticklabels()):
        return True
    axis.set_xticks(along.get_majorticklocs(), names)
    return False


def _touch(labels: Sequence[Text]) -> bool:
    boxes = sorted((t.get_window_extent() for t in labels if t.get_text()), key=lambda b: b.x0)
    return any(b.x0 < a.x1 + _APART_DOTS for a, b in zip(boxes, boxes[1:]))


def _fit_title(axis: Axes) -> None:
    """Breaks the title into shorter lines until none leaves the picture."""
    title, figure = axis.title if axis.title.get_text() else axis._left_title, axis.figure
    whole = " ".join(title.get_text().split())
    for characters in range(_TITLE_CHARACTERS, 15, -2):
        figure.draw_without_rendering()
        if title.get_window_extent().x1 <= figure.bbox.x1 - _APART_DOTS:
            return
        title.set_text(wrapped(whole, characters))
