"""What rank means in numbers: singular values, cuts to a rank, and how subspaces compare.

A matrix M (m × n) is a sum of rank-1 pieces, M = Σ σ_i u_i v_iᵀ: a direction in (v), a direction
out (u), a strength (σ). Everything here is computed in float64, since small singular values of a
float32 matrix are mostly rounding.

Source:
    Golub & Van Loan, "Matrix Computations", 4th edition, section 2.4.
"""

from __future__ import annotations

from numbers import Integral

import torch
from torch import Generator, Tensor


def singular_values(matrix: Tensor) -> Tensor:
    """The strengths σ_1 ≥ σ_2 ≥ … ≥ 0 of a matrix.

    Shape:
        (m, n) to (min(m, n),), float64.

    Raises:
        ValueError: it is no matrix of real numbers.

    Example:
        >>> singular_values(torch.tensor([[3.0, 0.0], [0.0, -4.0]]))
        tensor([4., 3.], dtype=torch.float64)
    """
    _check_matrix(matrix)
    return torch.linalg.svdvals(matrix.double())


def energy_kept(values: Tensor) -> Tensor:
    """Share of the energy ‖M‖²_F that the best approximation of each rank keeps.

    energy_kept(σ)[r - 1] = (σ_1² + … + σ_r²) / Σ σ_i². Energy kept is not accuracy kept: what a
    direction is worth to a task need not follow its strength.

    Args:
        values: Singular values, largest first.

    Raises:
        ValueError: all values are zero, so that there is no energy to share, or they are no
            singular values: a matrix, negative, or not in order.

    Example:
        >>> energy_kept(torch.tensor([4.0, 3.0]))
        tensor([0.6400, 1.0000], dtype=torch.float64)
    """
    _check_values(values)
    if not (values[1:] <= values[:-1]).all():
        raise ValueError("values must come largest first, as singular_values returns them")
    squares = (values.double() / values.max()).square()
    return squares.cumsum(0) / squares.sum()


def truncate(matrix: Tensor, rank: int) -> Tensor:
    """The closest matrix of at most that rank: M_r = Σ_{i ≤ r} σ_i u_i v_iᵀ.

    Closest in the Frobenius and in the spectral norm; nothing is promised about any task.

    Shape:
        (m, n) to (m, n), same dtype.

    Raises:
        ValueError: rank is not a whole number from 0 to min(m, n), or `matrix` is no matrix of
            floating-point numbers.

    Source:
        Eckart & Young 1936, "The approximation of one matrix by another of lower rank".

    Example:
        >>> truncate(torch.tensor([[3.0, 0.0], [0.0, 4.0]]), 1)
        tensor([[0., 0.],
                [0., 4.]])
    """
    _check_matrix(matrix, floating=True)
    _check_rank(rank, 0, min(matrix.shape))
    u, s, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    return ((u[:, :rank] * s[:rank]) @ vh[:rank]).to(matrix.dtype)


def effective_rank(values: Tensor) -> float:
    """How many directions matter: exp(−Σ p_i ln p_i) with p_i = σ_i / Σ σ.

    1 for a rank-1 matrix, min(m, n) where all strengths are equal; it need not be whole.

    Args:
        values: Singular values, in any order.

    Raises:
        ValueError: all values are zero, or they are no singular values: a matrix, or negative.

    Source:
        Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality".

    Example:
        >>> round(effective_rank(torch.tensor([5.0, 5.0, 5.0, 0.0])), 6)
        3.0
    """
    _check_values(values)
    share = values.double() / values.double().sum()
    return torch.special.entr(share).sum().exp().item()


