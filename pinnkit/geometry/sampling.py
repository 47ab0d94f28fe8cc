"""Points of the unit cube and quadrature rules on reference shapes.

Every region maps these to itself, so that one sequence and one rule serve all shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import scipy

from pinnkit.errors import GeometryError

Order = int | Mapping[str, int]
METHODS = ("sobol", "uniform")


def unit_points(n: int, dim: int, seed: int, method: str = "sobol") -> np.ndarray:
    """Return `n` points of the unit cube [0, 1)^dim, shape (n, dim).

    `"sobol"` is an Owen-scrambled Sobol sequence (its mean of a smooth function converges almost
    as 1/n), `"uniform"` is plain pseudo-random. Equal seeds give equal points.

    Raises:
        GeometryError: for a negative `n` or an unknown `method`.
    """
    if n < 0:
        raise GeometryError(f"cannot sample {n} points; ask for zero or more")
    if method not in METHODS:
        raise GeometryError(f"unknown sampling method {method!r}; choose one of {METHODS}")
    generator = np.random.default_rng(seed)
    if dim == 0 or n == 0:
        return np.zeros((n, dim))
    if method == "uniform":
        return generator.random((n, dim))
    # takes a second to import, which not every command needs

    # A power of two keeps the sequence balanced; a prefix of it is still low-discrepancy.
    exponent = max(int(n - 1).bit_length(), 0)
    return scipy.stats.qmc.Sobol(dim, scramble=True, rng=generator).random_base2(exponent)[:n]


def child_seed(seed: int, index: int) -> int:
    """Return the seed of the `index`-th independent stream that belongs to `seed`."""
    return int(np.random.SeedSequence([abs(int(seed)), index]).generate_state(1)[0])


def shares(n: int, weights: np.ndarray) -> np.ndarray:
    """Split `n` points among parts in proportion to `weights` (largest remainders), sum `n`."""
    ideal = n * np.asarray(weights, float) / np.sum(weights)
    counts = np.floor(ideal).astype(int)
    extra = np.argsort(counts - ideal, kind="stable")[: n - counts.sum()]
    counts[extra] += 1
    return counts


def order_along(order: Order, axis: str) -> int:
    """Return the number of Gauss nodes along `axis`: `order` itself or its entry for the axis."""
    nodes = order.get(axis) if isinstance(order, Mapping) else order
    if nodes is None:
        raise GeometryError(f"no quadrature order for axis {axis!r}; give one for each axis")
    if nodes < 1:
        raise GeometryError(f"quadrature order {nodes} along {axis!r} must be at least 1")
    return int(nodes)


@lru_cache(maxsize=64)
def gauss_unit(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Legendre rule on [0, 1], exact for degree 2 nodes - 1: nodes (k,), weights (k,)."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return 0.5 * (points + 1.0), 0.5 * weights


@lru_cache(maxsize=64)
def gauss_triangle(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Collapsed Gauss–Jacobi rule on the reference triangle, exact for total degree 2 nodes - 1.

    Returns barycentric coordinates (nodes^2, 3) and weights (nodes^2,) that sum to one
    (Duffy's map (a, b) -> (a, b (1 - a)), whose Jacobian 1 - a is the Jacobi weight).
    """
    jacobi, jacobi_weights = scipy.special.roots_jacobi(nodes, 1.0, 0.0)
    first, first_weights = 0.5 * (jacobi + 1.0), jacobi_weights / jacobi_weights.sum()
    second, second_weights = gauss_unit(nodes)
    a = np.repeat(first, nodes)
    b = np.tile(second, nodes) * (1.0 - a)
    weights = np.outer(first_weights, second_weights).ravel()
    return np.stack([1.0 - a - b, a, b], axis=1), weights
