"""Chebyshev-Lobatto collocation on [lo, hi]: nodes, derivatives, quadrature, interpolation."""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.errors import OptionError


def nodes(lo: float, hi: float, n: int) -> np.ndarray:
    """Lobatto nodes in ascending order, shape (n,); the ends equal lo and hi bit for bit."""
    _check(n)
    reference = _reference(n)
    points = 0.5 * (lo + hi) + 0.5 * (hi - lo) * reference
    points[0], points[-1] = lo, hi
    return points


def _check(n: int) -> None:
    if n < 2:
        raise OptionError(f"A Chebyshev axis needs at least 2 points, got {n}. Raise its points.")


def _reference(n: int) -> np.ndarray:
    # The sine form is exactly antisymmetric, unlike cos(pi j / (n - 1)).
    return np.sin(np.pi * np.arange(1 - n, n, 2) / (2 * (n - 1)))


def barycentric_weights(n: int) -> np.ndarray:
    """Weights (-1)^j, halved at both ends, of the Lobatto nodes (Berrut and Trefethen 2004)."""
    weights = (-1.0) ** np.arange(n)
    weights[[0, -1]] *= 0.5
    return weights


@lru_cache(maxsize=256)
def _matrix(n: int, order: int) -> np.ndarray:
    if order == 0:
        return np.eye(n)
    angle = np.pi * np.arange(n) / (n - 1)
    # x_i - x_j of the ascending nodes as a product of sines: no cancellation near the ends
    gap = 2 * np.sin(0.5 * (angle[:, None] + angle[None, :]))
    gap = gap * np.sin(0.5 * (angle[:, None] - angle[None, :]))
    np.fill_diagonal(gap, 1.0)
    weights = barycentric_weights(n)
    ratio = weights[None, :] / weights[:, None]
    below = _matrix(n, order - 1)
    matrix = order * (ratio * np.diag(below)[:, None] - below) / gap
    np.fill_diagonal(matrix, 0.0)
    np.fill_diagonal(matrix, -matrix.sum(axis=1))
    return matrix


def matrix(lo: float, hi: float, n: int, order: int = 1) -> np.ndarray:
    """Differentiation matrix D with (D @ f)_i = f^(order)(x_i), shape (n, n), float64.

    Higher orders follow from the recursion over barycentric weights with diagonals by the
    negative sum of the row (Weideman and Reddy, ACM TOMS 26, 2000, 465, eqs. 6-9; Baltensperger
    and Trummer 2003), which keeps round-off near that of a single matrix.
    """
    _check(n)
    return _matrix(n, order) * (2 / (hi - lo)) ** order


def derivative(values: Array, axis: int, order: int, lo: float, hi: float) -> Array:
    """d^order(values)/dx^order along `axis` given at Lobatto nodes; same shape as `values`."""
    if order == 0:
        return values
    rows = jnp.asarray(matrix(lo, hi, values.shape[axis], order), values.real.dtype)
    return apply(rows, values, axis)


def apply(rows: Array, values: Array, axis: int) -> Array:
    """Contract `axis` of `values` (size n) with rows (m, n); the axis then has size m."""
    moved = jnp.tensordot(values, rows.astype(values.dtype), ((axis,), (1,)), precision="highest")
    return jnp.moveaxis(moved, -1, axis)


@lru_cache(maxsize=256)
def _quadrature(n: int) -> np.ndarray:
    # Moments of T_k over [-1, 1], folded through the discrete cosine transform (Waldvogel 2006).
    degree = n - 1
    if degree == 1:
        return np.ones(2)
    modes = np.arange(0, degree + 1, 2)
    moments = 2.0 / (1.0 - modes**2)
    moments[0] = 2.0
    halves = np.ones(modes.size)
    halves[0] = 0.5
    if degree % 2 == 0:
        halves[-1] *= 0.5
    angle = np.pi * np.arange(n) / degree
    weights = (2.0 / degree) * np.cos(np.outer(angle, modes)) @ (halves * moments)
    weights[[0, -1]] *= 0.5
    return weights


def quadrature(lo: float, hi: float, n: int) -> np.ndarray:
    """Clenshaw-Curtis weights, shape (n,): exact for polynomials of degree < n."""
    _check(n)
    return _quadrature(n) * 0.5 * (hi - lo)


def interpolation_matrix(lo: float, hi: float, n: int, points: np.ndarray) -> np.ndarray:
    """Rows of the barycentric interpolant at `points` (m,), shape (m, n).

    Second barycentric formula (Berrut and Trefethen, SIAM Review 46, 2004, eq. 5.4), with the
    exact unit row where a point coincides with a node.
    """
    gap = np.asarray(points, float)[:, None] - nodes(lo, hi, n)[None, :]
    hit = gap == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = barycentric_weights(n)[None, :] / gap
        rows = terms / terms.sum(axis=1, keepdims=True)
    found = hit.any(axis=1)
    rows[found] = hit[found]
    return rows


def resample(values: Array, axis: int, n: int) -> Array:
    """Values of the polynomial interpolant at n Lobatto nodes instead of the present ones."""
    rows = interpolation_matrix(-1.0, 1.0, values.shape[axis], nodes(-1.0, 1.0, n))
    return apply(jnp.asarray(rows, values.real.dtype), values, axis)
