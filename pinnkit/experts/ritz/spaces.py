"""Trial spaces of Rayleigh-Ritz: products of continuous piecewise functions, and gated features.

A space is conforming: its functions are continuous and satisfy the essential conditions exactly,
so that every Ritz level lies above an exact one as long as the integrals are exact.
"""

import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import scipy

from pinnkit.errors import MethodError
from pinnkit.experts.bases import Basis
from pinnkit.experts.layout import Boxes, tensor_boxes
from pinnkit.experts.ritz.bases import Gated, product
from pinnkit.experts.ritz.tables import DenseTable, Factor, Table, TensorTable, gauss

CUT = 1e-8
"""Relative singular value below which columns are dropped: about the root of the rounding unit.

Amplified rounding grows like (eps/cut)^2 and lost approximation like cut^2."""


@dataclass(frozen=True)
class Face:
    """The trial functions on one part of the boundary, with its outward unit normals (Q, d)."""

    name: str
    table: Table
    normals: np.ndarray


class TrialSpace(abc.ABC):
    """A finite-dimensional space of functions on a domain.

    `scale` multiplies the number of quadrature nodes per direction.
    """

    basis: Basis
    boxes: Boxes

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """The dimension N."""

    @abc.abstractmethod
    def nodes(self, scale: float) -> int:
        """The largest number of quadrature nodes per direction and expert."""

    @abc.abstractmethod
    def table(self, scale: float = 1.0) -> Table:
        """The functions inside the domain."""

    @abc.abstractmethod
    def faces(self, names: tuple[str, ...], scale: float = 1.0) -> Iterator[Face]:
        """The functions on the named parts of the boundary."""

    @abc.abstractmethod
    def local(self, coefficients: np.ndarray) -> np.ndarray:
        """Coefficients (N, m) as those of the experts' features, (K, m, n), for a `Mixture`."""


@dataclass(frozen=True)
class Ends:
    """What holds at the two ends of an axis: u = 0 (lower, upper), or periodicity."""

    lower: bool = False
    upper: bool = False
    periodic: bool = False


class AxisSpace:
    """Continuous functions on an interval, piecewise in the span of a one-dimensional basis.

    Columns are orthonormal in H1 and diagonalise the mass, so that products of them stay well
    conditioned. `transforms[k]` (n, size) gives the features' coefficients on piece k.
    """

    def __init__(self, edges: tuple[float, ...], basis: Basis, ends: Ends):
        self.edges, self.basis = np.asarray(edges), basis
        local = [_orthonormal(basis, 0.5 * float(h)) for h in np.diff(self.edges)]
        starts = np.concatenate([[0], np.cumsum([t.shape[1] for t in local])])
        at_ends = [basis.features(np.array([[-1.0], [1.0]]), (0,)) @ t for t in local]
        free = _joined(at_ends, starts, ends)
        # The cut is relative per piece; the joined columns are made orthonormal once more.
        self.transforms = [
            t @ free[a:b] for t, a, b in zip(local, starts[:-1], starts[1:], strict=True)
        ]
        if self.size:
            factor = self.factor(1.5 * basis.nodes()[0] + 10)
            rotation = _diagonalised(factor)
            self.transforms = [t @ rotation for t in self.transforms]

    @property
    def size(self) -> int:
        return self.transforms[0].shape[1]

    def factor(self, nodes: float) -> Factor:
        """The functions on a Gauss rule of `nodes` per piece."""
        xi, weights = gauss(int(np.ceil(nodes)))
        half, centre = 0.5 * np.diff(self.edges), 0.5 * (self.edges[1:] + self.edges[:-1])
        raw = [self.basis.features(xi[:, None], (order,)) for order in (0, 1)]
        return Factor(
            np.concatenate([c + h * xi for c, h in zip(centre, half, strict=True)]),
            np.concatenate([h * weights for h in half]),
            np.concatenate([raw[0] @ t for t in self.transforms]),
            np.concatenate([raw[1] @ t / h for t, h in zip(self.transforms, half, strict=True)]),
        )

    def end(self, side: int) -> Factor:
        """The functions at the lower (0) or upper (1) end, as a rule of one node."""
        xi = np.array([[2.0 * side - 1.0]])
        piece, half = -side, 0.5 * np.diff(self.edges)
        transform = self.transforms[piece]
        return Factor(
            self.edges[piece : len(self.edges) if side else 1],
            np.ones(1),
            self.basis.features(xi, (0,)) @ transform,
            self.basis.features(xi, (1,)) @ transform / half[piece],
        )


