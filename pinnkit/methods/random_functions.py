"""Laws sampled on grids."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from pinnkit.errors import SpecError
from pinnkit.spec.laws import Exponential, GaussianField, Threshold, UniformConstant

Bounds = Sequence[tuple[float, float]]


def sample(
    law: Any,
    nodes: Sequence[np.ndarray],
    bounds: Bounds,
    count: int,
    seed: int | np.random.Generator,
) -> np.ndarray:
    """Functions drawn from a law, on the tensor grid of `nodes`: (count, *grid).

    `bounds` is the box on which the law lives (one pair per axis). The functions belong to the
    seed, not to the grid: other nodes show the same functions, and a smaller `count` the first of
    them. Raises SpecError if `law` is not a law.
    """
    random = np.random.default_rng(seed)
    if isinstance(law, GaussianField):
        return _gaussian(law, nodes, bounds, count, random)
    if isinstance(law, Threshold):
        inner = sample(law.law, nodes, bounds, count, random)
        return np.where(inner >= law.level, law.high, law.low)
    if isinstance(law, Exponential):
        return np.exp(sample(law.law, nodes, bounds, count, random))
    if isinstance(law, UniformConstant):
        values = random.uniform(law.low, law.high, count)
        grid = tuple(len(x) for x in nodes)
        return np.broadcast_to(values.reshape(-1, *(1 for _ in grid)), (count, *grid)).copy()
    raise SpecError(
        f"{law!r} is not a law of random functions; declare the input function with "
        "law=GaussianField(...), Threshold(...), Exponential(...) or UniformConstant(...)."
    )


def _gaussian(
    law: GaussianField,
    nodes: Sequence[np.ndarray],
    bounds: Bounds,
    count: int,
    random: np.random.Generator,
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
    field = deviations * random.standard_normal((count, *deviations.shape))
    for basis, _ in pairs:
        field = np.tensordot(field, basis, axes=(1, 1))
    return law.mean + field


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
