"""Laws sampled on grids."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from pinnkit.errors import SpecError
from pinnkit.spec.laws import Exponential, GaussianField, Threshold, UniformConstant

Bounds = Sequence[tuple[float, float]]
Randoms = Sequence[np.random.Generator]


def sample(
    law: Any, nodes: Sequence[np.ndarray], bounds: Bounds, samples: range, seed: int
) -> np.ndarray:
    """Functions drawn from a law, on the tensor grid of `nodes`: (len(samples), *grid).

    `bounds` is the box on which the law lives (one pair per axis). A function belongs to the seed
    and to its index in `samples`, neither to the grid nor to the other indices: other nodes show
    the same function, and a set can be drawn in parts. Raises SpecError if `law` is not a law.
    """
    return _draw(law, nodes, bounds, [np.random.default_rng([seed, i]) for i in samples])


def _draw(law: Any, nodes: Sequence[np.ndarray], bounds: Bounds, randoms: Randoms) -> np.ndarray:
    if isinstance(law, GaussianField):
        return _gaussian(law, nodes, bounds, randoms)
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
        "law=GaussianField(...), Threshold(...), Exponential(...) or UniformConstant(...)."
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
