"""Spectra: cuts are the best of their rank, controls keep what they promise."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_edu.spectra import (
    effective_rank,
    energy_kept,
    project_on_random_subspace,
    random_basis,
    random_update,
    singular_values,
    subspace_similarity,
    truncate,
)


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


@pytest.mark.parametrize("rank", [-1, 4])
def test_a_cut_outside_the_possible_ranks_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match=f"rank must lie in 0 … 3 here, got {rank}"):
        truncate(torch.ones(5, 3), rank)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 6), st.floats(0.1, 10))
def test_equal_strengths_have_their_number_as_effective_rank(
    count: int, zeros: int, strength: float
) -> None:
    values = torch.cat([torch.full((count,), strength), torch.zeros(zeros)])
    assert effective_rank(values) == pytest.approx(count)


def test_effective_rank_is_the_exponential_of_the_entropy() -> None:
    values = torch.tensor([4.0, 2.0, 1.0, 1.0])
    entropy = -(0.5 * np.log(0.5) + 0.25 * np.log(0.25) + 2 * 0.125 * np.log(0.125))
    assert effective_rank(values) == pytest.approx(np.exp(entropy))


@pytest.mark.parametrize("measure", [energy_kept, effective_rank])
def test_a_zero_matrix_has_no_spectrum_to_measure(measure) -> None:
    with pytest.raises(ValueError, match="must not all be zero"):
        measure(torch.zeros(3))


def test_a_subspace_overlaps_fully_with_one_that_contains_it_and_not_with_its_complement() -> None:
    basis = random_basis(6, 6, torch.Generator().manual_seed(0))
    assert subspace_similarity(basis[:, :2], basis[:, :5]) == pytest.approx(1)
    assert subspace_similarity(basis[:, :2], basis[:, 2:5]) == pytest.approx(0)
    assert subspace_similarity(basis[:, :2], basis[:, 1:5]) == pytest.approx(0.5)


def test_the_overlap_is_of_subspaces_not_of_the_bases_chosen() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = random_basis(7, 3, generator), random_basis(7, 4, generator)
    turned = first @ random_basis(3, 3, generator)
    assert subspace_similarity(turned, second) == pytest.approx(subspace_similarity(first, second))
    assert subspace_similarity(second, first) == pytest.approx(subspace_similarity(first, second))


def test_random_subspaces_overlap_by_the_larger_share_of_the_space() -> None:
    generator = torch.Generator().manual_seed(0)
    overlaps = [
        subspace_similarity(random_basis(20, 3, generator), random_basis(20, 5, generator))
        for _ in range(300)
    ]
    assert np.mean(overlaps) == pytest.approx(5 / 20, abs=0.02)


def test_subspaces_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="columns of one length, got 3 and 2"):
        subspace_similarity(torch.eye(3), torch.eye(2))
    with pytest.raises(ValueError, match="second must have orthonormal columns"):
        subspace_similarity(torch.eye(3), 2 * torch.eye(3))


def test_a_random_subspace_keeps_its_share_of_the_energy() -> None:
    generator, matrix = torch.Generator().manual_seed(0), gaussian(12, 5, 1)
    shares = []
    for _ in range(400):
        part = project_on_random_subspace(matrix, 3, generator)
        shares.append((part.square().sum() / matrix.square().sum()).item())
        # A projection: what was left out is perpendicular to what was kept.
        assert abs((part * (matrix - part)).sum()) < 1e-10
    assert torch.linalg.matrix_rank(part) == 3
    assert np.mean(shares) == pytest.approx(3 / 12, abs=0.02)


@settings(deadline=None)
@given(matrices_and_ranks(), st.integers(0, 999))
def test_a_random_update_has_the_rank_asked_and_the_norm_given(
    case: tuple[torch.Tensor, int], seed: int
) -> None:
    matrix, rank = case
    update = random_update(matrix, rank, torch.Generator().manual_seed(seed))
    assert torch.linalg.matrix_rank(update) == rank
    torch.testing.assert_close(update.norm(), matrix.norm())


def test_the_controls_repeat_with_their_seed() -> None:
    matrix = gaussian(4, 6, 0)
    for control in (project_on_random_subspace, random_update):
        first, again, other = (
            control(matrix, 2, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert not torch.allclose(first, other)
