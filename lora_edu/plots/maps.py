"""Maps: a matrix as coloured cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from lora_edu.plots.style import DIVERGING, RULE, SEQUENTIAL, figure, house_style


def heat_map(
    matrix: ArrayLike,
    *,
    title: str,
    x_label: str,
    y_label: str,
    value_label: str,
    x_names: Sequence[str] = (),
    y_names: Sequence[str] = (),
    number_format: str = "",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draws a matrix as coloured cells, whose colours go from the paper's to strong ones.

    A strong one is a large value, or with values of both signs one far from zero. So a map reads
    alike on white paper and on dark.

    Args:
        matrix: (rows, columns); row 0 at the top.
        title: The finding.
        x_label: What the columns are.
        y_label: What the rows are.
        value_label: What the colours mean, with the unit.
        x_names: Names of the columns.
        y_names: Names of the rows.
        number_format: Writes each value into its cell, such as "{:.2f}"; "" for none.
        limits: Values at the ends of the colours, for maps that are to be compared.
    """
    values = np.asarray(matrix, dtype=float)
    made = figure(title, x_label, y_label)
    axis = made.axes[0]
    bound = float(np.abs(values).max()) or 1.0
    signed = values.min() < 0
    more = "further from zero" if signed else "more"
    ends = limits or ((-bound, bound) if signed else (None, None))
    scale = {"cmap": DIVERGING if signed else SEQUENTIAL, "vmin": ends[0], "vmax": ends[1]}
    with house_style():
        image = axis.imshow(values, aspect="auto", interpolation="nearest", **scale)
        bar = made.colorbar(image, ax=axis, label=f"{value_label}\nstronger colour: {more}")
        bar.outline.set_color(RULE)
        axis.grid(False)
        axis.spines[:].set(visible=True, color=RULE)  # the weakest cells are almost paper
        axis.locator_params(integer=True)
        if x_names:
            axis.set_xticks(range(len(x_names)), list(x_names))
        if y_names:
            axis.set_yticks(range(len(y_names)), list(y_names))
        for (row, column), value in np.ndenumerate(values) if number_format else ():
            red, green, blue, _ = image.to_rgba(value)
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            text = number_format.format(value)
            colour = "white" if dark else "black"
            axis.text(column, row, text, ha="center", va="center", color=colour)
    return made
