"""A picture under controls: each move of a control draws a new picture and a new text.

The picture comes from a function of the controls' values alone, so a test can call it without
any widget, and the same values always give the same picture.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from PIL import Image

from lora_edu.display import image_tag, show_text, show_widget
from lora_edu.plots import house_style

LABELLED = {"description_width": "initial"}
# JupyterLab takes the arrow keys for itself while a drop-down is closed.
BY_KEYBOARD = "By keyboard: Tab moves on, the arrow keys move a slider"
FURTHER_KEYS = {
    ipywidgets.Checkbox: "Space ticks a box",
    ipywidgets.Dropdown: "Space opens a list and the arrow keys then choose in it",
}


@dataclass(frozen=True)
class View:
    """What a state looks like.

    Args:
        picture: PNG.
        alt: The picture in one or two sentences, for those who do not see it.
        text: What there is to read off it, in words and numbers.
    """

    picture: bytes
    alt: str
    text: str


class LivePicture:
    """Controls above a picture and its text, of fixed size; shown by `_ipython_display_`.

    Args:
        controls: Names and core ipywidgets; all must have a `value`.
        view: Maps the controls' values, by name, to a `View`.
        rows: The controls' names in rows as they stand on the page.
        height_px: Height kept for the picture, so that nothing jumps.
        text_height_px: Height kept for the text.
    """

    def __init__(
        self,
        controls: Mapping[str, ipywidgets.Widget],
        view: Callable[[Mapping[str, Any]], View],
        rows: Sequence[Sequence[str]],
        *,
        height_px: int,
        text_height_px: int = 110,
    ) -> None:
        self.controls = dict(controls)
        self._view = view
        self.picture = ipywidgets.HTML(layout=ipywidgets.Layout(height=f"{height_px}px"))
        self.text = ipywidgets.HTML(
            layout=ipywidgets.Layout(min_height=f"{text_height_px}px", max_width="780px")
        )
        for control in self.controls.values():
            control.observe(self.redraw, "value")
        lines = [ipywidgets.HBox([self.controls[name] for name in row]) for row in rows]
        for line in lines:
            line.layout.flex_flow = "row wrap"
        lines.append(ipywidgets.HTML(f"<small>{keys(self.controls.values())}</small>"))
        self.widget = ipywidgets.VBox([*lines, self.picture, self.text])
        self.redraw()

    @property
    def values(self) -> dict[str, Any]:
        """The controls' values by name: the state."""
        return {name: control.value for name, control in self.controls.items()}

    def redraw(self, _: Any = None) -> None:
        """Draws the picture and writes the text that belong to the present state."""
        self.shown = self._view(self.values)
        self.picture.value = image_tag(self.shown.picture, self.shown.alt)
        self.text.value = f'<p aria-live="polite">{escape(self.shown.text)}</p>'

    def __repr__(self) -> str:
        """Returns the text of the present state, for readers without a kernel."""
        return self.shown.text

    def _ipython_display_(self) -> None:
        show_widget(self.widget, self.shown.alt, self.shown.picture)
        show_text(repr(self))


def keys(controls: Iterable[ipywidgets.Widget]) -> str:
    """Says which keys operate these controls.

    Example:
        >>> keys([ipywidgets.Checkbox()])
        'By keyboard: Tab moves on, the arrow keys move a slider, Space ticks a box.'
    """
    kinds = {type(control) for control in controls}
    return ", ".join([BY_KEYBOARD, *(FURTHER_KEYS[k] for k in FURTHER_KEYS if k in kinds)]) + "."


class Canvas:
    """A figure that is drawn again and again, quickly: only what moves is drawn anew.

    Axes, ticks and labels are drawn once and kept as a picture; a new state copies that picture
    and draws the moving parts over it. That takes a fifth of the time of a whole drawing.

    Args:
        drawn: A finished figure.
        moving: Its parts that change with the state, in the order they are drawn; without any,
            the whole figure is drawn each time.
    """

    def __init__(self, drawn: Figure, moving: Sequence[Artist] = ()) -> None:
        with house_style():
            drawn.canvas.draw()  # the first drawing computes the layout …
        drawn.set_layout_engine("none")  # … which then stays, and nothing jumps
        self.figure = drawn
        self._moving = list(moving)
        self._background: Any = None
        self._scale: Any = None

    def png(self, scale: object = 0) -> bytes:
        """Returns the figure's present state as PNG.

        Args:
            scale: What axes and ticks depend on; where it differs from the last one, they are
                drawn anew too.
        """
        canvas = self.figure.canvas
        with house_style():
            if self._background is None or scale != self._scale or not self._moving:
                for artist in self._moving:
                    artist.set_animated(True)  # left out of the whole drawing
                canvas.draw()
                self._background = canvas.copy_from_bbox(self.figure.bbox)
                self._scale = scale
            canvas.restore_region(self._background)
            for artist in self._moving:
                artist.draw(canvas.get_renderer())
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(canvas.buffer_rgba())).save(buffer, "png", compress_level=1)
        return buffer.getvalue()
