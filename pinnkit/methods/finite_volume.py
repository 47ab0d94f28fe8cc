"""Conservative finite volumes for -div(a grad u) + r u = f on boxes, a possibly discontinuous."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import scipy

from pinnkit.errors import MethodError

MOST_BAND = 96


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """du/dn + ratio u = slope on one side of the box, n the outward normal.

    `slope` (…): means over the cells of the side's nodes.
    """

    axis: int
    end: int
    slope: np.ndarray
    ratio: float = 0.0


def solve_divergence_form(
    coefficient: np.ndarray,
    source: np.ndarray,
    boundary: np.ndarray,
    spacing: Sequence[float],
    reaction: np.ndarray | None = None,
    sides: Sequence[Side] = (),
) -> np.ndarray:
    """Solution of -div(a grad u) + r u = f on the nodes of a box.

    Conservative finite volumes around the nodes: the flux through the face between two nodes is
    the arithmetic mean of their coefficients times the difference quotient. Second order for
    smooth a; fluxes stay conserved where a jumps.

    coefficient, source, reaction: (n_1, .., n_d) at the nodes, faces of the box included;
    boundary: (n_1, .., n_d), used on the sides that are not in `sides`, where u is given. Returns
    u with the same shape. Raises MethodError if a is not positive everywhere.
    """
    if not np.all(coefficient > 0):
        raise MethodError(
            "The coefficient of a divergence-form equation must be positive everywhere; its "
            f"smallest value is {coefficient.min():.3g}. Change the law of the input function."
        )
    widths = [cell_widths(n, h) for n, h in zip(coefficient.shape, spacing, strict=True)]
    volume = functools.reduce(np.multiply.outer, widths)
    diagonal = np.zeros(volume.shape) if reaction is None else volume * reaction
    right = volume * source
    couplings = []
    for axis, h in enumerate(spacing):
        couplings.append(_coupling(coefficient, axis, volume, widths[axis], h))
        low, high = _ends(volume.ndim, axis)
        diagonal[low] += couplings[-1]
        diagonal[high] += couplings[-1]
    free = [slice(1, -1)] * volume.ndim
    for side in sides:
        _add_side(diagonal, right, coefficient * volume, side, widths[side.axis][0])
        start, stop = free[side.axis].start, free[side.axis].stop
        free[side.axis] = slice(start, None) if side.end else slice(None, stop)
    inside = tuple(free)
    u = boundary.astype(float)
    u[inside] = 0.0
    for axis, coupling in enumerate(couplings):
        low, high = _ends(volume.ndim, axis)
        right[low] += coupling * u[high]
        right[high] += coupling * u[low]
    kept = [_within(c, free, axis) for axis, c in enumerate(couplings)]
    solve = _solve_banded if min(diagonal[inside].shape) <= MOST_BAND else _solve_sparse
    u[inside] = solve(diagonal[inside], kept, right[inside])
    return u


def cell_widths(n: int, h: float) -> np.ndarray:
    """Widths of the cells around the nodes of one axis."""
    widths = np.full(n, h)
    widths[[0, -1]] = h / 2
    return widths


def _ends(ndim: int, axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Lower and upper nodes of all pairs of neighbours along an axis."""
    low, high = [slice(None)] * ndim, [slice(None)] * ndim
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return tuple(low), tuple(high)


def _coupling(
    a: np.ndarray, axis: int, volume: np.ndarray, widths: np.ndarray, h: float
) -> np.ndarray:
    """Mean of a times area over distance, for all pairs of neighbours along an axis."""
    low, high = _ends(a.ndim, axis)
    area = volume / widths.reshape([-1 if i == axis else 1 for i in range(a.ndim)])
    return (a[low] + a[high]) / 2 * area[low] / h


def _add_side(
    diagonal: np.ndarray, right: np.ndarray, weight: np.ndarray, side: Side, width: float
) -> None:
    """Add the flux a du/dn through one side, in place."""
    where = [slice(None)] * right.ndim
    where[side.axis] = -side.end  # type: ignore[call-overload]
    area = weight[tuple(where)] / width
    right[tuple(where)] += area * side.slope
    diagonal[tuple(where)] += area * side.ratio


def _within(coupling: np.ndarray, free: list[slice], axis: int) -> np.ndarray:
    """Couplings of the free nodes to their upper neighbours, zero where these are not free."""
    padding = [(0, int(i == axis)) for i in range(coupling.ndim)]
    return np.pad(coupling, padding)[tuple(free)]


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
    factors = scipy.sparse.linalg.splu(
        matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}
    )
    solution = factors.solve(right.ravel())
    return solution.reshape(diagonal.shape)
