"""Products of domains of different kinds: a mesh times an interval of time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pinnkit.errors import GeometryError
from pinnkit.geometry.domain import Domain, Region, UnionRegion, check_axes
from pinnkit.geometry.sampling import Order

ENDS_OF_TIME = ("initial", "final")


@dataclass(frozen=True, repr=False)
class Product(Domain):
    """All pairs of points of two domains; the axes of `first` come first.

    Each region of a factor becomes a region of the product by extending it over the interior of
    the other; "interior" is the product of both, "boundary" the union of the extended ones.

    Raises:
        GeometryError: where the factors share an axis or a region name, or both have a time axis.
    """

    first: Domain
    second: Domain

    def __post_init__(self) -> None:
        times = tuple(d.time for d in (self.first, self.second) if d.time is not None)
        check_axes(self.axes, times, repr(self))
        shared = set(self.first.regions) & set(self.second.regions) - {"interior", "boundary"}
        if shared:
            raise GeometryError(
                f"{self!r}: both factors have a region {sorted(shared)[0]!r}; rename one of them"
            )

    def __repr__(self) -> str:
        return f"{self.first!r} * {self.second!r}"

    @property
    def time(self) -> str | None:
        return self.first.time or self.second.time

    @property
    def axes(self) -> tuple[str, ...]:
        return self.first.axes + self.second.axes

    @property
    def bounds(self) -> dict[str, tuple[float, float]]:
        return {**self.first.bounds, **self.second.bounds}

    @cached_property
    def regions(self) -> dict[str, Region]:
        first, second = self.first.interior, self.second.interior
        regions: dict[str, Region] = {"interior": ProductRegion("interior", first, second, 0)}
        pieces: list[Region] = []
        for name, region in self.first.regions.items():
            if name == "boundary":
                pieces += [ProductRegion(p.name, p, second, 1) for p in region.parts]
            elif name != "interior":
                regions[name] = ProductRegion(name, region, second, 1)
        for name, region in self.second.regions.items():
            if name == "boundary":
                pieces += [ProductRegion(p.name, first, p, 2) for p in region.parts]
            elif name != "interior":
                regions[name] = ProductRegion(name, first, region, 2)
        if pieces:
            regions["boundary"] = (
                UnionRegion("boundary", tuple(pieces)) if pieces[1:] else pieces[0]
            )
        return regions

    def contains(self, points: np.ndarray, tol: float = 1e-9) -> np.ndarray:
        cut = len(self.first.axes)
        inside = self.first.contains(points[:, :cut], tol)
        return inside & self.second.contains(points[:, cut:], tol)


class ProductRegion(Region):
    """The product of a region of each factor; `face` (1 or 2) is the one that has the normals."""

    def __init__(self, name: str, first: Region, second: Region, face: int):
        self.name = name
        self.axes = first.axes + second.axes
        self.time = first.time or second.time
        self._first, self._second, self._face = first, second, face

    @property
    def factors(self) -> tuple[Region, Region]:
        """The regions of which it is the product."""
        return self._first, self._second

    @property
    def dim(self) -> int:
        return self._first.dim + self._second.dim

    @property
    def measure(self) -> float:
        return self._first.measure * self._second.measure

    @property
    def fixed(self) -> dict[str, float]:
        return {**self._first.fixed, **self._second.fixed}

    @property
    def unit_dim(self) -> int:
        return self._first.unit_dim + self._second.unit_dim

    def place(self, unit: np.ndarray) -> np.ndarray:
        cut = self._first.unit_dim
        return np.hstack([self._first.place(unit[:, :cut]), self._second.place(unit[:, cut:])])

    def quadrature(self, order: Order) -> tuple[np.ndarray, np.ndarray]:
        first, first_weights = self._first.quadrature(order)
        second, second_weights = self._second.quadrature(order)
        points = np.hstack([np.repeat(first, len(second), 0), np.tile(second, (len(first), 1))])
        return points, np.outer(first_weights, second_weights).ravel()

    def _split(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cut = len(self._first.axes)
        return points[:, :cut], points[:, cut:]

    def distance(self, points: np.ndarray) -> np.ndarray:
        first, second = self._split(points)
        return np.hypot(self._first.distance(first), self._second.distance(second))

    def normals(self, points: np.ndarray) -> np.ndarray:
        if self._face == 0 or self.name in ENDS_OF_TIME:
            return super().normals(points)
        first, second = self._split(points)
        sizes = len(self._first.space_axes), len(self._second.space_axes)
        if self._face == 1:
            return np.hstack([self._first.normals(first), np.zeros((len(points), sizes[1]))])
        return np.hstack([np.zeros((len(points), sizes[0])), self._second.normals(second)])
