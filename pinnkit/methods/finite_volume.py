"""Conservative finite volumes for -div(a grad u) + r u = f on boxes, a possibly discontinuous."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy

from pinnkit.errors import MethodError


def solve_divergence_form(
    coefficient: np.ndarray,
    source: np.ndarray,
    boundary: np.ndarray,
    spacing: Sequence[float],
    reaction: np.ndarray | None = None,
) -> np.ndarray:
    """Solution of -div(a grad u) + r u = f on a box with Dirichlet values, on its nodes.

    Conservative finite volumes around the nodes: the flux through the face between two nodes is
    the arithmetic mean of their coefficients times the difference quotient. Second order for
    smooth a; fluxes stay conserved where a jumps.

    coefficient, source, reaction: (n_1, .., n_d) at the nodes, faces of the box included;
    boundary: (n_1, .., n_d), used on the outermost nodes only. Returns u with the same shape.
    Raises MethodError if a is not positive everywhere.
    """
    if not np.all(coefficient > 0):
        raise MethodError(
            "The coefficient of a divergence-form equation must be positive everywhere; its "
            f"smallest value is {coefficient.min():.3g}. Change the law of the input function."
        )
    interior = (slice(1, -1),) * coefficient.ndim
    shape = tuple(n - 2 for n in coefficient.shape)
    diagonal = np.zeros(shape) if reaction is None else reaction[interior].copy()
    right = source[interior].copy()
    couplings = []
    for axis, h in enumerate(spacing):
        low, high = _face_coefficients(coefficient, axis)
        low, high = low / h**2, high / h**2
        diagonal += low + high
        _move_boundary(right, boundary, axis, low, high)
        couplings.append(high)
    solve = _solve_banded if len(shape) <= 2 else _solve_sparse
    u = boundary.astype(float).copy()
    u[interior] = solve(diagonal, couplings, right)
    return u


def _face_coefficients(a: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of a at the lower and upper face of every interior node along one axis."""
    inner = [slice(1, -1)] * a.ndim
    inner[axis] = slice(None)
    line = a[tuple(inner)]
    ends = (slice(None, -2), slice(1, -1)), (slice(1, -1), slice(2, None))
    axis_slice = [slice(None)] * a.ndim
    means = []
    for pair in ends:
        both = []
        for part in pair:
            axis_slice[axis] = part
            both.append(line[tuple(axis_slice)])
        means.append((both[0] + both[1]) / 2)
    return means[0], means[1]


def _move_boundary(
    right: np.ndarray, boundary: np.ndarray, axis: int, low: np.ndarray, high: np.ndarray
) -> None:
    """Add the known boundary values' part of the stencil to the right side, in place."""
    for end, weight in ((0, low), (-1, high)):
        here = [slice(None)] * right.ndim
        here[axis] = end  # type: ignore[call-overload]
        there = [slice(1, -1)] * right.ndim
        there[axis] = end  # type: ignore[call-overload]
        right[tuple(here)] += weight[tuple(here)] * boundary[tuple(there)]


def _offsets(diagonal: np.ndarray, couplings: list[np.ndarray]) -> list[tuple[int, np.ndarray]]:
    """Flat off-diagonals (distance, values) of the upper triangle, zero across the faces."""
    parts = []
    for axis, coupling in enumerate(couplings):
        inside = coupling.copy()
        last = [slice(None)] * inside.ndim
        last[axis] = -1  # type: ignore[call-overload]
        inside[tuple(last)] = 0.0
        distance = int(np.prod(diagonal.shape[axis + 1 :], dtype=int))
        parts.append((distance, -inside.ravel()))
    return parts


def _solve_banded(
    diagonal: np.ndarray, couplings: list[np.ndarray], right: np.ndarray
) -> np.ndarray:
    """Banded Cholesky: for up to two axes quicker than a general sparse factorisation."""
    parts = _offsets(diagonal, couplings)
    bands = np.zeros((max(d for d, _ in parts) + 1, diagonal.size))
    bands[0] = diagonal.ravel()
    for distance, values in parts:
        bands[distance] += values
    try:
        solution = scipy.linalg.solveh_banded(
            bands, right.ravel(), lower=True, overwrite_ab=True, check_finite=False
        )
    except np.linalg.LinAlgError:  # indefinite: a negative reaction
        return _solve_sparse(diagonal, couplings, right)
    return solution.reshape(diagonal.shape)


def _solve_sparse(
    diagonal: np.ndarray, couplings: list[np.ndarray], right: np.ndarray
) -> np.ndarray:
    size = diagonal.size
    matrix = scipy.sparse.diags(diagonal.ravel())
    for distance, values in _offsets(diagonal, couplings):
        upper = scipy.sparse.diags(values[: size - distance], distance)
        matrix = matrix + upper + upper.T
    solution = np.asarray(scipy.sparse.linalg.spsolve(matrix.tocsc(), right.ravel()))
    return solution.reshape(diagonal.shape)
