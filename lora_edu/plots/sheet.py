"""The sheet that every picture is on: one paper, one edge, the same corners, and two widths.

Explorers, figures and drawings stand beneath each other on a page, so a reader should see one kind
of card, light or dark, with few edges down the page. What it looks like is said in one
place, the style of the explorers (`widgets/components/kit.css`); figures and drawings take it from
there.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_COLOUR = re.compile(r"--([\w-]+): (#[0-9a-f]{6})")
_HOST = re.compile(r":host[^{]*\{([^}]*)\}")
_LETTERS = re.compile(r"font: 14px/1\.45 ([^;]*);")
_WIDTH = re.compile(r"--(wide|narrow): (\d+)px")
_RADIUS = re.compile(r"--radius: (\d+)px")

EDGE_PX, MARGIN_PX = 1, 8  # of a sheet's line, and of paper around a picture


@cache
def _style() -> str:
    kit = resources.files("lora_edu") / "widgets" / "components" / "kit.css"
    return kit.read_text(encoding="utf-8")


def palettes() -> tuple[dict[str, str], dict[str, str]]:
    """Returns the colours of the explorers by name, light and dark.

    Example:
        >>> light, dark = palettes()
        >>> light["paper"], dark["paper"]
        ('#ffffff', '#111418')
    """
    light, dark = _HOST.findall(_style())[:2]
    return dict(_COLOUR.findall(light)), dict(_COLOUR.findall(dark))


def widths_px() -> dict[str, int]:
    """Returns the two widths that sheets have, explorers, boxes and tables included.

    Example:
        >>> widths_px()
        {'wide': 820, 'narrow': 560}
    """
    return {name: int(px) for name, px in _WIDTH.findall(_style())}


def picture_px(name: str) -> int:
    """Returns how wide a picture is on a sheet of the width that is called so."""
    return widths_px()[name] - 2 * (EDGE_PX + MARGIN_PX)


def radius_px() -> int:
    """Returns how round a sheet's corners are."""
    return int(_RADIUS.search(_style())[1])


def letters() -> str:
    """Returns the explorers' fonts, as CSS lists them.

    Example:
        >>> letters()[-10:]
        'sans-serif'
    """
    return _LETTERS.search(_style())[1]


def edge_style() -> str:
    """Returns a light sheet's edge as CSS, with its corners."""
    return f"border:{EDGE_PX}px solid {palettes()[0]['line']};border-radius:{radius_px()}px"
