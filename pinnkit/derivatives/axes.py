"""Axes of tensor grids: nodes, derivatives, quadrature and interpolation of each kind."""

from __future__ import annotations

import abc
import dataclasses
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy
from jax import Array

from pinnkit.derivatives import chebyshev, spectral, stencil
from pinnkit.derivatives.windows import Windows, windows
from pinnkit.errors import OptionError

WINDOW = 16
"""Nodes per window of the local interpolation on refined spectral grids."""


@dataclasses.dataclass(frozen=True)
class Axis(abc.ABC):
    """n nodes on [lo, hi]. Arrays carry the axis anywhere; `axis` is its index."""

    name: str
    lo: float
    hi: float
    n: int

    def __post_init__(self) -> None:
        if not (np.isfinite([self.lo, self.hi]).all() and self.lo < self.hi):
            raise OptionError(
                f"Axis '{self.name}' has bounds ({self.lo}, {self.hi}). Give finite lo < hi."
            )
        if self.n < 2:
            raise OptionError(f"Axis '{self.name}' has {self.n} points. Give at least 2.")

    @property
    def length(self) -> float:
        return self.hi - self.lo

    @property
    @abc.abstractmethod
    def nodes(self) -> np.ndarray:
        """Node coordinates, ascending, shape (n,)."""

    @property
    @abc.abstractmethod
    def weights(self) -> np.ndarray:
        """Quadrature weights of the nodes, shape (n,); they sum to the length."""

    @abc.abstractmethod
    def matrix(self, order: int) -> np.ndarray:
        """Differentiation matrix (n, n): row i gives the derivative at node i."""

    @abc.abstractmethod
    def derivative(self, values: Array, axis: int, order: int) -> Array:
        """d^order(values) along `axis`; same shape."""

    @abc.abstractmethod
    def resample(self, values: Array, axis: int, n: int) -> Array:
        """Values of the interpolant at the nodes of the same axis with n points."""

    @abc.abstractmethod
    def doubled(self) -> Axis:
        """The same axis with half the spacing, whose nodes contain the present ones."""

    @abc.abstractmethod
    def refined(self, values: Array, axis: int, factor: int) -> Array:
        """Values at the nodes that `windows(factor)` refers to."""

    @abc.abstractmethod
    def windows(self, factor: int) -> Windows:
        """Local interpolation on the grid refined by `factor`."""

    @abc.abstractmethod
    def interpolation_matrix(self, points: np.ndarray) -> np.ndarray:
        """Rows of the interpolant at `points` (m,), shape (m, n)."""


