"""The course's drawings: how a layer, a block, a step and a file look.

Each is one SVG, light and dark; `scripts/drawings` in the repository draws them. A notebook shows
one by a cell that ends in `drawing("side_path")`.
"""

from __future__ import annotations

import base64
import re
from html import escape, unescape
from importlib import resources
from typing import Any

from lora_edu.plots.sheet import edge_style, palettes

#: What there is to see.
NAMES = ("side_path", "side_path_start", "gpt_block", "kept", "one_base", "merge")
_WIDTH_PX = 560
# An SVG inside an <img> asks the <img> for its scheme, and so does the sheet's edge. JupyterLab and
# the course's site say theirs in an attribute; elsewhere it is the reader's own.
_FOLLOW_THE_PAGE = (
    "<style>.lora-drawing{color-scheme:light dark;border-color:light-dark(%s,%s)!important}"
    ':is([data-jp-theme-light="true"],[data-theme="light"]) .lora-drawing{color-scheme:light}'
    ':is([data-jp-theme-light="false"],[data-theme="dark"]) .lora-drawing{color-scheme:dark}'
    "</style>"
)


class Drawing:
    """A drawing, shown when a cell ends in it.

    Args:
        name: One of `NAMES`.

    Raises:
        ValueError: there is no such drawing.
    """

    def __init__(self, name: str) -> None:
        if name not in NAMES:
            raise ValueError(f"name must be one of {', '.join(NAMES)}; got {name!r}")
        self.name = name

    @property
    def svg(self) -> str:
        """The drawing itself."""
        return self._file(".svg").decode()

    @property
    def alt(self) -> str:
        """What it shows, in words."""
        return unescape(re.search("<desc>(.*?)</desc>", self.svg, flags=re.DOTALL)[1])

    def _file(self, ending: str) -> bytes:
        return (resources.files(__name__) / f"{self.name}{ending}").read_bytes()

    def __repr__(self) -> str:
        """Returns the text for readers without pictures."""
        return self.alt

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        data = base64.b64encode(self.svg.encode()).decode()
        style = f"width:{_WIDTH_PX}px;max-width:100%;height:auto;box-sizing:border-box;"
        style += edge_style()
        source = f"data:image/svg+xml;base64,{data}"
        image = (
            f'<img class="lora-drawing" alt="{escape(self.alt)}" style="{style}" src="{source}">'
        )
        bundle = {
            "text/html": _FOLLOW_THE_PAGE % tuple(each["line"] for each in palettes()) + image,
            "image/png": base64.b64encode(
                self._file("_light.png")
            ).decode(),  # where no SVG is shown
            "text/plain": self.alt,
        }
        return bundle, {"image/png": {"width": _WIDTH_PX, "alt": self.alt}}


def drawing(name: str) -> Drawing:
    """Returns one of the course's drawings, to show in a notebook.

    Args:
        name: One of `NAMES`.

    Raises:
        ValueError: there is no such drawing.

    Example:
        >>> drawing("side_path").alt[:32]
        'The input x takes two ways. One '
    """
    return Drawing(name)
