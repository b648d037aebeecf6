"""Showing pictures and widgets, with their text for readers without a kernel.

JupyterLab draws a PNG as an `<img>` without a text alternative, whatever its metadata say. So a
picture goes out in three forms at once, of which each reader takes the first it can: HTML with an
`<img alt="…">`, the plain PNG, and the text. None of them needs a kernel: a notebook that was run
to its end, saved and opened again shows them all.

A widget goes out with a text alone: once its kernel has ended, JupyterLab shows an error in place
of all that stands beside it.
"""

from __future__ import annotations

import base64
import html
import math
import struct
from functools import cache
from typing import Any

import ipywidgets
from IPython.display import display

from lora_edu.plots.sheet import MARGIN_PX, edge_style, palettes, widths_px

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_SMALLEST = 0.75  # of its width, and labels are 11 pixels high: a narrower page scrolls it
_PHONE_PAGE_PX = 760  # up to here a page shows a picture's form for phones
# On a dark page a picture's paper is dark and its ink light, while hues stay: blue is still LoRA.
# Said in an attribute or a class by JupyterLab, the course's site, Colab and VS Code. Where no such
# rule applies, on paper or where a page drops styles, a picture is a white sheet. The colours of a
# map go away from its paper; turned, they still do. Turned, white is black; on the screen, black is
# the sheet.
_DARK_PAGES = '[data-jp-theme-light="false"],[data-theme="dark"],[theme="dark"],.vscode-dark'
_TURNED = ".lora-figure{filter:invert(1) hue-rotate(180deg);mix-blend-mode:screen}"
LINE_CHARACTERS = 92  # pages made from a notebook break longer lines in the middle of a word


def image_tag(
    picture: bytes, alt: str, *, width_px: int | None = None, phone: tuple[bytes, int] | None = None
) -> str:
    """Returns an HTML `<img>` with a PNG inside and its text alternative.

    A dark page shows it dark. A page with too little room for it shows its form for phones, and
    without one scrolls it sideways.

    Args:
        picture: PNG.
        alt: The picture in words.
        width_px: How wide it is shown where there is room; by default, a pixel of it is a pixel.
        phone: The same for a narrow page: PNG, and how wide it is shown.

    Raises:
        ValueError: `alt` is empty.
    """
    if not alt.strip():
        raise ValueError("alt must say in words what the figure shows, got nothing")
    wide = width_px or _dots_wide(picture)
    # The picture's width is its own, so that its pixels fall on those of the page.
    style = "display:block;max-width:100%;height:auto;border-radius:0"
    if phone is None:
        style += f";width:{wide}px;min-width:{math.ceil(_SMALLEST * wide)}px"
    shown = f'alt="{html.escape(alt)}" width="{wide}" style="{style}" src="{_source(picture)}"'
    image = f'<img class="lora-figure" {shown}>'
    if phone is not None:
        # Where a page drops what it does not know, the picture itself is left.
        small = f'width="{phone[1]}" srcset="{_source(phone[0])}"'
        page = f"(max-width:{_PHONE_PAGE_PX}px)"
        image = f'<picture><source media="{page}" {small}>{image}</picture>'
    return f'{_follow_the_page()}<div class="lora-sheet" style="{_sheet_style()}">{image}</div>'


def _source(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


class Picture:
    """A PNG with its text alternative, shown when a cell ends in it or a `reveal` unfolds it.

    Args:
        picture: PNG.
        alt: The picture in words.
        shown: Widths, and its form for phones: as for `image_tag`.

    Raises:
        ValueError: `alt` is empty.
    """

    def __init__(self, picture: bytes, alt: str, **shown: Any) -> None:
        self._alt = alt
        self._html = image_tag(picture, alt, **shown)

    def __repr__(self) -> str:
        """Returns the picture in words."""
        return self._alt

    def _repr_html_(self) -> str:
        return self._html


def _sheet_style() -> str:
    """A light sheet as wide as its picture, or as its page; then it scrolls."""
    paper = palettes()[0]["paper"]
    room = f"width:fit-content;max-width:100%;box-sizing:border-box;padding:{MARGIN_PX}px"
    return f"{room};overflow-x:auto;background:{paper};{edge_style()}"


@cache
def _follow_the_page() -> str:
    """The style that makes sheets dark on a dark page."""
    dark = palettes()[1]
    sheet = f"background:{dark['paper']}!important;border-color:{dark['line']}!important"
    sheet = f".lora-sheet{{{sheet};isolation:isolate}}"
    return (
        f"<style>@media screen{{:is({_DARK_PAGES}) {sheet}:is({_DARK_PAGES}) {_TURNED}}}"
        "@media screen and (prefers-color-scheme:dark)"
        f'{{[data-theme="auto"] {sheet}[data-theme="auto"] {_TURNED}}}</style>'
    )


def _dots_wide(picture: bytes) -> int:
    """The width that a PNG's header says."""
    return struct.unpack(">I", picture[16:20])[0]


def live_paragraph(inner: str) -> str:
    """Returns an HTML paragraph that a screen reader reads out when it changes.

    Args:
        inner: HTML; plain text must be escaped.

    Example:
        >>> live_paragraph("r = 8")
        '<p aria-live="polite" style="line-height:1.45">r = 8</p>'
    """
    # Widgets' own lines are as high as a button: too far apart for more than one.
    return f'<p aria-live="polite" style="line-height:1.45">{inner}</p>'


def alert_paragraph(inner: str) -> str:
    """Returns an HTML paragraph, set apart, that a screen reader reads out at once.

    Args:
        inner: HTML; plain text must be escaped.

    Example:
        >>> alert_paragraph("No.")[:16]
        '<p role="alert" '
    """
    # No colour of its own for letters and paper: they are the page's, light or dark.
    style = "line-height:1.45;padding-left:10px;border-left:4px solid #D55E00;"
    style += f"max-width:{widths_px()['wide']}px;box-sizing:border-box;"
    style += "overflow-wrap:anywhere"  # a message may be long, or one long word
    return f'<p role="alert" style="{style}">{inner}</p>'


def show_widget(widget: ipywidgets.Widget, text: str) -> None:
    """Shows a widget, with a text for readers without a kernel.

    Args:
        widget: What a reader with a kernel sees.
        text: The same in words; tests compare it.

    Raises:
        ValueError: `text` is empty.
    """
    if not text.strip():
        raise ValueError("text must say in words what the widget shows, got nothing")
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    display({WIDGET_VIEW: view, "text/plain": text}, raw=True)


def show_picture(
    picture: bytes, alt: str, *, width_px: int | None = None, phone: tuple[bytes, int] | None = None
) -> None:
    """Shows a PNG with its text alternative.

    Args:
        picture: PNG.
        alt: The picture in words.
        width_px: How wide it is shown where there is room; by default, a pixel of it is a pixel.
        phone: Its form for phones, as for `image_tag`.

    Not as a widget: JupyterLab prefers a widget to all other forms in a notebook that it trusts,
    and shows an error instead once the kernel that made it has ended.

    Raises:
        ValueError: `alt` is empty.
    """
    bundle = {
        "text/html": image_tag(picture, alt, width_px=width_px, phone=phone),
        "image/png": base64.b64encode(picture).decode(),
        "text/plain": alt,
    }
    shown = {"alt": alt} | ({"width": width_px} if width_px else {})
    display(bundle, metadata={"image/png": shown}, raw=True)
