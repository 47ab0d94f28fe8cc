"""Laws sampled on grids."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pinnkit.errors import SpecError
from pinnkit.spec.laws import (
    Above,
    Exponential,
    GaussianField,
    SquaredExponential,
    Threshold,
    UniformConstant,
)

Bounds = Sequence[tuple[float, float]]
Randoms = Sequence[np.random.Generator]
NEGLECTED = 1e-13
LOWEST_NODES = {1: 513, 2: 65, 3: 17}


def sample(
    law: Any, nodes: Sequence[np.ndarray], bounds: Bounds, samples: Iterable[int], seed: int
) -> np.ndarray:
    """Functions drawn from a law, on the tensor grid of `nodes`: (S, *grid).

    `bounds` is the box on which the law lives (one pair per axis). A function belongs to the seed
    and to its index in `samples`, neither to the grid nor to the other indices: other nodes show
    the same function, and a set can be drawn in parts. Raises SpecError if `law` is not a law.
    """
    return _draw(law, nodes, bounds, [np.random.default_rng([seed, i]) for i in samples])


def _draw(law: Any, nodes: Sequence[np.ndarray], bounds: Bounds, randoms: Randoms) -> np.ndarray:
    if isinstance(law, GaussianField):
        return _gaussian(law, nodes, bounds, randoms)
    if isinstance(law, SquaredExponential):
        return _squared_exponential(law, nodes, bounds, randoms)
    if isinstance(law, Above):
        return _above(law, nodes, bounds, randoms)
    if isinstance(law, Threshold):
        inner = _draw(law.law, nodes, bounds, randoms)
        return np.where(inner >= law.level, law.high, law.low)
    if isinstance(law, Exponential):
        return np.exp(_draw(law.law, nodes, bounds, randoms))
    if isinstance(law, UniformConstant):
        values = np.array([random.uniform(law.low, law.high) for random in randoms])
        grid = tuple(len(x) for x in nodes)
        shape = (len(randoms), *grid)
        return np.broadcast_to(values.reshape(-1, *(1 for _ in grid)), shape).copy()
    raise SpecError(
        f"{law!r} is not a law of random functions; declare the input function with "
        "law=GaussianField(...), SquaredExponential(...), Above(...), Threshold(...), "
        "Exponential(...) or UniformConstant(...)."
    )


def _gaussian(
    law: GaussianField, nodes: Sequence[np.ndarray], bounds: Bounds, randoms: Randoms
) -> np.ndarray:
    """Karhunen-Loeve sum, one axis contracted after the other."""
    pairs = [
        eigenfunctions(law.boundary, np.asarray(x, dtype=float), b, law.modes)
        for x, b in zip(nodes, bounds, strict=True)
    ]
    eigenvalues = functools.reduce(np.add.outer, [f**2 for _, f in pairs])
    with np.errstate(divide="ignore"):
        deviations = law.scale * (eigenvalues + law.tau**2) ** (-law.alpha / 2)
    if law.zero_mean and law.boundary != "dirichlet":
        deviations[(0,) * deviations.ndim] = 0.0
    return law.mean + _summed(deviations, [basis for basis, _ in pairs], randoms)


def _squared_exponential(
    law: SquaredExponential, nodes: Sequence[np.ndarray], bounds: Bounds, randoms: Randoms
) -> np.ndarray:
    """Karhunen-Loeve sum; the covariance is a product over the axes, and so are its modes."""
    pairs = [
        nystrom(law.length, np.asarray(x, dtype=float), b)
        for x, b in zip(nodes, bounds, strict=True)
    ]
    deviations = law.scale * functools.reduce(np.multiply.outer, [d for _, d in pairs])
    return law.mean + _summed(deviations, [basis for basis, _ in pairs], randoms)


def _above(law: Above, nodes: Sequence[np.ndarray], bounds: Bounds, randoms: Randoms) -> np.ndarray:
    """Drawn twice from the same states of the generators, on the given and on the fixed grid."""
    fixed = [np.linspace(*b, LOWEST_NODES[len(bounds)]) for b in bounds]
    again = [copy.deepcopy(random) for random in randoms]
    lowest = _draw(law.law, fixed, bounds, again).min(axis=tuple(range(1, len(nodes) + 1)))
    fields = _draw(law.law, nodes, bounds, randoms)
    return law.low + fields - lowest.reshape(-1, *(1 for _ in nodes))


def _summed(deviations: np.ndarray, bases: Sequence[np.ndarray], randoms: Randoms) -> np.ndarray:
    """sum_k deviations_k xi_k prod_axis basis_k, with xi_k ~ N(0, 1) from each generator."""
    field = deviations * np.stack([r.standard_normal(deviations.shape) for r in randoms])
    for basis in bases:
        field = np.tensordot(field, basis, axes=(1, 1))
    return field


def eigenfunctions(
    boundary: str, x: np.ndarray, bounds: tuple[float, float], modes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal eigenfunctions of -d^2/dx^2 at x (n, K) and the roots of their eigenvalues."""
    lower, length = bounds[0], bounds[1] - bounds[0]
    k = np.arange(1, modes + 1)
    phase = np.pi * (x - lower)[:, None] / length * (2 * k if boundary == "periodic" else k)
    frequency = np.pi * k / length
    if boundary == "dirichlet":
        return np.sqrt(2 / length) * np.sin(phase), frequency
    constant = np.full((len(x), 1), 1 / np.sqrt(length))
    waves = [np.cos(phase)]
    frequencies = [np.zeros(1), frequency]
    if boundary == "periodic":
        waves.append(np.sin(phase))
        frequencies = [np.zeros(1), 2 * frequency, 2 * frequency]
    basis = np.concatenate([constant, *(np.sqrt(2 / length) * w for w in waves)], axis=1)
    return basis, np.concatenate(frequencies)


def nystrom(
    length: float, x: np.ndarray, bounds: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenfunctions of the covariance exp(-(x - x')^2 / (2 length^2)) at x (n, K), orthonormal on
    the interval, and the roots of their eigenvalues; both are zero where these are negligible.

    Nystrom's method on Gauss-Legendre nodes y with weights w: with the eigenpairs (m, v) of
    sqrt(w_i) k(y_i, y_j) sqrt(w_j), the eigenfunction is sum_i k(x, y_i) sqrt(w_i) v_i / m.
    """
    y, weights, deviations = _nystrom_weights(length, bounds)
    return np.exp(-((x[:, None] - y) ** 2) / (2 * length**2)) @ weights, deviations


@functools.lru_cache(maxsize=16)
def _nystrom_weights(
    length: float, bounds: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lo, hi = bounds
    y, w = np.polynomial.legendre.leggauss(20 + math.ceil(4 * (hi - lo) / length))
    y, root = lo + (hi - lo) * (y + 1) / 2, np.sqrt(w * (hi - lo) / 2)
    covariance = np.exp(-((y[:, None] - y) ** 2) / (2 * length**2))
    values, vectors = np.linalg.eigh(root[:, None] * covariance * root)
    values, vectors = values[::-1], vectors[:, ::-1]
    vectors = vectors * np.where(vectors[-1] < 0, -1.0, 1.0)  # LAPACK leaves the signs open
    kept = values > NEGLECTED * values[0]
    weights = np.where(kept, root[:, None] * vectors / np.where(kept, values, 1.0), 0.0)
    return y, weights, np.sqrt(np.where(kept, values, 0.0))
