"""Trial functions tabulated on quadrature points, and the matrices of bilinear forms.

A tensor table keeps one factor per axis: the matrix of int a d_i u d_j v over n^d functions and
q^d points costs about n^(2d) q operations by contracting one axis at a time, whatever the
coefficient a(x) is (sum factorisation; Orszag, J. Comput. Phys. 37 (1980) 70-92).
"""

import abc
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy

DENSE_RULE = 150
"""Rules up to this size come from a dense eigenvalue problem: a digit better, but cubic in cost."""


@lru_cache(maxsize=32)
def gauss(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on [-1, 1], each (count,)."""
    if count <= DENSE_RULE:
        return np.polynomial.legendre.leggauss(count)
    nodes, weights = scipy.special.roots_legendre(count)
    return np.asarray(nodes), np.asarray(weights)


class Table(abc.ABC):
    """N functions at Q points of d axes: `points` (Q, d), `weights` (Q,) that sum to the measure.

    `along` names a derivative: None for the value, i for d/dx_i.
    """

    points: np.ndarray
    weights: np.ndarray

    @abc.abstractmethod
    def gram(
        self, density: np.ndarray, along: int | None = None, other: int | None = None
    ) -> np.ndarray:
        """sum_q weights density (d_along phi_i) (d_other phi_j), (N, N); `density` (Q,)."""

    @abc.abstractmethod
    def values(self, coefficients: np.ndarray, along: int | None = None) -> np.ndarray:
        """(Q, m) values of sum_i c_i phi_i, or a derivative; `coefficients` (N, m)."""

    @abc.abstractmethod
    def moments(self, density: np.ndarray) -> np.ndarray:
        """sum_q weights density phi_i, (N,)."""


@dataclass(frozen=True)
class Factor:
    """One axis of a tensor table: nodes and weights (q,), values and slopes (q, n)."""

    nodes: np.ndarray
    weights: np.ndarray
    value: np.ndarray
    slope: np.ndarray

    def of(self, derive: bool) -> np.ndarray:
        return self.slope if derive else self.value


class TensorTable(Table):
    """Products of one-dimensional functions on a product of nodes; the last axis runs fastest."""

    def __init__(self, factors: tuple[Factor, ...]):
        self.factors = factors
        grids = np.meshgrid(*(f.nodes for f in factors), indexing="ij")
        measures = np.meshgrid(*(f.weights for f in factors), indexing="ij")
        self.points = np.stack([g.ravel() for g in grids], axis=1)
        self.weights = np.prod([m.ravel() for m in measures], axis=0)

    def gram(
        self, density: np.ndarray, along: int | None = None, other: int | None = None
    ) -> np.ndarray:
        counts = [f.value.shape[1] for f in self.factors]
        rest = (self.weights * density).reshape([len(f.nodes) for f in self.factors])
        for i in reversed(range(len(self.factors))):
            left, right = self.factors[i].of(i == along), self.factors[i].of(i == other)
            pairs = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
            # The contracted axis leaves at position i, its pair of indices enters at the end.
            rest = np.tensordot(rest, pairs, axes=(i, 0))
        dim = len(counts)
        shape = [n for count in reversed(counts) for n in (count, count)]
        lefts = [2 * (dim - 1 - i) for i in range(dim)]
        order = [*lefts, *(place + 1 for place in lefts)]
        size = math.prod(counts)
        return rest.reshape(shape).transpose(order).reshape(size, size)

    def values(self, coefficients: np.ndarray, along: int | None = None) -> np.ndarray:
        found = coefficients.reshape(*(f.value.shape[1] for f in self.factors), -1)
        for i, factor in enumerate(self.factors):
            found = np.moveaxis(np.tensordot(factor.of(i == along), found, axes=(1, i)), 0, i)
        return found.reshape(len(self.points), -1)

    def moments(self, density: np.ndarray) -> np.ndarray:
        rest = (self.weights * density).reshape([len(f.nodes) for f in self.factors])
        for i, factor in enumerate(self.factors):
            rest = np.moveaxis(np.tensordot(factor.value, rest, axes=(0, i)), 0, i)
        return rest.ravel()


class DenseTable(Table):
    """Functions without product structure: `value` (Q, N), `slopes` (d, Q, N)."""

    def __init__(
        self, points: np.ndarray, weights: np.ndarray, value: np.ndarray, slopes: np.ndarray
    ):
        self.points, self.weights, self.value, self.slopes = points, weights, value, slopes

    def _of(self, along: int | None) -> np.ndarray:
        return self.value if along is None else self.slopes[along]

    def gram(
        self, density: np.ndarray, along: int | None = None, other: int | None = None
    ) -> np.ndarray:
        return self._of(along).T @ ((self.weights * density)[:, None] * self._of(other))

    def values(self, coefficients: np.ndarray, along: int | None = None) -> np.ndarray:
        return self._of(along) @ coefficients

    def moments(self, density: np.ndarray) -> np.ndarray:
        return self.value.T @ (self.weights * density)