@dataclasses.dataclass(frozen=True)
class FourierAxis(Axis):
    """Periodic axis with nodes lo + (hi - lo) j / n; hi itself is not a node."""

    @property
    def nodes(self) -> np.ndarray:
        return self.lo + self.length * np.arange(self.n) / self.n

    @property
    def weights(self) -> np.ndarray:
        return np.full(self.n, self.length / self.n)

    def matrix(self, order: int) -> np.ndarray:
        modes = np.fft.rfft(np.eye(self.n), axis=0)
        multiplier = spectral.symbol(self.n, self.length, order)[:, None]
        return np.fft.irfft(modes * multiplier, self.n, axis=0)

    def derivative(self, values: Array, axis: int, order: int) -> Array:
        return spectral.derivative(values, axis, order, self.length)

    def resample(self, values: Array, axis: int, n: int) -> Array:
        return spectral.resample(values, axis, n)

    def doubled(self) -> FourierAxis:
        return dataclasses.replace(self, n=2 * self.n)

    def interpolation_matrix(self, points: np.ndarray) -> np.ndarray:
        """Trigonometric cardinal functions at `points` (m,), shape (m, n)."""
        angle = 2 * np.pi * (np.asarray(points, float)[:, None] - self.nodes) / self.length
        modes = np.arange(1, (self.n - 1) // 2 + 1)
        rows = 1 + 2 * np.cos(angle[:, :, None] * modes).sum(axis=2)
        if self.n % 2 == 0:
            rows = rows + np.cos(angle * (self.n // 2))
        return rows / self.n

    def refined(self, values: Array, axis: int, factor: int) -> Array:
        fine = self.resample(values, axis, self.n * factor)
        before, after = self._margins(factor)
        pad = [(0, 0)] * values.ndim
        pad[axis] = (before, after)
        return jnp.pad(fine, pad, mode="wrap")

    def _margins(self, factor: int) -> tuple[int, int]:
        width = min(WINDOW, self.n * factor)
        return (width - 1) // 2, width // 2

    def windows(self, factor: int) -> Windows:
        return _fourier_windows(self.lo, self.hi, self.n * factor, *self._margins(factor))


@dataclasses.dataclass(frozen=True)
class ChebyshevAxis(Axis):
    """Chebyshev-Lobatto nodes, both ends included."""

    @property
    def nodes(self) -> np.ndarray:
        return chebyshev.nodes(self.lo, self.hi, self.n)

    @property
    def weights(self) -> np.ndarray:
        return chebyshev.quadrature(self.lo, self.hi, self.n)

    def matrix(self, order: int) -> np.ndarray:
        return chebyshev.matrix(self.lo, self.hi, self.n, order)

    def derivative(self, values: Array, axis: int, order: int) -> Array:
        return chebyshev.derivative(values, axis, order, self.lo, self.hi)

    def resample(self, values: Array, axis: int, n: int) -> Array:
        return values if n == self.n else chebyshev.resample(values, axis, n)

    def doubled(self) -> ChebyshevAxis:
        return dataclasses.replace(self, n=2 * self.n - 1)

    def interpolation_matrix(self, points: np.ndarray) -> np.ndarray:
        return chebyshev.interpolation_matrix(self.lo, self.hi, self.n, points)

    def refined(self, values: Array, axis: int, factor: int) -> Array:
        return self.resample(values, axis, factor * (self.n - 1) + 1)

    def windows(self, factor: int) -> Windows:
        return _chebyshev_windows(self.lo, self.hi, factor * (self.n - 1) + 1)


@dataclasses.dataclass(frozen=True)
class GradedAxis(Axis):
    """Chebyshev-Lobatto nodes, close at the ends, with differences between neighbours only.

    First and second derivatives by parabolas through three nodes, higher ones by repetition;
    interpolation is linear. Of second order where functions are smooth, and without oscillations
    beside layers and jumps.
    """

    @property
    def nodes(self) -> np.ndarray:
        return chebyshev.nodes(self.lo, self.hi, self.n)

    @property
    def weights(self) -> np.ndarray:
        """The trapezoidal rule."""
        gaps = np.diff(self.nodes)
        return (np.append(gaps, 0) + np.insert(gaps, 0, 0)) / 2

    def matrix(self, order: int) -> np.ndarray:
        tables = {1: self._parabolas(1), 2: self._parabolas(2)}
        result = np.eye(self.n)
        for part in [2] * (order // 2) + [1] * (order % 2):
            result = tables[part] @ result
        return result

    def _parabolas(self, order: int) -> np.ndarray:
        x, n = self.nodes, self.n
        result = np.zeros((n, n))
        width = min(3, n)
        for i in range(n):
            first = int(np.clip(i - 1, 0, n - width))
            gaps = x[first : first + width] - x[i]
            size = np.abs(gaps).max()
            powers = np.vander(gaps / size, increasing=True).T
            wanted = np.zeros(width)
            if order < width:
                wanted[order] = order / size**order
            result[i, first : first + width] = np.linalg.solve(powers, wanted)
        return result

    def derivative(self, values: Array, axis: int, order: int) -> Array:
        return chebyshev.apply(jnp.asarray(self.matrix(order), values.real.dtype), values, axis)

    def resample(self, values: Array, axis: int, n: int) -> Array:
        if n == self.n:
            return values
        rows = self.interpolation_matrix(dataclasses.replace(self, n=n).nodes)
        return chebyshev.apply(jnp.asarray(rows, values.real.dtype), values, axis)

    def doubled(self) -> GradedAxis:
        return dataclasses.replace(self, n=2 * self.n - 1)

    def interpolation_matrix(self, points: np.ndarray) -> np.ndarray:
        return self.windows(1).matrix(np.asarray(points, float))

    def refined(self, values: Array, axis: int, factor: int) -> Array:
        del axis, factor  # straight lines between the nodes themselves
        return values

    def windows(self, factor: int) -> Windows:
        del factor
        return _graded_windows(self.lo, self.hi, self.n)


@dataclasses.dataclass(frozen=True)
class UniformAxis(Axis):
    """Equidistant nodes, both ends included; stencils of order `accuracy` (even).

    Interpolation is by local polynomials through accuracy + 2 nodes.
    """

    accuracy: int = 4

    @property
    def nodes(self) -> np.ndarray:
        return np.linspace(self.lo, self.hi, self.n)

    @property
    def spacing(self) -> float:
        return self.length / (self.n - 1)

    @property
    def weights(self) -> np.ndarray:
        """Trapezoidal rule with end corrections exact for degree < min(accuracy, n).

        The corrections c solve sum_j c_j j^k = -zeta(-k), the regularised sum of all nodes
        (Euler-Maclaurin formula).
        """
        terms = min(self.accuracy, self.n)
        powers = np.arange(terms)
        right = scipy.special.bernoulli(terms)[1:] / (powers + 1)
        right[0] = -0.5
        correction = np.linalg.solve(np.vander(powers, increasing=True).T.astype(float), right)
        weights = np.ones(self.n)
        weights[:terms] += correction
        weights[-terms:] += correction[::-1]
        return weights * self.spacing

    def matrix(self, order: int) -> np.ndarray:
        return np.asarray(self.derivative(jnp.eye(self.n), 0, order))

    def derivative(self, values: Array, axis: int, order: int) -> Array:
        return stencil.derivative(values, axis, order, self.spacing, self.accuracy)

    def resample(self, values: Array, axis: int, n: int) -> Array:
        if n == self.n:
            return values
        rows = self.interpolation_matrix(np.linspace(self.lo, self.hi, n))
        return chebyshev.apply(jnp.asarray(rows, values.real.dtype), values, axis)

    def doubled(self) -> UniformAxis:
        return dataclasses.replace(self, n=2 * self.n - 1)

    def interpolation_matrix(self, points: np.ndarray) -> np.ndarray:
        return self.windows(1).matrix(np.asarray(points, float))

    def refined(self, values: Array, axis: int, factor: int) -> Array:
        del axis, factor  # polynomials through the nodes themselves
        return values

    def windows(self, factor: int) -> Windows:
        del factor
        return _uniform_windows(self.lo, self.hi, self.n, min(self.accuracy + 2, self.n))


@dataclasses.dataclass(frozen=True)
class OpenAxis(UniformAxis):
    """Equidistant nodes lo + (hi - lo) j / n: hi is not a node, although nothing is periodic.

    What grids are that were thinned from finer ones. Beyond the last node values are extrapolated.
    """

    @property
    def nodes(self) -> np.ndarray:
        return self.lo + self.length * np.arange(self.n) / self.n

    @property
    def spacing(self) -> float:
        return self.length / self.n

    @property
    def weights(self) -> np.ndarray:
        """The rectangular rule, of first order."""
        return np.full(self.n, self.spacing)

    def resample(self, values: Array, axis: int, n: int) -> Array:
        if n == self.n:
            return values
        rows = self.interpolation_matrix(dataclasses.replace(self, n=n).nodes)
        return chebyshev.apply(jnp.asarray(rows, values.real.dtype), values, axis)

    def doubled(self) -> OpenAxis:
        return dataclasses.replace(self, n=2 * self.n)

    def windows(self, factor: int) -> Windows:
        del factor
        last = float(self.nodes[-1])
        return _uniform_windows(self.lo, last, self.n, min(self.accuracy + 2, self.n))


@lru_cache(maxsize=64)
def _fourier_windows(lo: float, hi: float, n: int, before: int, after: int) -> Windows:
    spacing = (hi - lo) / n

    def locate(x: Any, xp: Any) -> Any:
        return xp.clip(xp.floor((x - lo) / spacing).astype(int), 0, n - 1)

    return windows(lo + spacing * np.arange(-before, n + after), before + after + 1, locate)


@lru_cache(maxsize=64)
def _chebyshev_windows(lo: float, hi: float, n: int) -> Windows:
    width = min(WINDOW, n)

    def locate(x: Any, xp: Any) -> Any:
        angle = xp.arccos(xp.clip((lo + hi - 2 * x) / (hi - lo), -1, 1))
        cell = xp.floor(angle * ((n - 1) / xp.pi)).astype(int)
        return xp.clip(cell - (width - 1) // 2, 0, n - width)

    return windows(chebyshev.nodes(lo, hi, n), width, locate)


@lru_cache(maxsize=64)
def _graded_windows(lo: float, hi: float, n: int) -> Windows:
    nodes = chebyshev.nodes(lo, hi, n)

    def locate(x: Any, xp: Any) -> Any:
        return xp.clip(xp.searchsorted(xp.asarray(nodes), x, side="right") - 1, 0, n - 2)

    return windows(nodes, 2, locate)


@lru_cache(maxsize=64)
def _uniform_windows(lo: float, hi: float, n: int, width: int) -> Windows:
    spacing = (hi - lo) / (n - 1)

    def locate(x: Any, xp: Any) -> Any:
        cell = xp.floor((x - lo) / spacing).astype(int)
        return xp.clip(cell - (width - 1) // 2, 0, n - width)

    return windows(np.linspace(lo, hi, n), width, locate)
