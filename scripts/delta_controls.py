"""Controls for cutting an update to a rank: the same rank without learned directions.

`lora_edu.spectra.truncate` keeps the strongest directions. What these keep is drawn blindly.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor


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