def _orthonormal(basis: Basis, half: float) -> np.ndarray:
    """(n, m) combinations of the features that are orthonormal in H1 of one piece."""
    xi, weights = gauss(3 * basis.nodes()[0] // 2 + 20)
    root = np.sqrt(weights * half)[:, None]
    rows = [root * basis.features(xi[:, None], (order,)) for order in (0, 1)]
    return _columns(np.concatenate(rows))


def _columns(rows: np.ndarray) -> np.ndarray:
    """(n, m) with orthonormal rows @ result; near-dependent columns are dropped."""
    _, singular, right = scipy.linalg.svd(rows, full_matrices=False)
    keep = singular > CUT * singular[0]
    return right[keep].T / singular[keep][None, :]


def _joined(at_ends: list[np.ndarray], starts: np.ndarray, ends: Ends) -> np.ndarray:
    """Orthonormal basis of the coefficients that satisfy joins and essential conditions."""
    total = int(starts[-1])

    def row(piece: int, side: int) -> np.ndarray:
        found = np.zeros(total)
        found[starts[piece] : starts[piece + 1]] = at_ends[piece][side]
        return found

    last = len(at_ends) - 1
    rows = [row(k, 1) - row(k + 1, 0) for k in range(last)]
    if ends.periodic:
        rows.append(row(0, 0) - row(last, 1))
    rows += [row(0, 0)] * ends.lower + [row(last, 1)] * ends.upper
    return scipy.linalg.null_space(np.stack(rows)) if rows else np.eye(total)


def _diagonalised(factor: Factor) -> np.ndarray:
    """Rotation to columns orthonormal in H1 (of length one) whose mass is diagonal."""
    weights = factor.weights[:, None]
    mass = factor.value.T @ (weights * factor.value)
    length = float(factor.weights.sum())
    metric = mass / length**2 + factor.slope.T @ (weights * factor.slope)
    values, vectors = scipy.linalg.eigh(0.5 * (mass + mass.T), 0.5 * (metric + metric.T))
    return vectors[:, np.argsort(values)[::-1]]


class BoxSpace(TrialSpace):
    """Products of `AxisSpace` functions on a box that is cut at given edges of every axis."""

    def __init__(
        self,
        axes: tuple[str, ...],
        edges: tuple[tuple[float, ...], ...],
        basis: Basis,
        ends: Mapping[str, Ends],
    ):
        self.axes = axes
        self.spaces = tuple(
            AxisSpace(e, basis, ends.get(a, Ends())) for a, e in zip(axes, edges, strict=True)
        )
        self.basis = product((basis,) * len(axes))
        self.boxes = tensor_boxes(edges)

    @property
    def size(self) -> int:
        return int(np.prod([s.size for s in self.spaces]))

    def nodes(self, scale: float) -> int:
        return max(self._nodes(s, scale) for s in self.spaces)

    def _nodes(self, space: AxisSpace, scale: float) -> int:
        extra = 20 if len(self.axes) == 1 else 6
        return int(np.ceil(scale * (1.3 * space.basis.nodes()[0] + extra)))

    def table(self, scale: float = 1.0) -> TensorTable:
        return TensorTable(tuple(s.factor(self._nodes(s, scale)) for s in self.spaces))

    def faces(self, names: tuple[str, ...], scale: float = 1.0) -> Iterator[Face]:
        for i, axis in enumerate(self.axes):
            for side, sign in enumerate("-+"):
                if axis + sign not in names:
                    continue
                factors = tuple(
                    s.end(side) if j == i else s.factor(self._nodes(s, scale))
                    for j, s in enumerate(self.spaces)
                )
                table = TensorTable(factors)
                normals = np.zeros_like(table.points)
                normals[:, i] = 2.0 * side - 1.0
                yield Face(axis + sign, table, normals)

    def local(self, coefficients: np.ndarray) -> np.ndarray:
        sizes, count = [s.size for s in self.spaces], coefficients.shape[1]
        pieces = [len(s.transforms) for s in self.spaces]
        found = []
        for index in np.ndindex(*pieces):
            block = coefficients.reshape(*sizes, count)
            for i, (space, k) in enumerate(zip(self.spaces, index, strict=True)):
                block = np.moveaxis(np.tensordot(space.transforms[k], block, axes=(1, i)), 0, i)
            found.append(block.reshape(-1, count).T)
        return np.stack(found)


class EllipseSpace(TrialSpace):
    """Features of the rectangle around an ellipse, times 1 - r^2 where its rim is `fixed`.

    The unit disk's coordinates are xi = (z - centre)/radii, r = |xi|. Quadrature: Gauss in r,
    trapezoidal in the angle, which converges as fast as Gauss does.
    """

    def __init__(
        self, centre: tuple[float, float], radii: tuple[float, float], basis: Basis, fixed: bool
    ):
        gate = ((1.0, (0, 0)), (-1.0, (2, 0)), (-1.0, (0, 2)))
        self.basis = Gated(basis, gate) if fixed else basis
        self.centre, self.radii = np.asarray(centre, float), np.asarray(radii, float)
        self.boxes = Boxes((self.centre - self.radii)[None], (self.centre + self.radii)[None])
        points, weights = self._polar(1.0)
        value, slopes = self._raw(points)
        root = np.sqrt(weights)[:, None]
        rows = [root * value / self.radii.max(), *(root * s for s in slopes)]
        self.transform = _columns(np.concatenate(rows))

    @property
    def size(self) -> int:
        return self.transform.shape[1]

    def nodes(self, scale: float) -> int:
        return int(np.ceil(scale * (max(self.basis.nodes()) + 6)))

    def _polar(self, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Points (Q, 2) and weights (Q,)."""
        nodes, weights = gauss(self.nodes(scale))
        r, ring = 0.5 * (nodes + 1.0), _ring(len(nodes))
        points = self.centre + self.radii * (r[:, None, None] * ring[None, :, :])
        each = 0.5 * weights * r * (2.0 * np.pi / len(ring)) * self.radii.prod()
        return points.reshape(-1, 2), np.repeat(each, len(ring))

    def _raw(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        xi = (points - self.centre) / self.radii
        slopes = [self.basis.features(xi, o) for o in ((1, 0), (0, 1))]
        return self.basis.features(xi, (0, 0)), np.stack(slopes) / self.radii[:, None, None]

    def _tabulated(self, points: np.ndarray, weights: np.ndarray) -> DenseTable:
        value, slopes = self._raw(points)
        return DenseTable(points, weights, value @ self.transform, slopes @ self.transform)

    def table(self, scale: float = 1.0) -> DenseTable:
        return self._tabulated(*self._polar(scale))

    def faces(self, names: tuple[str, ...], scale: float = 1.0) -> Iterator[Face]:
        if "boundary" not in names:
            return
        ring = _ring(self.nodes(scale))
        # The speed of the rim and its normal: the tangent is (-a sin, b cos), a and b the radii.
        normals = ring * self.radii[::-1]
        speed = np.linalg.norm(normals, axis=1)
        table = self._tabulated(self.centre + self.radii * ring, speed * 2.0 * np.pi / len(ring))
        yield Face("boundary", table, normals / speed[:, None])

    def local(self, coefficients: np.ndarray) -> np.ndarray:
        return (self.transform @ coefficients).T[None]


def _ring(count: int) -> np.ndarray:
    """2 count equidistant points of the unit circle, (2 count, 2)."""
    angle = np.pi * (np.arange(2 * count) + 0.5) / count
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def require_room(space: TrialSpace, count: int) -> None:
    """Raise `MethodError` if the space has fewer dimensions than levels are asked."""
    if space.size < count:
        raise MethodError(
            f"{count} levels were asked of a trial space of dimension {space.size}. "
            "Ask for fewer levels or give more features."
        )
