"""The picture of the SVD cut: a column an object, with the cut, the residual and the spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from lora_edu.plots import DIVERGING, SEQUENTIAL, figure, house_style
from lora_edu.widgets.canvas import Canvas, Pixels
from lora_edu.widgets.units import percent

_BLUE, _RED = "#0072B2", "#D55E00"
_SMALLEST = 1e-3  # of the largest; singular values below are not drawn


class Panel(NamedTuple):
    """One object: the matrix, its cut, its singular values, the energy kept, and its range.

    `low` and `high` are the ends of its colour scale; a matrix with signs has -high and high.
    """

    matrix: Tensor
    cut: Tensor
    values: Tensor
    energy: float
    low: float
    high: float


class CutPicture:
    """One figure of three rows; images and lines move with the rank.

    Args:
        names: The objects, from left to right.
    """

    def __init__(self, names: Sequence[str]) -> None:
        drawn = figure(size_inches=(7.6, 5.2))
        drawn.delaxes(drawn.axes[0])
        with house_style():
            axes = drawn.subplots(3, len(names), height_ratios=(3, 3, 2), squeeze=False)
            self.title = drawn.suptitle(" ", x=0.01, ha="left", fontsize=11, fontweight="bold")
            for axis in axes[:2].flat:
                axis.set(xticks=[], yticks=[])
                axis.grid(False)
            self.images = [[Pixels(axis) for axis in row] for row in axes[:2]]
            for axis, name in zip(axes[0], names, strict=True):
                axis.set_title(name, loc="center", fontsize=10)
            axes[0][0].set_ylabel("the cut")
            axes[1][0].set_ylabel("the residual")
            self.spectra = [axis.plot([], [], color=_BLUE)[0] for axis in axes[2]]
            line = {"color": _RED, "linestyle": "--"}
            self.cuts = [axis.axvline(0, **line) for axis in axes[2]]
            at = {"ha": "right", "va": "top", "fontsize": 9}
            self.notes = [
                axis.text(0.98, 0.95, "", transform=axis.transAxes, **at) for axis in axes[2]
            ]
            for axis in axes[2]:
                axis.set(xlim=(0, 192), ylim=(-3.1, 0.8), xlabel="singular value, largest first")
                axis.grid(False, axis="x")  # the note stands there
                axis.set_yticks([-3, -2, -1, 0], ["0.1 %", "1 %", "10 %", "100 %"])
            axes[2][0].set_ylabel("of the largest")
        flat = [image for row in self.images for image in row]
        self.canvas = Canvas(drawn, [self.title, *flat, *self.spectra, *self.cuts, *self.notes])

    def png(self, title: str, rank: int, panels: Sequence[Panel]) -> bytes:
        """Draws a state.

        Args:
            title: What is shown.
            rank: Where the spectra are cut.
            panels: One an object.
        """
        self.title.set_text(title)
        for column, panel in enumerate(panels):
            self._draw_images(column, panel)
            shares = panel.values / panel.values[0]
            shares = shares[shares >= _SMALLEST].log10()
            self.spectra[column].set_data(range(1, len(shares) + 1), shares.tolist())
            self.cuts[column].set_xdata([rank + 0.5] * 2)
            self.notes[column].set_text(f"energy kept {percent(panel.energy)}")
        return self.canvas.png()

    def _draw_images(self, column: int, panel: Panel) -> None:
        """Cut and residual on one scale: that of the matrix, white at zero where it has signs."""
        residual = panel.matrix - panel.cut
        colours = DIVERGING if panel.low < 0 else SEQUENTIAL
        self.images[0][column].set_matrix(panel.cut.numpy(), colours, panel.low, panel.high)
        self.images[1][column].set_matrix(residual.numpy(), DIVERGING, -panel.high, panel.high)
