"""What rank means in numbers: singular values, and cuts to a rank.

A matrix M (m × n) is a sum of rank-1 pieces, M = Σ σ_i u_i v_iᵀ: a direction in (v), a direction
out (u), a strength (σ). Everything here is computed in float64, since small singular values of a
float32 matrix are mostly rounding.

Source:
    Golub & Van Loan, "Matrix Computations", 4th edition, section 2.4.
"""

from __future__ import annotations

from numbers import Integral

import torch
from torch import Tensor


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


AMONG, ALIKE = 10, 0.5  # how many of the strongest directions are asked, and what counts as alike


def intruders(before: Tensor, after: Tensor) -> int:
    """How many of a matrix' strongest directions were nowhere in the matrix that it came from.

    Of the ten strongest directions out (u) of `after`, those whose cosine with *each* direction
    out of `before`, strong or weak, is below 0.5 in size.

    Args:
        before: A layer's weight, (out, in) as `nn.Linear` stores it.
        after: The same weight with its update added.

    Raises:
        ValueError: they are no matrices of real numbers, or not of one shape.

    Source:
        Shuttleworth et al. 2024, "LoRA vs Full Fine-tuning: An Illusion of Equivalence",
        arXiv:2410.21228, which calls them intruder dimensions.

    Example:
        >>> before = torch.diag(torch.tensor([3.0, 2.0, 0.0]))
        >>> intruders(before, before + torch.diag(torch.tensor([0.0, 4.0, 0.0])))
        0
    """
    for matrix in (before, after):
        _check_matrix(matrix)
    if before.shape != after.shape:
        raise ValueError(f"one shape is needed, got {tuple(before.shape)} and {tuple(after.shape)}")
    old, new = (torch.linalg.svd(m.double(), full_matrices=False)[0] for m in (before, after))
    closest = (old.T @ new[:, :AMONG]).abs().amax(0)
    return int((closest < ALIKE).sum())


def shared(first: Tensor, second: Tensor) -> float:
    """How much of the smaller of two sets of directions lies in the larger: from 0 to 1.

    φ = ‖U₁ᵀ U₂‖²_F / min(i, j). Random directions share max(i, j) / m of it on average.

    Args:
        first: Orthonormal columns, (m, i).
        second: Orthonormal columns, (m, j).

    Raises:
        ValueError: they are no matrices of real numbers, or their columns differ in length.

    Source:
        Hu et al. 2021, arXiv:2106.09685, section 7.2, equation 4.

    Example:
        >>> axes = torch.eye(3)
        >>> shared(axes[:, :1], axes[:, :2]), shared(axes[:, :2], axes[:, 1:])
        (1.0, 0.5)
    """
    for matrix in (first, second):
        _check_matrix(matrix)
    if len(first) != len(second):
        raise ValueError(f"columns of one length are needed, got {len(first)} and {len(second)}")
    together = first.double().T @ second.double()
    return (together.square().sum() / min(together.shape)).item()


def size_within(matrix: Tensor, of: Tensor, rank: int) -> float:
    """How large a matrix is within the strongest directions, in and out, of another: ‖Uᵀ M V‖_F.

    Args:
        matrix: (m, n).
        of: The other one, (m, n).
        rank: How many of its directions are taken, the strongest first.

    Raises:
        ValueError: they are no matrices of real numbers, or not of one shape, or the rank is not
            from 1 to min(m, n).

    Source:
        Hu et al. 2021, arXiv:2106.09685, section 7.3, table 7.

    Example:
        >>> matrix, of = torch.diag(torch.tensor([5.0, 2.0])), torch.diag(torch.tensor([0.0, 1.0]))
        >>> size_within(matrix, of, 1)
        2.0
    """
    for each in (matrix, of):
        _check_matrix(each)
    if matrix.shape != of.shape:
        raise ValueError(f"one shape is needed, got {tuple(matrix.shape)} and {tuple(of.shape)}")
    _check_rank(rank, 1, min(matrix.shape))
    u, _, vh = torch.linalg.svd(of.double(), full_matrices=False)
    return (u[:, :rank].T @ matrix.double() @ vh[:rank].T).norm().item()


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
