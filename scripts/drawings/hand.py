"""The one hand that draws all drawings: a sheet, areas, words and arrows, light and dark.

A sheet is 480 units wide, so that the smallest words can still be read on a phone. Colours are
those of the explorers: they are read from `kit.css`, and only tints of areas are added here.
Places of words are their middles, vertically, and words are written in a small markup:

    *W*          a mathematical name, in italics
    [lora|A, B]  in the colour of a concept
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape

from lora_edu.plots import sheet

WIDTH = 480  # of a drawing that ships
STROKE = 2  # of every line
SIZES = {"name": 22, "formula": 18, "label": 16, "small": 14}
FONTS = {
    "words": '-apple-system, "Segoe UI", Roboto, Arial, "DejaVu Sans", sans-serif',
    "math": '"STIX Two Text", "Cambria", "Georgia", "DejaVu Serif", serif',
}
#: Of areas, by concept, behind words in `ink`; light and dark.
TINTS = {
    "tint-frozen": ("#e3e7eb", "#3a434d"),
    "tint-lora": ("#d3e8f6", "#14405c"),
    "tint-full": ("#fbe0cd", "#5a3418"),
    "tint-head": ("#cfeee3", "#0f4a39"),
}
_MARK = re.compile(r"\*(.+?)\*|\[(\w+)\|(.+?)\]")

Point = tuple[float, float]


def palettes() -> tuple[dict[str, str], dict[str, str]]:
    """Returns the colours by name, light and dark: those of `kit.css`, and the tints."""
    both = sheet.palettes()
    for name, tints in TINTS.items():
        for palette, tint in zip(both, tints, strict=True):
            palette[name] = tint
    return both


class Sheet:
    """A drawing in the making.

    Args:
        height: In units.
        title: What it shows, in a few words, for screen readers.
        description: The same in full sentences: its alternative text.
        width: In units.
    """

    def __init__(
        self, height: float, title: str, description: str, *, width: float = WIDTH
    ) -> None:
        self.height, self.width = height, width
        self.title, self.description = title, description
        self._parts: list[str] = []
        self.told_parts: list[tuple[float, float, float, float, str]] = []

    def told(self, x: float, y: float, width: float, height: float, words: str) -> None:
        """Says what a part is: a page lights it up and says it when the part is pointed at."""
        self.told_parts.append((x, y, width, height, words))

    def area(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        *,
        edge: str = "",
        dashed: bool = False,
        radius: float = 4,
    ) -> None:
        """Draws a rectangle; `fill` and `edge` are colours' names."""
        lines = f' stroke="var(--{edge})"' if edge else ""
        lines += ' stroke-dasharray="4 3"' if dashed else ""
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"'
        self._parts.append(f'<rect {place} fill="var(--{fill})"{lines}/>')

    def words(
        self,
        x: float,
        y: float,
        words: str,
        size: str = "label",
        *,
        colour: str = "ink",
        anchor: str = "middle",
        strong: bool = False,
    ) -> None:
        """Writes words whose middle is at the height `y`."""
        baseline = y + 0.35 * SIZES[size]
        look = f'fill="var(--{colour})" font-size="{SIZES[size]}" text-anchor="{anchor}"'
        look += ' font-weight="650"' if strong else ""
        self._parts.append(f'<text x="{x:g}" y="{baseline:g}" {look}>{_marked(words)}</text>')

    def arrow(self, *points: Point, colour: str = "ink", head: bool = True) -> None:
        """Draws a line through points, its corners rounded, with a head at its end."""
        *before, (x0, y0), (x, y) = points
        length = abs(x - x0) + abs(y - y0)  # lines are level or upright
        across, down = (x - x0) / length, (y - y0) / length
        stop = (x - 7 * across, y - 7 * down) if head else (x, y)
        path = _rounded([*before, (x0, y0), stop])
        line = f'fill="none" stroke="var(--{colour})"'
        self._parts.append(f'<path d="{path}" {line}/>')
        if head:
            left = (x - 9 * across + 5 * down, y - 9 * down + 5 * across)
            right = (x - 9 * across - 5 * down, y - 9 * down - 5 * across)
            corners = " ".join(f"{a:g},{b:g}" for a, b in ((x, y), left, right))
            self._parts.append(
                f'<polygon points="{corners}" fill="var(--{colour})" stroke="none"/>'
            )

    def plus(self, x: float, y: float) -> None:
        """Draws the sign where two ways are added, 13 units around its middle."""
        cross = f"M{x - 6:g} {y:g}h12M{x:g} {y - 6:g}v12"
        circle = f'<circle cx="{x:g}" cy="{y:g}" r="13" fill="var(--paper)" stroke="var(--ink)"/>'
        self._parts.append(f'{circle}<path d="{cross}" stroke="var(--ink)"/>')

    def svg(self) -> str:
        """Returns the drawing; its colours follow the scheme of the page that shows it."""
        light, dark = (
            "".join(f"--{name}:{colour};" for name, colour in palette.items() if name in used)
            for used in [set(re.findall(r"var\(--([\w-]+)\)", "".join(self._parts))) | {"paper"}]
            for palette in palettes()
        )
        style = f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        style += f"text{{font-family:{FONTS['words']};white-space:pre}}\n"
        style += f".m{{font-family:{FONTS['math']};font-style:italic}}\n"
        style += f"rect,path,circle{{stroke-width:{STROKE}}}"
        wide, high = f"{self.width:g}", f"{self.height:g}"
        size = f'viewBox="0 0 {wide} {high}" width="{wide}" height="{high}"'
        paper = f'<rect width="{wide}" height="{high}" fill="var(--paper)"/>'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
        about = f"<title>{escape(self.title)}</title>\n<desc>{escape(self.description)}</desc>"
        if self.told_parts:
            told = json.dumps(self.told_parts, ensure_ascii=False)
            about += f"\n<metadata>{escape(told, quote=False)}</metadata>"
        body = "\n".join([head, about, f"<style>{style}</style>", paper, *self._parts, "</svg>"])
        return body + "\n"


def _marked(words: str) -> str:
    """Turns the small markup into spans."""
    made, end = "", 0
    for mark in _MARK.finditer(words):
        made += escape(words[end : mark.start()], quote=False)
        name, concept, inner = mark.groups()
        if name:
            made += f'<tspan class="m">{escape(name, quote=False)}</tspan>'
        else:
            made += f'<tspan fill="var(--{concept})">{_marked(inner)}</tspan>'
        end = mark.end()
    return made + escape(words[end:], quote=False)


def _rounded(points: Sequence[Point], radius: float = 10) -> str:
    """A path through points that turns its corners in quarter circles."""
    made = "M{:g} {:g}".format(*points[0])
    for before, corner, after in zip(points, points[1:], points[2:]):
        ends = []
        for other in (before, after):
            far = abs(other[0] - corner[0]) + abs(other[1] - corner[1])
            part = min(radius, far / 2) / far
            ends += [c + part * (o - c) for c, o in zip(corner, other, strict=True)]
        made += "L{:g} {:g}Q{:g} {:g} {:g} {:g}".format(*ends[:2], *corner, *ends[2:])
    return made + "L{:g} {:g}".format(*points[-1])
