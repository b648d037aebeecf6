"""The playground: a plane under a matrix, and a rank-1 update of it made from LoRA's A and B.

State in (`PlaygroundState`), words and picture out; `playground` puts controls around it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets
import torch
from torch import Tensor

from lora_edu.widgets.live import LABELLED, LivePicture, View
from lora_edu.widgets.playground_picture import PlaygroundPicture

#: The frozen matrix: x → x W stretches and turns the plane a little. Rows are inputs.
W = torch.tensor([[1.1, 0.3], [-0.4, 0.9]])
DEGREES = tuple(range(0, 180, 15))
STRENGTHS = tuple(step / 4 for step in range(-8, 9))
#: The points of the picture: eight directions, every 45 degrees.
POINTS = torch.tensor(
    [[math.cos(math.pi * k / 4), math.sin(math.pi * k / 4)] for k in range(8)]
)  # fmt: skip


def direction(degrees: float) -> Tensor:
    """The unit vector at an angle.

    Example:
        >>> direction(90).round(decimals=4)
        tensor([0., 1.])
    """
    return torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


@dataclass(frozen=True)
class PlaygroundState:
    """What the learner has set.

    Args:
        angle_in: Direction that A reads, in degrees.
        angle_out: Direction that B writes, in degrees.
        strength: alpha.

    Example:
        >>> PlaygroundState(0, 90, 2.0).update.round(decimals=4).abs()
        tensor([[0., 2.],
                [0., 0.]])
    """

    angle_in: float = 45
    angle_out: float = 90
    strength: float = 1.0

    @property
    def A(self) -> Tensor:  # noqa: N802 (the paper's name)
        """The direction in, as a column: (2, 1)."""
        return direction(self.angle_in)[:, None]

    @property
    def B(self) -> Tensor:  # noqa: N802
        """The direction out, as a row: (1, 2)."""
        return direction(self.angle_out)[None, :]

    @property
    def update(self) -> Tensor:
        """The update alpha · A B, a matrix of rank 1 (or 0)."""
        return self.strength * self.A @ self.B

    @property
    def unmoved(self) -> int:
        """How many of the points the update leaves where W put them."""
        return int(((POINTS @ self.update).norm(dim=1) < 1e-6).sum())


def explain(state: PlaygroundState) -> str:
    """Says what the update reads, what it writes, and what it leaves alone.

    Example:
        >>> explain(PlaygroundState(0, 90, 0.0))
        'Strength 0: the update is the zero matrix, and nothing moves.'
    """
    if state.strength == 0:
        return "Strength 0: the update is the zero matrix, and nothing moves."
    silent = (state.angle_in + 90) % 180
    (a, b), (c, d) = (state.update + 0.0).tolist()
    return (
        f"The update reads how far x points along {state.angle_in}° (A) and adds "
        f"{state.strength:g} times that along {state.angle_out}° (B). All change points along "
        f"{state.angle_out}°, and whatever points along {silent}° stays where W put it: "
        f"{_stay(state)}. "
        f"alpha · A B = [[{_two(a)}, {_two(b)}], [{_two(c)}, {_two(d)}]] has rank 1: its second "
        f"row is a multiple of its first, or one of them is zero."
    )


def describe(state: PlaygroundState) -> str:
    """The picture in words."""
    return (
        f"Left, the input plane with the direction A reads at {state.angle_in} degrees. Right, a "
        f"grid under W in grey and under W plus the update in blue; red strokes, all along "
        f"{state.angle_out} degrees, show how 8 points move: {_stay(state)}."
    )


def playground(start: PlaygroundState | None = None) -> LivePicture:
    """Makes the playground.

    Args:
        start: The setting it opens with.
    """
    begin = start or PlaygroundState()
    drawing = PlaygroundPicture(W, POINTS)

    def view(values: Mapping[str, Any]) -> View:
        state = PlaygroundState(**values)
        picture = drawing.png(state.update, state.A[:, 0], _finding(state))
        return View(picture, describe(state), explain(state))

    def slider(name: str, options: tuple, label: str) -> ipywidgets.Widget:
        value = getattr(begin, name)
        return ipywidgets.SelectionSlider(
            options=options, value=value, description=label, style=LABELLED
        )

    controls = {
        "angle_in": slider("angle_in", DEGREES, "Direction in (A), degrees"),
        "angle_out": slider("angle_out", DEGREES, "Direction out (B), degrees"),
        "strength": slider("strength", STRENGTHS, "Strength (alpha)"),
    }
    rows = [("angle_in", "angle_out"), ("strength",)]
    return LivePicture(controls, view, rows, height_px=515)


def _finding(state: PlaygroundState) -> str:
    if state.strength == 0:
        return "Strength 0: nothing moves"
    return f"The update moves outputs along {state.angle_out}° only; {_stay(state)}"


def _stay(state: PlaygroundState) -> str:
    """How many of the points stay where W put them, with its verb."""
    return f"{state.unmoved or 'none'} of 8 points stay{'' if state.unmoved else 's'}"


def _two(number: float) -> str:
    """Two digits, without a minus sign before zero."""
    return f"{round(number, 2) + 0.0:.2f}"
