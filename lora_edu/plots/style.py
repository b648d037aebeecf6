"""The figure factory: every figure of the course is made here, in one style.

The style: a concept has its colour in every figure, of Okabe and Ito's, which colour-blind readers
can tell apart; other series have colours of their own, at least 3 : 1 on white and apart in
lightness; each line has its own marker and dashes, so that a print in grey still reads; a title
that states the finding; axis labels with units. Letters, sizes, greys and lines are those of the
explorers (widgets/components/kit.css), so that figures and explorers seem drawn by one hand. No
figure goes through pyplot, so nothing has to be closed and nothing is shown twice.

Source:
    Okabe and Ito 2008, "Color Universal Design", section "Color-blind friendly palette".
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from PIL import Image

from lora_edu.plots.sheet import picture_px

DOTS_PER_INCH = 110  # as shown
#: Width and height; on its sheet it is as wide as an explorer.
SIZE_INCHES = (picture_px("wide") / DOTS_PER_INCH, 3.6)
#: Dots stored for each dot shown, so that a dense screen and a zoomed page are sharp.
SHARPNESS = 1.5
_PALETTE_COLOURS = 256  # the most that PNG has
_LEAST_LAST = 0.35  # of a title's longest line: what its last one has, where words can move there
#: Of series that are no concept: none of these is a concept's, and neighbours differ in lightness.
COLOURS = ("#3B2A7A", "#B0800A", "#117A7A", "#B565A7", "#5B2C3F", "#82786A", "#000000")
#: One colour for each concept, in every picture: the frozen base and its W; LoRA, its A, B and
#: their product; full fine-tuning; a new head. The explorers' are in widgets/components/kit.css.
CONCEPTS = {"frozen": "#6B7580", "lora": "#0072B2", "full": "#D55E00", "head": "#009E73"}
INK = "#1B1F24"  # of words
QUIET, RULE = "#57606A", "#D0D7DE"  # of an axis' words and numbers; of the grid
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), "-")
HATCHES = ("", "///", "...", "\\\\\\", "xx", "++", "oo")
#: Of every map: orange below zero, the paper's at zero, violet above. Safe for colour-blind eyes.
#: As it begins at the paper, it still does on a dark page, which turns light into dark.
MAP = "PuOr"

#: Plain letters like the page's. The first two are equally wide, so that a figure made with either
#: has the same layout; the last comes with matplotlib, and has the signs that the others lack.
FONTS = ("Arial", "Liberation Sans", "DejaVu Sans")

STYLE: dict[str, Any] = {
    # matplotlib warns of each font that is not there, on the learner's page.
    "font.family": [font for font in FONTS if font in font_manager.get_font_names()],
    "font.size": 9,  # points; 14 pixels as shown
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlepad": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "xtick.color": QUIET,
    "xtick.major.size": 3,
    "xtick.major.width": 0.7,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.7,
    "lines.markersize": 5,
}


class _Commas(ScalarFormatter):
    """Writes the numbers of a linear axis in full: 6,000 and 2,000,000, not 6000 and 2 of 1e6."""

    def __init__(self) -> None:
        super().__init__(useOffset=False)
        self.set_scientific(False)

    def __call__(self, value: float, place: int | None = None) -> str:
        whole, point, rest = super().__call__(value, place).partition(".")
        return re.sub(r"(?<=\d)(?=(\d{3})+$)", ",", whole) + point + rest


@contextmanager
def house_style() -> Iterator[None]:
    """Applies the style while figures are made; nothing outside is changed."""
    with matplotlib.rc_context(STYLE):
        yield


def figure(
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    *,
    panels: int = 1,
    rows: int = 1,
    size_inches: tuple[float, float] = SIZE_INCHES,
) -> Figure:
    """Makes an empty figure in the house style: the one place where figures are made.

    Args:
        title: The finding, in one sentence; with several panels, above all of them.
        x_label: What the horizontal axes show, with the unit.
        y_label: What the first vertical axis of each row shows, with the unit.
        panels: Number of axes, `figure.axes[0]` and so on, row by row.
        rows: Rows that the panels stand in; divides `panels`.
        size_inches: Width and height.

    Raises:
        ValueError: `panels` is below 1, or `rows` does not divide it.

    Example:
        >>> figure("Loss falls", "step", "loss (nats per token)").axes[0].get_xlabel()
        'step'
    """
    if panels < 1:
        raise ValueError(f"panels must be at least 1, got {panels}")
    if rows < 1 or panels % rows:
        raise ValueError(f"rows must be at least 1 and divide panels = {panels}, got {rows}")
    with house_style():
        made = Figure(figsize=size_inches, dpi=DOTS_PER_INCH, layout="constrained")
        FigureCanvasAgg(made)
        axes = made.subplots(rows, panels // rows, squeeze=False)
        for axis in axes.flat:
            axis.set_xlabel(x_label)
            axis.xaxis.set_major_formatter(_Commas())
            axis.yaxis.set_major_formatter(_Commas())
        for first in axes[:, 0]:
            first.set_ylabel(y_label)
        if panels == 1:
            axes[0, 0].set_title(title)
        elif title:
            size = STYLE["axes.titlesize"]
            made.suptitle(title, x=0.01, ha="left", fontsize=size, fontweight="bold")
    return made


def concept_of(name: str) -> str:
    """Returns the key of `CONCEPTS` that a series' name speaks of, or "".

    A name that speaks of a method is about the method, whatever base it has.

    Example:
        >>> concept_of("LoRA, rank 8"), concept_of("full, random base"), concept_of("the base")
        ('lora', 'full', 'frozen')
    """
    words = set(re.findall("[a-z]+", name.lower()))
    spoken = (("lora", "lora"), ("full", "full"), ("head", "head"), ("base", "frozen"))
    return next((concept for word, concept in spoken if word in words), "")


def wrapped(text: str, characters: int) -> str:
    """Breaks a text into lines, none between a number and its sign, and leaves no word alone.

    Where little is left for the last line, all lines are as even as they can be.

    Example:
        >>> wrapped("and 5 % of all, T = 2", 5).splitlines()
        ['and', '5 %', 'of', 'all,', 'T = 2']
        >>> wrapped("LoRA is ten points above a head", 26).splitlines()
        ['LoRA is ten points', 'above a head']
    """
    kept = re.sub(r"(?<=\d) (?=%)|(?<==) | (?==)", "\N{NO-BREAK SPACE}", text)
    lines = textwrap.wrap(kept, characters)
    if len(lines) > 1 and len(lines[-1]) < _LEAST_LAST * max(map(len, lines)):
        narrower = (textwrap.wrap(kept, less) for less in range(characters - 1, 0, -1))
        lines = min(
            takewhile(lambda each: len(each) == len(lines), narrower),
            key=lambda each: max(map(len, each)),
            default=lines,
        )
    return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")


def line_style(index: int, name: str = "") -> dict[str, Any]:
    """Returns colour, marker and dashes of the series number `index`, for `Axes.plot`.

    Args:
        index: Its place among the series.
        name: Where it speaks of a concept, the colour is the concept's.

    Example:
        >>> line_style(1, "LoRA")["color"], line_style(len(COLOURS)) == line_style(0)
        ('#0072B2', True)
    """
    index %= len(COLOURS)
    colour = CONCEPTS.get(concept_of(name), COLOURS[index])
    return {"color": colour, "marker": MARKERS[index], "linestyle": DASHES[index]}


def png(drawn: Figure, colours: int = _PALETTE_COLOURS) -> bytes:
    """Returns a figure as PNG: the same bytes for the same data and versions.

    It has `SHARPNESS` times the dots that it is shown with, and a palette: a third of the size of
    a picture with all colours, as charts have few.

    Args:
        drawn: The figure.
        colours: Of the palette, at most 256: fewer make a smaller file.
    """
    buffer = io.BytesIO()
    with house_style():
        drawn.savefig(buffer, format="png", dpi=DOTS_PER_INCH * SHARPNESS)
    return with_palette(buffer.getvalue(), colours)


def with_palette(picture: bytes, colours: int = _PALETTE_COLOURS) -> bytes:
    """Returns a PNG that draws its colours from a palette.

    Args:
        picture: PNG, whose transparent parts become white.
        colours: As for `png`.
    """
    image = Image.open(io.BytesIO(picture)).convert("RGBA")
    paper = Image.new("RGBA", image.size, "white")
    whole = Image.alpha_composite(paper, image).convert("RGB")
    # Dithering would dot every plain area, and a compressor finds no repetition in dots.
    few = whole.quantize(colours, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    few.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def shown_width(drawn: Figure) -> int:
    """Returns how many pixels wide a figure is shown."""
    return round(drawn.get_figwidth() * DOTS_PER_INCH)
