"""The course's drawings: how a layer, a block, a step and a file look.

Each is one SVG, light and dark; `scripts/drawings` in the repository draws them. A notebook shows
one by a cell that ends in `drawing("side_path")`.

A part that is pointed at, or reached by the Tab key, lights up and says above the drawing what it
is: beneath, the line would be off the screen. The drawing stays a picture: over it are areas
without words, and only CSS makes them seen. So where a page allows no style, such as JupyterLab
before it trusts a notebook, the picture is left.
"""

from __future__ import annotations

import base64
import json
import re
from functools import cache
from html import escape, unescape
from importlib import resources
from typing import Any, NamedTuple

from lora_edu.plots.sheet import edge_style, letters, palettes, radius_px, widths_px

#: What there is to see.
NAMES = (
    "side_path",
    "side_path_alpha",
    "side_path_start",
    "side_path_settings",
    "gpt_block",
    "kept",
    "one_base",
    "merge",
    "adapter_folder",
)
_WIDTH_PX = widths_px()["narrow"]
# An SVG inside an <img> asks the <img> for its scheme, and so does the sheet's edge. JupyterLab and
# the course's site say theirs in an attribute; elsewhere it is the reader's own.
_FOLLOW_THE_PAGE = (
    "{color-scheme:light dark}"
    ':is([data-jp-theme-light="true"],[data-theme="light"]) %s{color-scheme:light}'
    ':is([data-jp-theme-light="false"],[data-theme="dark"]) %s{color-scheme:dark}'
)
_HINT = "Point at a part, or tap it: here it says what it is."


class Part(NamedTuple):
    """A part of a drawing, and what it says of itself; places are in the drawing's units."""

    x: float
    y: float
    width: float
    height: float
    words: str


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

    @property
    def parts(self) -> list[Part]:
        """What can be pointed at."""
        found = re.search("<metadata>(.*?)</metadata>", self.svg, flags=re.DOTALL)
        return [Part(*part) for part in json.loads(unescape(found[1]))] if found else []

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
            "text/html": f"<style>{_style()}</style>{self._with_parts(image)}",
            "image/png": base64.b64encode(
                self._file("_light.png")
            ).decode(),  # where no SVG is shown
            "text/plain": self.alt,
        }
        return bundle, {"image/png": {"width": _WIDTH_PX, "alt": self.alt}}

    def _with_parts(self, image: str) -> str:
        """The picture, an area over each of its parts, and what that says."""
        if not self.parts:
            return image
        wide, high = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', self.svg).groups())
        made = []
        for x, y, width, height, words in self.parts:
            place = f"left:{100 * x / wide:.1f}%;top:{100 * y / high:.1f}%;"
            place += f"width:{100 * width / wide:.1f}%;height:{100 * height / high:.1f}%"
            said = escape(words)
            made.append(
                f'<span tabindex="0" role="img" aria-label="{said}" style="{place}"></span>'
                f'<i aria-hidden="true" data-says="{said}"></i>'
            )
        return f'<div class="lora-parts">{image}{"".join(made)}</div>'


@cache
def _style() -> str:
    """Colours that follow the page, and what makes the areas over a drawing's parts seen."""
    light, dark = palettes()
    edge, ink, quiet, lit = (
        f"light-dark({light[name]},{dark[name]})" for name in ("line", "ink", "quiet", "lora")
    )
    veil = f"light-dark({light['paper']}99,{dark['paper']}99)"
    of_parts = {
        "": f"position:relative;width:{_WIDTH_PX}px;max-width:100%;line-height:0;"
        # Room for what is said: the areas' places leave an edge out, and no page takes it away.
        f"border-top:42px solid transparent;clip-path:inset(0 round {radius_px()}px)",
        " span": "position:absolute;border-radius:5px",
        " span:is(:hover,:focus)": f"outline:none;box-shadow:0 0 0 2px {lit},0 0 0 2000px {veil}",
        " i,.lora-parts::after": "position:absolute;bottom:100%;left:2px;right:2px;"
        f"margin-bottom:4px;font:14px/18px {letters()};color:{ink}",
        " :is(:hover,:focus)+i::after": "content:attr(data-says)",
        "::after": f"content:'{_HINT}';color:{quiet}!important",
        ":is(:has(span:hover),:has(span:focus))::after": "content:none",
    }
    both = ":is(.lora-drawing,.lora-parts)"
    parts = "".join(f".lora-parts{which}{{{look}}}" for which, look in of_parts.items())
    return (
        f"{both}{_FOLLOW_THE_PAGE % (both, both)}"
        f".lora-drawing{{border-color:{edge}!important}}@media screen{{{parts}}}"
    )


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
