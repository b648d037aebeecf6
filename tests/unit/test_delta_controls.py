"""The controls of a cut: each keeps the share, the norm or the directions that it says."""

import numpy as np
import pytest
import torch

from lora_edu.spectra import truncate
from scripts.delta_controls import (
    project_on_random_subspace,
    random_update,
    stretched_direction,
    without_strongest,
)


def gaussian(rows: int, columns: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


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


@pytest.mark.parametrize("rows, columns, rank", [(1, 1, 1), (7, 3, 1), (7, 3, 3), (4, 8, 2)])
def test_a_random_update_has_the_rank_asked_and_the_norm_given(
    rows: int, columns: int, rank: int
) -> None:
    matrix = gaussian(rows, columns, 0)
    update = random_update(matrix, rank, torch.Generator().manual_seed(1))
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


def test_a_random_update_of_rank_0_is_refused() -> None:
    with pytest.raises(ValueError, match="rank must be at least 1, got 0"):
        random_update(torch.eye(3), 0)


def test_without_its_strongest_directions_a_matrix_is_what_the_cut_leaves() -> None:
    matrix = gaussian(7, 5, 0)
    left = without_strongest(matrix, 2)
    torch.testing.assert_close(truncate(matrix, 2) + left, matrix)
    assert torch.linalg.matrix_rank(left) == 3


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_stretched_direction_is_one_of_the_matrix_as_long_as_the_strongest(number: int) -> None:
    matrix = gaussian(7, 5, 0)
    u, strengths, vh = torch.linalg.svd(matrix, full_matrices=False)
    alone = stretched_direction(matrix, number)
    assert torch.linalg.matrix_rank(alone) == 1
    torch.testing.assert_close(u[:, number - 1] @ alone @ vh[number - 1], strengths[0])