def subspace_similarity(first: Tensor, second: Tensor) -> float:
    """How much two subspaces overlap: φ = ‖U₁ᵀ U₂‖²_F / min(i, j), from 0 to 1.

    1: the smaller lies within the larger. 0: they are perpendicular. Two random subspaces of i and
    j dimensions in d have max(i, j) / d on average, so compare with that, not with 0.

    Args:
        first: U₁ with orthonormal columns, the first i singular vectors of a matrix say.
        second: U₂ with orthonormal columns.

    Shape:
        (d, i) and (d, j).

    Raises:
        ValueError: the columns are in spaces of different dimension, are not orthonormal, or there
            are none.

    Source:
        Hu et al. 2021, section 7.2, equation 4.

    Example:
        >>> subspace_similarity(torch.eye(3)[:, :1], torch.eye(3)[:, :2])
        1.0
    """
    for name, basis in (("first", first), ("second", second)):
        if basis.ndim != 2 or not basis.shape[1]:
            raise ValueError(
                f"{name} must be (dimension, columns) with a column or more, got shape "
                f"{tuple(basis.shape)}"
            )
    if first.shape[0] != second.shape[0]:
        raise ValueError(
            f"first and second must have columns of one length, got {first.shape[0]} and "
            f"{second.shape[0]}; compare in-directions with in-directions"
        )
    for name, basis in (("first", first), ("second", second)):
        identity = torch.eye(basis.shape[1], dtype=basis.dtype, device=basis.device)
        if not torch.allclose(basis.T @ basis, identity, atol=1e-4):
            raise ValueError(f"{name} must have orthonormal columns; take them from an SVD or QR")
    overlap = (first.double().T @ second.double()).square().sum()
    return (overlap / min(first.shape[1], second.shape[1])).item()


def random_basis(dim: int, rank: int, generator: Generator | None = None) -> Tensor:
    """Orthonormal columns of a random subspace, every direction equally likely.

    Shape:
        (dim, rank), float64.

    Raises:
        ValueError: rank is not a whole number from 0 to dim.

    Example:
        >>> random_basis(5, 2).shape
        torch.Size([5, 2])
    """
    _check_rank(rank, 0, dim)
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

    Raises:
        ValueError: rank is not a whole number from 0 to m, or `matrix` is no matrix of
            floating-point numbers.

    Example:
        >>> project_on_random_subspace(torch.ones(4, 3), 4).allclose(torch.ones(4, 3))
        True
    """
    _check_matrix(matrix, floating=True)
    basis = random_basis(matrix.shape[0], rank, generator)
    return (basis @ (basis.T @ matrix.double())).to(matrix.dtype)


def random_update(matrix: Tensor, rank: int, generator: Generator | None = None) -> Tensor:
    """A random matrix of that rank and of the same Frobenius norm as `matrix`.

    The second control: it moves the weights as far as `matrix` does, in no learned direction.

    Shape:
        (m, n) to (m, n), same dtype.

    Raises:
        ValueError: rank is not a whole number from 1 to min(m, n), or `matrix` is no matrix of
            floating-point numbers.

    Example:
        >>> random_update(torch.eye(2), 1).norm().round(decimals=4)
        tensor(1.4142)
    """
    _check_matrix(matrix, floating=True)
    rows, columns = matrix.shape
    _check_rank(rank, 1, min(rows, columns))
    left = torch.randn(rows, rank, generator=generator, dtype=torch.float64)
    right = torch.randn(rank, columns, generator=generator, dtype=torch.float64)
    update = left @ right
    return (update * (matrix.double().norm() / update.norm())).to(matrix.dtype)


def _check_matrix(matrix: Tensor, floating: bool = False) -> None:
    """Refuses what is no matrix of real numbers; with `floating`, whole numbers as well.

    A result in their type would be cut to whole numbers.
    """
    if matrix.ndim != 2:
        raise ValueError(f"matrix must have two dimensions, got shape {tuple(matrix.shape)}")
    if matrix.is_complex() or (floating and not matrix.is_floating_point()):
        wanted = "floating-point" if floating else "real"
        raise ValueError(f"matrix must hold {wanted} numbers, got {matrix.dtype}")


def _check_values(values: Tensor) -> None:
    """Refuses what cannot be the singular values of a matrix with something in it."""
    if values.ndim != 1:
        raise ValueError(
            f"values must be singular values, in one dimension, got shape {tuple(values.shape)}; "
            "for a matrix pass singular_values(matrix)"
        )
    if not (values >= 0).all() or not values.isfinite().all():
        raise ValueError("values must be singular values: finite, and none below 0")
    if not values.any():
        raise ValueError("values must not all be zero: a zero matrix has no spectrum to measure")


def _check_rank(rank: int, least: int, most: int) -> None:
    if not isinstance(rank, Integral) or isinstance(rank, bool) or not least <= rank <= most:
        raise ValueError(f"rank must be a whole number from {least} to {most} here, got {rank!r}")
