"""The controls of a cut: a random subspace keeps its share, a random update its norm."""

import numpy as np
import pytest
import torch

from scripts.delta_controls import project_on_random_subspace, random_update


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
