"""Controls for cutting an update to a rank: the same rank, but not its strongest directions.

`lora_edu.spectra.truncate` keeps the strongest directions. Two of these keep what is drawn blindly,
two what the cut throws away.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from lora_edu.spectra import truncate


def random_basis(dim: int, rank: int, generator: Generator | None = None) -> Tensor:
    """Orthonormal columns of a random subspace, every direction equally likely.

    Shape:
        (dim, rank), float64.

    Example:
        >>> random_basis(5, 2).shape
        torch.Size([5, 2])
    """
    gaussian = torch.randn(dim, rank, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(gaussian).Q


def project_on_random_subspace(
    matrix: Tensor, rank: int, generator: Generator | None = None
) -> Tensor:
    """What is left of a matrix M when only `rank` random directions out are kept: Q Qᵀ M.

    It is the best approximation of M whose columns lie in that subspace, the control for
    `truncate`: same rank, directions drawn blindly. Of the energy it keeps rank / m on average.

    Shape:
        (m, n) to (m, n), same dtype.

    Example:
        >>> project_on_random_subspace(torch.ones(4, 3), 4).allclose(torch.ones(4, 3))
        True
    """
    basis = random_basis(matrix.shape[0], rank, generator)
    return (basis @ (basis.T @ matrix.double())).to(matrix.dtype)


def random_update(matrix: Tensor, rank: int, generator: Generator | None = None) -> Tensor:
    """A random matrix of that rank and of the same Frobenius norm as `matrix`.

    The second control: it moves the weights as far as `matrix` does, in no learned direction.

    Shape:
        (m, n) to (m, n), same dtype.

    Raises:
        ValueError: rank is below 1: a matrix of rank 0 has no norm to scale.

    Example:
        >>> random_update(torch.eye(2), 1).norm().round(decimals=4)
        tensor(1.4142)
    """
    if rank < 1:
        raise ValueError(f"rank must be at least 1, got {rank}")
    rows, columns = matrix.shape
    left = torch.randn(rows, rank, generator=generator, dtype=torch.float64)
    right = torch.randn(rank, columns, generator=generator, dtype=torch.float64)
    update = left @ right
    return (update * (matrix.double().norm() / update.norm())).to(matrix.dtype)


def without_strongest(matrix: Tensor, rank: int) -> Tensor:
    """What the cut to `rank` throws away: a matrix without its `rank` strongest directions.

    Shape:
        (m, n) to (m, n), same dtype.

    Example:
        >>> without_strongest(torch.diag(torch.tensor([3.0, 2.0])), 1).round(decimals=4).diagonal()
        tensor([0., 2.])
    """
    return matrix - truncate(matrix, rank)


def stretched_direction(matrix: Tensor, number: int) -> Tensor:
    """One direction of a matrix alone, made as long as its strongest one: σ₁ u vᵀ.

    Args:
        matrix: The matrix.
        number: Which direction; 1 is the strongest.

    Shape:
        (m, n) to (m, n), same dtype.

    Example:
        >>> stretched_direction(torch.diag(torch.tensor([3.0, 2.0])), 2).round(decimals=4)
        tensor([[0., 0.],
                [0., 3.]])
    """
    u, strengths, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    alone = strengths[0] * u[:, number - 1, None] * vh[None, number - 1]
    return alone.to(matrix.dtype)
