"""Spectra: singular values, and cuts, which are the best of their rank."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_edu.spectra import (
    energy_kept,
    intruders,
    shared,
    singular_values,
    size_within,
    truncate,
)
from scripts.delta_controls import project_on_random_subspace, random_update


def gaussian(rows: int, columns: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


@st.composite
def matrices_and_ranks(draw: st.DrawFn) -> tuple[torch.Tensor, int]:
    rows, columns = draw(st.integers(1, 8)), draw(st.integers(1, 8))
    rank = draw(st.integers(1, min(rows, columns)))
    return gaussian(rows, columns, draw(st.integers(0, 999))), rank


@settings(deadline=None)
@given(matrices_and_ranks())
def test_singular_values_equal_numpys(case: tuple[torch.Tensor, int]) -> None:
    matrix, _ = case
    expected = np.linalg.svd(matrix.numpy(), compute_uv=False)
    np.testing.assert_allclose(singular_values(matrix).numpy(), expected, atol=1e-12)


@settings(deadline=None)
@given(matrices_and_ranks())
def test_the_residual_of_a_cut_is_the_energy_behind_it(case: tuple[torch.Tensor, int]) -> None:
    matrix, rank = case
    cut, values = truncate(matrix, rank), singular_values(matrix)
    assert torch.linalg.matrix_rank(cut) <= rank
    torch.testing.assert_close((matrix - cut).square().sum(), values[rank:].square().sum())
    share = cut.square().sum() / matrix.square().sum()
    torch.testing.assert_close(energy_kept(values)[rank - 1], share)


@settings(deadline=None, max_examples=50)
@given(matrices_and_ranks(), st.integers(0, 999))
def test_no_other_matrix_of_the_rank_is_closer_than_the_cut(
    case: tuple[torch.Tensor, int], seed: int
) -> None:
    matrix, rank = case
    generator = torch.Generator().manual_seed(seed)
    best = (matrix - truncate(matrix, rank)).norm()
    for other in (
        project_on_random_subspace(matrix, rank, generator),
        random_update(matrix, rank, generator),
        truncate(matrix + 0.1 * gaussian(*matrix.shape, seed), rank),
    ):
        assert (matrix - other).norm() >= best - 1e-10


def test_the_cut_to_full_rank_is_the_matrix_and_to_rank_0_is_nothing() -> None:
    matrix = gaussian(5, 3, 0).float()
    torch.testing.assert_close(truncate(matrix, 3), matrix)
    assert torch.equal(truncate(matrix, 0), torch.zeros(5, 3))


@pytest.mark.parametrize("rank", [-1, 4, 2.0, 2.5, True, "2", None])
def test_a_cut_outside_the_possible_ranks_is_refused(rank: object) -> None:
    with pytest.raises(ValueError, match=f"from 0 to 3 here, got {rank!r}"):
        truncate(torch.ones(5, 3), rank)


MATRIX_FUNCTIONS = {
    singular_values: (),
    truncate: (1,),
}


@pytest.mark.parametrize("function", MATRIX_FUNCTIONS)
@pytest.mark.parametrize("shape", [(), (4,), (2, 4, 4)])
def test_what_is_no_matrix_has_no_rank(function, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"matrix must have two dimensions, got shape \("):
        function(torch.ones(shape), *MATRIX_FUNCTIONS[function])


@pytest.mark.parametrize("function", MATRIX_FUNCTIONS)
def test_imaginary_parts_are_not_dropped_and_results_not_cut_to_whole_numbers(function) -> None:
    rank = MATRIX_FUNCTIONS[function]
    with pytest.raises(ValueError, match="matrix must hold .* numbers, got torch.complex64"):
        function(torch.ones(4, 4, dtype=torch.complex64), *rank)
    whole = torch.tensor([[2, 1], [1, 3]])
    if rank:
        with pytest.raises(ValueError, match="floating-point numbers, got torch.int64"):
            function(whole, *rank)
    else:
        torch.testing.assert_close(function(whole), function(whole.double()))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(3), "must not all be zero"),
        (torch.zeros(0), "must not all be zero"),
        (torch.eye(4), r"got shape \(4, 4\); for a matrix pass singular_values\(matrix\)"),
        (torch.tensor(2.0), r"got shape \(\)"),
        (torch.tensor([2.0, -1.0]), "none below 0"),
        (torch.tensor([math.nan, 1.0]), "finite"),
        (torch.tensor([math.inf, 1.0]), "finite"),
    ],
)
def test_what_are_no_singular_values_is_refused(values, message) -> None:
    with pytest.raises(ValueError, match=message):
        energy_kept(values)


def test_energy_kept_counts_from_the_largest_value() -> None:
    with pytest.raises(ValueError, match="largest first, as singular_values returns them"):
        energy_kept(torch.tensor([3.0, 4.0]))


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e160, 1e300])
def test_shares_do_not_depend_on_the_size_of_a_matrix(size: float) -> None:
    values = size * torch.tensor([4.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(energy_kept(values), energy_kept(torch.tensor([4.0, 3.0])))


def test_a_strong_direction_of_no_kin_is_an_intruder() -> None:
    """64 directions; the new one is a mixture of all of them, 1/8 alike to each."""
    before = torch.diag(torch.linspace(2, 1, 64))
    mixture = torch.ones(64, 1) / 8
    assert intruders(before, before) == 0
    assert intruders(before, before + 50 * mixture @ mixture.T) == 1
    assert intruders(before, before + 0.01 * mixture @ mixture.T) == 0, "too weak to show"


def test_a_direction_that_only_grows_is_no_intruder_nor_is_its_turned_sign() -> None:
    """The weakest one, made strongest, is compared with the weak ones too."""
    before = torch.diag(torch.linspace(2, 1, 64))
    grown = torch.zeros(64, 64)
    grown[-1, -1] = 50
    assert intruders(before, before + grown) == intruders(before, before - grown) == 0


def test_intruders_are_looked_for_among_the_ten_strongest_and_in_the_output() -> None:
    before = torch.diag(torch.linspace(2, 1, 64))
    turn = torch.linalg.qr(gaussian(64, 64, 0)).Q.float()
    assert intruders(before, turn @ before) == 10, "all outputs are turned"
    assert intruders(before, before @ turn) == 0, "only what is read is turned"


def test_intruders_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        intruders(torch.ones(2, 3), torch.ones(3, 2))


def test_directions_share_all_or_nothing_or_what_chance_gives() -> None:
    basis = torch.linalg.qr(gaussian(192, 192, 0)).Q
    assert shared(basis[:, :8], basis[:, :64]) == pytest.approx(1)
    assert shared(basis[:, :8], basis[:, 8:72]) == pytest.approx(0, abs=1e-9)
    other = torch.linalg.qr(gaussian(192, 64, 1)).Q
    assert shared(basis[:, :8], other) == pytest.approx(64 / 192, abs=0.07)


def test_a_matrix_is_largest_in_its_own_directions_and_has_its_whole_size_at_full_rank() -> None:
    matrix, other = gaussian(20, 12, 0), gaussian(20, 12, 1)
    own = size_within(matrix, matrix, 3)
    assert own == pytest.approx(singular_values(matrix)[:3].norm().item())
    assert size_within(matrix, other, 3) < own
    assert size_within(matrix, matrix, 12) == pytest.approx(matrix.norm().item())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: shared(torch.ones(3, 1), torch.ones(4, 1)), "one length"),
        (lambda: size_within(torch.ones(3, 2), torch.ones(2, 3), 1), "one shape"),
        (lambda: size_within(torch.ones(3, 2), torch.ones(3, 2), 0), "rank"),
    ],
)
def test_directions_that_do_not_fit_are_refused(call, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
