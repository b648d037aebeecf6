"""The SVD cut says in words what linear algebra says in numbers."""

import pytest
import torch

from lora_edu.spectra import truncate
from lora_edu.widgets import svd_cut
from lora_edu.widgets.svd_cut import CutState, Factors


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
