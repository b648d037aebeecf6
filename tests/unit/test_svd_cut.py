"""The SVD cut's words and its record say what linear algebra says."""

from __future__ import annotations

import pytest
import torch

from lora_edu.spectra import energy_kept, singular_values, truncate
from lora_edu.widgets import cut_record
from lora_edu.widgets.cut_record import NOISE, PICTURE, RANKS, is_recorded, recorded, take_apart
from lora_edu.widgets.svd_cut import CutState, describe, explain, finding, svd_cut
from lora_edu.widgets.units import percent
from scripts.record_cut import notebook_picture, shipped_updates


def gaussian(rows: int, columns: int) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows + columns))


def shipped() -> dict[str, torch.Tensor]:
    """The matrices of the record, by their names in it."""
    draws = torch.Generator().manual_seed(0)
    noise = torch.randn(192, 192, generator=draws, dtype=torch.float64)
    updates = {cut_record.block_and_module(name): each for name, each in shipped_updates().items()}
    named = {f"{block}.{module}": each for (block, module), each in updates.items()}
    return {PICTURE: notebook_picture(), NOISE: noise, **named}


def test_every_energy_of_the_record_is_that_of_the_shipped_matrices() -> None:
    matrices = shipped()
    assert len(recorded()["objects"]) == 2 + 12
    for name, kept in recorded()["objects"].items():
        shares = [0.0, *energy_kept(singular_values(matrices[name])).tolist()]
        exact = [shares[rank] for rank in RANKS]
        assert kept["energy"] == pytest.approx(exact, abs=1e-6)
        assert [percent(share) for share in kept["energy"]] == [percent(share) for share in exact]
        assert kept["shape"] == list(matrices[name].shape)


def test_the_notebooks_matrices_are_answered_from_the_record() -> None:
    picture, updates = notebook_picture(), shipped_updates()
    assert is_recorded(picture, updates)
    picture[96, 96] += 0.35  # one dot, as where another machine's sine falls on the other side
    assert is_recorded(picture, updates)


def test_other_matrices_are_taken_apart_anew() -> None:
    picture, updates = notebook_picture(), shipped_updates()
    assert not is_recorded(picture.flip(0), updates)
    assert not is_recorded(picture[:100], updates)
    name = "blocks.5.mlp.fc_in.weight"
    assert not is_recorded(picture, updates | {name: updates[name].flip(0)})
    assert not is_recorded(picture, {each: updates[each] for each in updates if each != name})


def test_a_small_matrix_is_shown_whole() -> None:
    matrix = gaussian(5, 8)
    kept = take_apart(matrix, side=32)
    assert kept["seen"] == [5, 8]
    seen = cut_record.unpacked(kept["matrix"]).view(5, 8)
    expected = matrix.double() / matrix.abs().double().quantile(0.99)
    assert (seen - expected).abs().max() < 0.01
    share = truncate(matrix, 2).square().sum() / matrix.square().sum()
    assert kept["energy"][2] == pytest.approx(share.item(), abs=1e-6)


@pytest.fixture(scope="module")
def knife():
    updates = {
        f"blocks.{block}.{module}.weight": gaussian(192, columns + block)
        for block in (0, 1, 2)
        for module, columns in {"mlp.fc_in": 12, "attention.query": 8}.items()
    }
    return svd_cut(gaussian(192, 192).abs(), updates)


def test_the_first_and_the_last_block_can_be_chosen(knife) -> None:
    assert knife.data["blocks"] == [0, 2]
    assert knife.data["modules"] == ["query", "fc_in"]
    assert set(knife.data["objects"]) == {
        PICTURE, NOISE, "0.query", "0.fc_in", "2.query", "2.fc_in"
    }  # fmt: skip


def test_the_cut_states_what_it_stores_and_keeps(knife) -> None:
    said = explain(CutState(4, 0, "query"), knife.data)
    assert "ΔW of block 0, query, is 192 × 8, outputs × inputs, as PyTorch stores it." in said
    assert "Cut to rank 4 it is r (m + n) = 800 numbers" in said
    assert "= 0 numbers instead of m n = 2,304" in explain(CutState(0, 0, "fc_in"), knife.data)
    whole, none = (finding(CutState(rank, 0, "query"), knife.data) for rank in (192, 0))
    assert whole == ("Energy kept at rank 192: picture 100 %, noise 100 %, measured ΔW 100 %.")
    assert none == "Energy kept at rank 0: picture 0 %, noise 0 %, measured ΔW 0 %."


def test_readers_of_text_get_the_words_of_the_opening_state(knife) -> None:
    start = CutState(8, 0, "query")
    assert repr(knife) == f"{finding(start, knife.data)} {explain(start, knife.data)}"
    assert knife.alt == describe(start, knife.data)


def test_words_and_numbers_of_a_cut_agree() -> None:
    matrices = torch.ones(6, 6), torch.eye(6), torch.diag(torch.tensor([3.0, 1, 0, 0, 0, 0]))
    names = PICTURE, NOISE, "2.value"
    objects = {name: take_apart(each, 6) for name, each in zip(names, matrices, strict=True)}
    said = finding(CutState(1, 2, "value"), {"ranks": RANKS, "objects": objects})
    assert "picture 100 %, noise 16.7 %, measured ΔW 90 %." in said
