"""The playground: a plane under a matrix, and a rank-1 update of it made from LoRA's A and B.

State in (`PlaygroundState`), words out; `components/plane.js` says the same words and draws. All of
it is arithmetic on four numbers, so it needs neither a kernel nor torch.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from lora_edu.widgets.component import Component
from lora_edu.widgets.units import digits

Row = tuple[float, float]

#: The frozen matrix: x → x W stretches and turns the plane a little. Rows are inputs.
W: tuple[Row, Row] = ((1.1, 0.3), (-0.4, 0.9))
DEGREES = tuple(range(0, 360, 15))
STRENGTHS = tuple(step / 4 for step in range(-6, 7))  # what they move stays in the plane
#: The picture moves eight points: the unit vectors at these angles.
POINTS_DEGREES = tuple(range(0, 360, 45))


def direction(degrees: float) -> Row:
    """The unit vector at an angle.

    Example:
        >>> [round(number, 4) for number in direction(90)]
        [0.0, 1.0]
    """
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


@dataclass(frozen=True)
class PlaygroundState:
    """What the learner has set.

    Args:
        angle_in: Direction that A reads, in degrees.
        angle_out: Direction that B writes, in degrees.
        strength: alpha.

    Example:
        >>> [[round(entry, 4) for entry in row] for row in PlaygroundState(0, 90, 2.0).update]
        [[0.0, 2.0], [0.0, 0.0]]
    """

    angle_in: int = 45
    angle_out: int = 90
    strength: float = 1.0

    @property
    def A(self) -> Row:  # noqa: N802 (the paper's name)
        """The direction in: A's only column."""
        return direction(self.angle_in)

    @property
    def B(self) -> Row:  # noqa: N802
        """The direction out: B's only row."""
        return direction(self.angle_out)

    @property
    def update(self) -> tuple[Row, Row]:
        """The update alpha · A B, a matrix of rank 1 (or 0)."""
        first, second = (
            (self.strength * a * self.B[0], self.strength * a * self.B[1]) for a in self.A
        )
        return first, second

    @property
    def unmoved(self) -> int:
        """How many of the eight points the update leaves where W put them.

        Those that A does not see, as they are perpendicular to it.
        """
        if self.strength == 0:
            return len(POINTS_DEGREES)
        return sum((point - self.angle_in) % 180 == 90 for point in POINTS_DEGREES)


def finding(state: PlaygroundState) -> str:
    """The one line above the picture.

    Example:
        >>> finding(PlaygroundState(30, 90, 1.0))
        'The update moves points along 90° only; none of 8 points stays.'
    """
    if state.strength == 0:
        return "At alpha 0 the update is the zero matrix, and nothing moves."
    return f"The update moves points along {state.angle_out}° only; {_stay(state)}."


def explain(state: PlaygroundState) -> str:
    """Says what the update reads, what it writes, and what it leaves alone.

    Example:
        >>> explain(PlaygroundState(0, 90, 0.0))
        'Whatever A reads, B writes 0 times that: all points stay where W put them.'
    """
    if state.strength == 0:
        return "Whatever A reads, B writes 0 times that: all points stay where W put them."
    return (
        f"A reads how far x points along {state.angle_in}°, and B writes "
        f"{digits(state.strength, 3)} times that along {state.angle_out}°. "
        f"Whatever points along {(state.angle_in + 90) % 180}° is not read, so it stays where W "
        "put it. Every row of alpha · A B points along B: that is rank 1."
    )


def describe(state: PlaygroundState) -> str:
    """The picture in words."""
    (a, b), (c, d) = state.update
    return (
        f"Left, the input plane with the direction that A reads, {state.angle_in} degrees. "
        "Right, a grid under W in grey and under W plus the update in blue; strokes lead from 8 "
        "grey points to 8 blue ones. "
        f"{finding(state)} alpha · A B = [[{_two(a)}, {_two(b)}], [{_two(c)}, {_two(d)}]]."
    )


def playground(start: PlaygroundState | None = None) -> Component:
    """Makes the playground.

    Args:
        start: The setting that it opens with.

    Example:
        >>> playground(PlaygroundState(30, 90, 0.5))
        The update moves points along 90° only; none of 8 points stays. A reads how far x points ...
    """
    begin = start or PlaygroundState()
    data: dict[str, Any] = {
        "W": W,
        "degrees": DEGREES,
        "strengths": STRENGTHS,
        "points": POINTS_DEGREES,
        "start": asdict(begin),
    }
    text = f"{finding(begin)} {explain(begin)}"
    pictured = begin == PlaygroundState()
    return Component("plane", data, alt=describe(begin), text=text, pictured=pictured)


def _stay(state: PlaygroundState) -> str:
    """How many of the points stay where W put them, with its verb."""
    return f"{state.unmoved or 'none'} of 8 points stay{'' if state.unmoved else 's'}"


def _two(number: float) -> str:
    """At most two digits after the point.

    Rounded twice, so that a half that is one only but for the last bit of a cosine is a half.
    """
    rounded = round(round(number, 9), 2)
    return digits(rounded, 3) if rounded else "0"
