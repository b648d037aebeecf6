"""The playground and the SVD cut say in words what linear algebra says in numbers."""

import pytest
import torch

from lora_edu.lora import LoRALayer
from lora_edu.spectra import truncate
from lora_edu.widgets import playground, svd_cut
from lora_edu.widgets.playground import DEGREES, PlaygroundState
from lora_edu.widgets.playground_picture import PlaygroundPicture
from lora_edu.widgets.svd_cut import CutState, Factors


def test_the_playgrounds_update_is_a_lora_layers() -> None:
    state = PlaygroundState(30, 105, -1.5)
    layer = LoRALayer(2, 2, rank=1, alpha=-1.5)
    with torch.no_grad():
        layer.A.copy_(state.A)
        layer.B.copy_(state.B)
    torch.testing.assert_close(state.update, layer.delta().detach())


@pytest.mark.parametrize("angle_in", DEGREES)
def test_two_points_stay_exactly_where_a_is_perpendicular_to_one_of_them(angle_in: int) -> None:
    expected = 2 if angle_in % 45 == 0 else 0
    assert PlaygroundState(angle_in, 60, 1.0).unmoved == expected
    assert PlaygroundState(angle_in, 60, 0.0).unmoved == 8


def test_moving_any_control_of_the_playground_changes_picture_and_text() -> None:
    widget = playground.playground()
    for name, value in {"angle_in": 60, "angle_out": 15, "strength": -0.5}.items():
        before = widget.shown
        widget.controls[name].value = value
        assert widget.shown.picture != before.picture, name
        assert widget.shown.text != before.text, name
        assert widget.shown.alt != before.alt or name == "strength"
    widget.controls["strength"].value = 0.0
    assert "nothing moves" in repr(widget)


def test_the_playgrounds_grid_and_moves_are_drawn_where_the_matrices_put_them() -> None:
    state = PlaygroundState(30, 105, -1.5)
    picture = PlaygroundPicture(playground.W, playground.POINTS)
    picture.png(state.update, state.A[:, 0], "a finding")

    def strokes(curve) -> torch.Tensor:  # three points each: start, end, a gap
        points = torch.as_tensor(curve.get_xydata(), dtype=torch.float32).unflatten(0, (-1, 3))
        assert points[:, 2].isnan().all()
        return points[:, :2]

    ends = [(i / 2 - 2, 2.0) for i in range(9)]
    inputs = [[(-y, x), (y, x)] for x, y in ends] + [[(x, -y), (x, y)] for x, y in ends]
    moved = playground.W + state.update
    torch.testing.assert_close(strokes(picture.after), torch.tensor(inputs) @ moved)
    ways = torch.stack([playground.POINTS @ playground.W, playground.POINTS @ moved], dim=1)
    torch.testing.assert_close(strokes(picture.moves), ways)


def gaussian(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows + columns))


@pytest.mark.parametrize("rank", [0, 1, 5])
def test_the_widgets_cut_is_the_packages(rank: int) -> None:
    matrix = gaussian(5, 8)
    factors = Factors.of(matrix)
    torch.testing.assert_close(factors.cut(rank).float(), truncate(matrix, rank))
    share = truncate(matrix, rank).square().sum() / matrix.square().sum()
    assert factors.energy(rank) == pytest.approx(share.item(), abs=1e-6)


@pytest.fixture(scope="module")
def knife():
    sizes = {"attention.query": 8, "mlp.fc_in": 12}
    updates = {
        f"blocks.{block}.{module}.weight": gaussian(192, columns + block)
        for block in (0, 1)
        for module, columns in sizes.items()
    }
    return svd_cut.svd_cut(gaussian(192, 192).abs(), updates)


def test_moving_any_control_of_the_cut_changes_picture_and_text(knife) -> None:
    for name, value in {"rank": 2, "block": 1, "module": "fc_in"}.items():
        before = knife.shown
        knife.controls[name].value = value
        assert knife.shown.picture != before.picture, name
        assert knife.shown.text != before.text, name


def test_the_cut_states_what_it_stores_and_keeps(knife) -> None:
    knife.controls["rank"].value, knife.controls["block"].value = 4, 0
    knife.controls["module"].value = "query"
    text = repr(knife)
    assert (
        "block 0, query (192 × 8), the cut stores r (m + n) = 800 numbers instead of 1,536" in text
    )
    knife.controls["rank"].value = 192
    assert "picture 100 %, random matrix 100 %, measured ΔW 100 %" in repr(knife)
    knife.controls["rank"].value = 0
    assert "picture 0 %, random matrix 0 %, measured ΔW 0 %" in repr(knife)


def test_words_and_numbers_of_a_cut_agree() -> None:
    objects = dict(zip((svd_cut.PICTURE, svd_cut.RANDOM, svd_cut.UPDATE), map(Factors.of, [
        torch.ones(6, 6), torch.eye(6), torch.diag(torch.tensor([3.0, 1, 0, 0, 0, 0]))
    ]), strict=True))  # fmt: skip
    text = svd_cut.explain(CutState(1, 2, "value"), objects)
    assert "energy kept: picture 100 %, random matrix 16.7 %, measured ΔW 90 %." in text
