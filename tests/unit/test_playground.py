"""The playground says in words, and draws, what linear algebra says in numbers."""

import itertools

import pytest
import torch

from lora_edu.lora import LoRALayer
from lora_edu.widgets.playground import (
    DEGREES,
    POINTS_DEGREES,
    STRENGTHS,
    PlaygroundState,
    direction,
    explain,
    finding,
    playground,
)

POINTS = torch.tensor([direction(degrees) for degrees in POINTS_DEGREES], dtype=torch.float64)


@pytest.mark.parametrize(("angle_in", "angle_out", "strength"), [(30, 105, -1.5), (285, 0, 2.0)])
def test_the_playgrounds_update_is_a_lora_layers(
    angle_in: int, angle_out: int, strength: float
) -> None:
    state = PlaygroundState(angle_in, angle_out, strength)
    layer = LoRALayer(2, 2, rank=1, alpha=strength)
    with torch.no_grad():
        layer.A.copy_(torch.tensor(state.A)[:, None])
        layer.B.copy_(torch.tensor(state.B)[None, :])
    torch.testing.assert_close(torch.tensor(state.update), layer.delta().detach())


def test_a_point_is_counted_as_unmoved_where_the_update_takes_it_to_zero() -> None:
    for angle_in, strength in itertools.product(DEGREES, STRENGTHS):
        state = PlaygroundState(angle_in, 60, strength)
        moves = POINTS @ torch.tensor(state.update, dtype=torch.float64)
        assert state.unmoved == int((moves.norm(dim=1) < 1e-9).sum())


@pytest.mark.parametrize("angle_in", DEGREES)
def test_two_points_stay_where_a_is_perpendicular_to_one_of_them(angle_in: int) -> None:
    assert PlaygroundState(angle_in, 60, 1.0).unmoved == (2 if angle_in % 45 == 0 else 0)
    assert PlaygroundState(angle_in, 60, 0.0).unmoved == 8


def test_words_name_the_direction_of_change_and_what_is_not_read() -> None:
    state = PlaygroundState(45, 270, -0.5)
    assert finding(state) == "The update moves points along 270° only; 2 of 8 points stay."
    assert "B writes −0.5 times that along 270°" in explain(state)
    assert "Whatever points along 135° is not read" in explain(state)


def test_words_call_the_controls_as_the_sliders_do() -> None:
    assert "along 330° only" in finding(PlaygroundState(0, 330, 1.0))
    assert finding(PlaygroundState(0, 330, 0.0)).startswith("At alpha 0 ")


def test_readers_of_text_get_the_words_of_the_opening_state() -> None:
    start = PlaygroundState(30, 90, 0.25)
    made = playground(start)
    assert repr(made) == f"{finding(start)} {explain(start)}"
    assert "alpha · A B = [[0, 0.22], [0, 0.12]]" in made.alt
