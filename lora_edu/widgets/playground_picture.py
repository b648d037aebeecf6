"""The playground's picture: the input plane, and the output plane before and after the update."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lora_edu.plots import figure, house_style
from lora_edu.widgets.canvas import Canvas

_BOUND = 3.4
_LINES = torch.linspace(-2, 2, 9)
_GREY, _BLUE, _RED, _GREEN = "#BBBBBB", "#0072B2", "#D55E00", "#009E73"


def _grid() -> Tensor:
    """The grid's lines as points: (18, 2, 2), a start and an end each."""
    ends = torch.tensor([-2.0, 2.0]).expand(len(_LINES), 2)
    fixed = _LINES[:, None].expand(-1, 2)
    return torch.cat([torch.stack([ends, fixed], -1), torch.stack([fixed, ends], -1)])


def _strokes(lines: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Lines (K, 2, 2) as one curve, broken after each: drawn at once, ten times as fast."""
    gap = torch.full((len(lines), 1, 2), float("nan"))
    points = torch.cat([lines, gap], dim=1).flatten(0, 1).numpy()
    return points[:, 0], points[:, 1]


class PlaygroundPicture:
    """One figure whose lines and dots move with the update.

    Args:
        weight: W, (2, 2), applied as x W.
        points: Vectors whose movement is shown, (K, 2).
    """

    def __init__(self, weight: Tensor, points: Tensor) -> None:
        self.weight, self.points, self.grid = weight, points, _grid()
        drawn = figure(panels=2, size_inches=(7.6, 4.65))
        plane, image = drawn.axes
        with house_style():
            self.title = drawn.suptitle(" ", x=0.01, ha="left", fontsize=11, fontweight="bold")
            for axis, name in ((plane, "inputs x"), (image, "outputs")):
                axis.set(xlim=(-_BOUND, _BOUND), ylim=(-_BOUND, _BOUND), aspect="equal", anchor="N")
                axis.set(xlabel=f"{name}, first number", ylabel=f"{name}, second number")
                axis.grid(False)
            plane.plot(*_strokes(self.grid), color=_GREY, linewidth=0.8)
            image.plot(*_strokes(self.grid @ weight), color=_GREY, linewidth=0.8)
            plane.plot(*points.T, "o", color="black", label="8 points")
            self.read = plane.plot([], [], color=_GREEN, linewidth=3, label="A reads this")[0]
            silent = {"color": "black", "linestyle": ":", "label": "A does not see this"}
            self.silent = plane.plot([], [], **silent)[0]
            after = {"color": _BLUE, "linewidth": 1, "label": "grid under W + update"}
            self.after = image.plot([], [], **after)[0]
            image.plot([], [], color=_GREY, label="grid under W")
            moves = {"color": _RED, "linewidth": 2, "label": "how the points move, along B"}
            self.moves = image.plot([], [], **moves)[0]
            self.heads = image.plot([], [], "o", color=_RED, markersize=6)[0]
            for axis in (plane, image):  # below, where they hide nothing and need no new drawing
                box = {"loc": "upper left", "bbox_to_anchor": (0, -0.13), "fontsize": 8}
                axis.legend(**box)
        lines = [self.silent, self.read, self.after, self.moves, self.heads]
        self.canvas = Canvas(drawn, [self.title, *lines])

    def png(self, update: Tensor, reads: Tensor, title: str) -> bytes:
        """Draws a state.

        Args:
            update: (2, 2), added to W.
            reads: Unit vector that A reads.
            title: The finding.
        """
        self.title.set_text(title)
        a, b = (1.9 * reads).tolist()
        self.read.set_data([-a, a], [-b, b])
        self.silent.set_data([1.6 * b, -1.6 * b], [-1.6 * a, 1.6 * a])
        self.after.set_data(*_strokes(self.grid @ (self.weight + update)))
        before, after = self.points @ self.weight, self.points @ (self.weight + update)
        self.moves.set_data(*_strokes(torch.stack([before, after], dim=1)))
        self.heads.set_data(after[:, 0].tolist(), after[:, 1].tolist())
        return self.canvas.png()
