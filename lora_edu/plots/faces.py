"""Feedback with a face: a short text beside a coloured edge and a mark, on light and dark pages.

The letters keep the page's own colour. A mark is white on the edge's colour; white on it has a
contrast of 4.5 or more, and it stands out from white and from black paper by 3 or more. Colour
never says alone what the mark and the words say, too.
"""

from __future__ import annotations

import re
from html import escape
from typing import Literal

from lora_edu.plots.sheet import widths_px

Mood = Literal["right", "wrong", "open", "told"]

EDGES: dict[Mood, str] = {
    "right": "#00755a",
    "wrong": "#b34700",
    "open": "#6b7580",
    "told": "#0072b2",
}
MARKS: dict[Mood, str] = {"right": "✓", "wrong": "✗", "open": "○", "told": "="}


def faced(mood: Mood, heading: str, message: str = "", *, aside: str = "") -> str:
    """Returns HTML: a mark and a heading, then the message, beside a coloured edge.

    Args:
        mood: Right, wrong, open: nothing is answered yet, or told: the answer to what was asked.
        heading: A few words; plain text, as all of these are.
        message: One or two sentences; what stands between backticks is code.
        aside: Less important words, after the heading.

    Example:
        >>> "✓" in faced("right", "passed"), "&lt;b&gt;" in faced("wrong", "<b>")
        (True, True)
    """
    edge = EDGES[mood]
    block = f"border-left:5px solid {edge};padding:6px 12px;margin:4px 0;box-sizing:border-box;"
    block += f"max-width:{widths_px()['wide']}px;"
    block += "line-height:1.5;overflow-wrap:anywhere"
    disc = (
        f"display:inline-block;width:1.5em;line-height:1.5em;border-radius:50%;background:{edge};"
    )
    disc += "color:#fff;text-align:center;font-weight:700;margin-right:8px"
    said = f'<span style="{disc}">{MARKS[mood]}</span><b>{escape(heading)}</b>'
    if aside:
        said += f" <span>· {escape(aside)}</span>"
    told = f'<div style="margin-top:2px">{_with_code(message)}</div>' if message else ""
    return f'<div style="{block}"><div>{said}</div>{told}</div>'


def _with_code(text: str) -> str:
    """Text as HTML, `code` between backticks as such."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
