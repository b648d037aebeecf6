"""Maps: a matrix as coloured cells, each with its number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from lora_edu.plots.style import MAP, RULE, figure, house_style

_DARK = 0.45  # a shade that black and white letters are about as readable on


def heat_map(
    matrix: ArrayLike,
    *,
    title: str,
    x_label: str,
    y_label: str,
    value_label: str,
    x_names: Sequence[str] = (),
    y_names: Sequence[str] = (),
    number_format: str = "{:g}",
) -> Figure:
    """Draws a matrix as coloured cells and writes each value into its cell.

    The colours are those of the explorers' maps: the paper's at zero, violet above it and orange
    below, and stronger the further from zero. The numbers say all that a bar of colours would.

    Args:
        matrix: (rows, columns); row 0 at the top.
        title: The finding.
        x_label: What the columns are.
        y_label: What the rows are.
        value_label: What the numbers are, with the unit.
        x_names: Names of the columns.
        y_names: Names of the rows.
        number_format: How a value is written.
    """
    values = np.asarray(matrix, dtype=float)
    made = figure(title, f"{x_label}\nin each cell: {value_label}", y_label)
    axis = made.axes[0]
    bound = float(np.abs(values).max()) or 1.0
    scale = {"cmap": MAP, "vmin": -bound, "vmax": bound}
    with house_style():
        image = axis.imshow(values, aspect="auto", interpolation="nearest", **scale)
        axis.grid(False)
        axis.spines[:].set(visible=True, color=RULE)  # the weakest cells are almost paper
        axis.locator_params(integer=True)
        if x_names:
            axis.set_xticks(range(len(x_names)), list(x_names))
        if y_names:
            axis.set_yticks(range(len(y_names)), list(y_names))
        for (row, column), value in np.ndenumerate(values):
            red, green, blue, _ = image.to_rgba(value)
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < _DARK
            text = number_format.format(value)
            colour = "white" if dark else "black"
            axis.text(column, row, text, ha="center", va="center", color=colour)
    return made
