"""A picture under controls: each move of a control draws a new picture and a new text.

The picture comes from a function of the controls' values alone, so a test can call it without
any widget, and the same values always give the same picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets

from lora_edu.plots import image_tag, live_paragraph, show_text, show_widget
from lora_edu.widgets.error_line import ErrorLine

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

    Where a picture cannot be drawn, the last one stays and `error_line` says why; the next one that
    can be drawn clears it.

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
        self.error_line = ErrorLine()
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
        self.widget = ipywidgets.VBox([*lines, self.error_line, self.picture, self.text])
        self.redraw()

    @property
    def values(self) -> dict[str, Any]:
        """The controls' values by name: the state."""
        return {name: control.value for name, control in self.controls.items()}

    def redraw(self, _: Any = None) -> None:
        """Draws the picture and writes the text that belong to the present state."""
        with self.error_line:
            shown = self._view(self.values)
            image = image_tag(shown.picture, shown.alt)
            self.shown, self.picture.value, self.text.value = shown, image, self.as_html(shown)

    def as_html(self, shown: View) -> str:
        """The text of a view as it is written below the picture."""
        return live_paragraph(escape(shown.text))

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
