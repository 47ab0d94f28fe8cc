"""Plane domains that are known by the exact curves of their boundary, and their regions."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from pinnkit.errors import GeometryError
from pinnkit.geometry.curves import Arc, Curve
from pinnkit.geometry.domain import Domain, Region
from pinnkit.geometry.sampling import Order, child_seed, order_along, shares
from pinnkit.geometry.strips import Strips

NEAR = 1e-9
"""Places closer than this, relative to the extent of the domain, are one place."""

EIGHTHS = np.array([0.125, 0.375, 0.625, 0.875])


@dataclass(frozen=True)
class Corner:
    """A corner of the boundary at `point`.

    The domain fills the angles from `start` to `start + opening` (counter-clockwise), `opening`
    in (0, 2 pi). `sides` are the region names of the side at `start` and of the other one.
    """

    point: tuple[float, float]
    start: float
    opening: float
    sides: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def reentrant(self) -> bool:
        return self.opening > np.pi


@dataclass(frozen=True)
class Hole:
    """A hole or hollow around `centre`, which lies outside of the domain."""

    centre: tuple[float, float]
    radius: float


class PlaneDomain(Domain):
    """A bounded open set of the plane with piecewise smooth boundary, and its closure.

    Regions: "interior"; "boundary"; and one per name of its curves.
    """

    time = None
    smooth_turn: ClassVar[float] = 1e-6
    """A boundary that turns by less than this angle has no corner there."""

    @property
    @abstractmethod
    def curves(self) -> tuple[Curve, ...]:
        """The boundary, every curve with the domain on its left."""

    @abstractmethod
    def strictly(self, points: np.ndarray, slack: float) -> np.ndarray:
        """Whether `points` (N, 2) are inside and farther than the length `slack` from the edge."""

    @cached_property
    def bounds(self) -> dict[str, tuple[float, float]]:
        places = []
        for curve in self.curves:
            stops = np.concatenate([[0.0, 1.0], curve.extrema(0), curve.extrema(1)])
            places.append(curve.at(stops))
        everything = np.concatenate(places)
        low, high = everything.min(axis=0), everything.max(axis=0)
        return {axis: (float(low[k]), float(high[k])) for k, axis in enumerate(self.axes)}

    @property
    def extent(self) -> float:
        """The longer side of the bounding box."""
        return max(high - low for low, high in self.bounds.values())

    @cached_property
    def regions(self) -> Mapping[str, Region]:
        names = dict.fromkeys(name for curve in self.curves for name in curve.names)
        found: dict[str, Region] = {"interior": InteriorRegion(self)}
        for name in names:
            own = tuple(c for c in self.curves if name in c.names)
            found[name] = CurveRegion(name, self.axes, own)
        found["boundary"] = CurveRegion("boundary", self.axes, self.curves)
        return found

    def near(self, points: np.ndarray, slack: float) -> np.ndarray:
        """Whether `points` (N, 2) are within the length `slack` of the boundary."""
        found = np.zeros(len(points), dtype=bool)
        for curve in self.curves:
            rest = np.flatnonzero(~found)
            found[rest] = curve.distance(points[rest]) <= slack
        return found

    def contains(self, points: np.ndarray, tol: float = 1e-9) -> np.ndarray:
        slack = tol * self.extent
        points = np.asarray(points, float)
        return self.strictly(points, slack) | self.near(points, slack)

    def section(self, axis: int, at: float) -> np.ndarray:
        """Intervals (M, 2) of the other coordinate in which the line `axis` = `at` is inside."""
        other, near = 1 - axis, NEAR * self.extent
        places = [np.zeros(0)]
        for curve in self.curves:
            places.append(curve.at(curve.crossings(axis, at))[:, other])
            ends = curve.at(np.array([0.0, 1.0]))
            places.append(ends[np.abs(ends[:, axis] - at) <= near, other])
        cuts = np.sort(np.concatenate(places))
        if not len(cuts):
            return np.zeros((0, 2))
        cuts = cuts[np.concatenate([[True], np.diff(cuts) > near])]
        middle = np.full((len(cuts) - 1, 2), float(at))
        middle[:, other] = 0.5 * (cuts[:-1] + cuts[1:])
        inside = self.strictly(middle, near)
        return np.stack([cuts[:-1], cuts[1:]], axis=1)[inside]

    @cached_property
    def strips(self) -> Strips:
        """The domain as strips between its curves."""
        return Strips(self.curves, NEAR * self.extent)

    @cached_property
    def loops(self) -> tuple[tuple[Curve, ...], ...]:
        """The boundary as closed chains, holes clockwise."""
        ends = np.array([0.0, 1.0])
        near, rest, found = 1e2 * NEAR * self.extent, list(self.curves), []
        while rest:
            chain = [rest.pop(0)]
            while rest and math.dist(chain[-1].at(ends)[1], chain[0].at(ends)[0]) > near:
                gaps = [math.dist(c.at(ends)[0], chain[-1].at(ends)[1]) for c in rest]
                chain.append(rest.pop(int(np.argmin(gaps))))
            found.append(tuple(chain))
        return tuple(found)

    @cached_property
    def holes(self) -> tuple[Hole, ...]:
        """The disks out of which the boundary bulges inward, and the other holes."""
        arcs = [c for c in self.curves if isinstance(c, Arc) and c.span < 0.0]
        found = [Hole(arc.centre, min(arc.radii)) for arc in arcs]
        for chain in self.loops:
            if sum(c.area() for c in chain) < 0.0 and not any(isinstance(c, Arc) for c in chain):
                middle = np.mean([c.at(EIGHTHS) for c in chain], axis=(0, 1))
                radius = min(float(c.distance(middle[None, :])[0]) for c in chain)
                found.append(Hole((float(middle[0]), float(middle[1])), radius))
        outside = [h for h in found if not self.contains(np.array([h.centre]))[0]]
        return tuple(dict.fromkeys(outside))

    @cached_property
    def corners(self) -> tuple[Corner, ...]:
        """Where the boundary turns."""
        ends = np.array([0.0, 1.0])
        near, found = 1e2 * NEAR * self.extent, []
        for after in self.curves:
            begin, away = after.at(ends)[0], after.velocity(ends)[0]
            for before in self.curves:
                if np.linalg.norm(before.at(ends)[1] - begin) > near:
                    continue
                came = before.velocity(ends)[1]
                cross, dot = came[0] * away[1] - came[1] * away[0], came @ away
                turn = float(np.arctan2(cross, dot))
                if abs(turn) > self.smooth_turn:
                    start = float(np.arctan2(away[1], away[0]))
                    place = float(begin[0]), float(begin[1])
                    sides = after.names, before.names
                    found.append(Corner(place, start, np.pi - turn, sides))
        return tuple(found)


class CurveRegion(Region):
    """Some curves of the boundary."""

    time = None

    def __init__(self, name: str, axes: tuple[str, ...], curves: Sequence[Curve]):
        self.name, self.axes = name, axes
        self.curves = tuple(curves)
        self._lengths = np.array([curve.length for curve in curves])

    @property
    def dim(self) -> int:
        return 1

    @property
    def unit_dim(self) -> int:
        return 1

    @property
    def measure(self) -> float:
        return float(self._lengths.sum())

    def place(self, unit: np.ndarray) -> np.ndarray:
        ends = np.cumsum(self._lengths)
        length = unit[:, 0] * ends[-1]
        index = np.minimum(np.searchsorted(ends, length, side="right"), len(ends) - 1)
        points = np.empty((len(unit), 2))
        for k, curve in enumerate(self.curves):
            mine = index == k
            start = ends[k] - self._lengths[k]
            share = np.clip((length[mine] - start) / self._lengths[k], 0.0, 1.0)
            points[mine] = curve.at(curve.along(share))
        return points

    def sample(self, n: int, seed: int, method: str = "sobol") -> np.ndarray:
        """Spread `n` points over the curves, on each in proportion to its length."""
        if len(self.curves) == 1:
            return super().sample(n, seed, method)
        parts = [CurveRegion(self.name, self.axes, (curve,)) for curve in self.curves]
        counts = shares(n, self._lengths).tolist()
        return np.concatenate(
            [
                part.sample(count, child_seed(seed, k), method)
                for k, (part, count) in enumerate(zip(parts, counts, strict=True))
            ]
        )

    def quadrature(self, order: Order) -> tuple[np.ndarray, np.ndarray]:
        """Gauss's rule on every curve, per quarter turn; exact in the limit where it is bent."""
        nodes = max(order_along(order, axis) for axis in self.axes)
        points, weights = [], []
        for curve in self.curves:
            pieces = max(1, int(np.ceil(curve.turn / (0.5 * np.pi) - 1e-9)))
            for piece in curve.cut(np.arange(1, pieces) / pieces):
                s, w = piece.rule(nodes)
                points.append(piece.at(s))
                weights.append(w)
        return np.concatenate(points), np.concatenate(weights)

    def distance(self, points: np.ndarray) -> np.ndarray:
        return np.min([curve.distance(points) for curve in self.curves], axis=0)

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Outward normals of the nearest curve."""
        gaps = np.stack([curve.distance(points) for curve in self.curves])
        index, result = np.argmin(gaps, axis=0), np.empty((len(points), 2))
        for k, curve in enumerate(self.curves):
            mine = index == k
            result[mine] = curve.normal(curve.nearest(points[mine]))
        return result


class InteriorRegion(Region):
    """A plane domain as a region."""

    name, time = "interior", None

    def __init__(self, domain: PlaneDomain):
        self.axes, self._domain = domain.axes, domain

    @property
    def dim(self) -> int:
        return 2

    @property
    def unit_dim(self) -> int:
        return 2

    @property
    def measure(self) -> float:
        """The area, by Green's theorem from the boundary, exact up to rounding."""
        return sum(curve.area() for curve in self._domain.curves)

    def place(self, unit: np.ndarray) -> np.ndarray:
        return self._domain.strips.place(unit)

    def quadrature(self, order: Order) -> tuple[np.ndarray, np.ndarray]:
        """Gauss's rule in strips between the corners; exact on polygons, spectral along arcs."""
        nodes = max(order_along(order, axis) for axis in self.axes)
        points, weights = self._domain.strips.rule(nodes)
        return points, weights * (self.measure / weights.sum())

    def distance(self, points: np.ndarray) -> np.ndarray:
        edge = np.min([curve.distance(points) for curve in self._domain.curves], axis=0)
        return np.where(self._domain.strictly(points, 0.0), 0.0, edge)


def same_axes(first: Domain, second: Domain, what: str) -> tuple[str, ...]:
    """The axes that both have; raises GeometryError where they differ."""
    if first.axes != second.axes:
        raise GeometryError(
            f"{what}: the axes differ ({', '.join(first.axes)} and {', '.join(second.axes)}); "
            "give both the same axes in the same order"
        )
    return first.axes
