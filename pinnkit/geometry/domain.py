"""Where a condition holds: domains, and the regions that they offer by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pinnkit.errors import GeometryError
from pinnkit.geometry.sampling import Order, child_seed, shares, unit_points

if TYPE_CHECKING:
    from pinnkit.geometry.plane import PlaneDomain
    from pinnkit.geometry.product import Product

MAX_SPACE_AXES = 10


class Region(ABC):
    """A named subset of a domain: its interior, a face, its state at the initial time.

    Coordinates are float64 arrays (N, d) whose columns follow `axes`.
    """

    name: str
    axes: tuple[str, ...]
    time: str | None

    @property
    def space_axes(self) -> tuple[str, ...]:
        """The axes without time, in order; columns of `normals` follow them."""
        return tuple(axis for axis in self.axes if axis != self.time)

    @property
    @abstractmethod
    def dim(self) -> int:
        """Intrinsic dimension: 0 for a point, 1 for a curve, ..."""

    @property
    @abstractmethod
    def measure(self) -> float:
        """Length, area or volume in the intrinsic dimension; 1 for a point."""

    @property
    def fixed(self) -> Mapping[str, float]:
        """Coordinates that are constant on the region, for example {"x": -1.0}."""
        return {}

    @property
    def parts(self) -> tuple[Region, ...]:
        """The smooth pieces of a union, each with normals of its own; else the region itself."""
        return (self,)

    @property
    @abstractmethod
    def unit_dim(self) -> int:
        """How many unit-cube coordinates `place` takes."""

    @abstractmethod
    def place(self, unit: np.ndarray) -> np.ndarray:
        """Map the unit cube, (n, unit_dim), onto the region, (n, d), preserving uniformity."""

    @abstractmethod
    def quadrature(self, order: Order) -> tuple[np.ndarray, np.ndarray]:
        """Gauss rule with `order` nodes per direction: points (n, d) and weights (n,).

        Exact for polynomials of degree 2 order - 1 along each direction of a box and in total
        on each triangle; the weights sum to `measure`. `order` may differ by axis: {"t": 4, ...}.
        """

    @abstractmethod
    def distance(self, points: np.ndarray) -> np.ndarray:
        """Distance of `points` (n, d) from the region, (n,)."""

    def sample(self, n: int, seed: int, method: str = "sobol") -> np.ndarray:
        """Return `n` points (n, d) spread evenly over the region, exactly on it.

        A region of dimension 0 repeats its one point `n` times.

        Args:
            method: `"sobol"` (scrambled, default) or `"uniform"` (pseudo-random).
        """
        return self.place(unit_points(n, self.unit_dim, seed, method))

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Outward unit normals at `points` (n, d) of the region, (n, number of space axes).

        Raises:
            GeometryError: where the region is no part of the boundary in space.
        """
        raise GeometryError(
            f"region {self.name!r} has no outward normal; use a face or a boundary group"
        )


class UnionRegion(Region):
    """Regions of one dimension taken together, such as all faces of a box."""

    def __init__(self, name: str, parts: tuple[Region, ...]):
        self.name = name
        self._parts = parts
        self.axes, self.time = parts[0].axes, parts[0].time

    @property
    def parts(self) -> tuple[Region, ...]:
        return self._parts

    @property
    def dim(self) -> int:
        return self._parts[0].dim

    @property
    def measure(self) -> float:
        return sum(part.measure for part in self._parts)

    @property
    def unit_dim(self) -> int:
        return 1 + max(part.unit_dim for part in self._parts)

    def place(self, unit: np.ndarray) -> np.ndarray:
        ends = np.cumsum([part.measure for part in self._parts]) / self.measure
        choice = np.minimum(np.searchsorted(ends, unit[:, 0], side="right"), len(ends) - 1)
        points = np.empty((len(unit), len(self.axes)))
        for index, part in enumerate(self._parts):
            mine = choice == index
            points[mine] = part.place(unit[mine, 1 : 1 + part.unit_dim])
        return points

    def sample(self, n: int, seed: int, method: str = "sobol") -> np.ndarray:
        """Sample each part in proportion to its measure, one part after the other."""
        counts = shares(n, np.array([part.measure for part in self._parts]))
        return np.concatenate(
            [
                part.sample(int(count), child_seed(seed, index), method)
                for index, (part, count) in enumerate(zip(self._parts, counts, strict=True))
            ]
        )

    def quadrature(self, order: Order) -> tuple[np.ndarray, np.ndarray]:
        rules = [part.quadrature(order) for part in self._parts]
        return np.concatenate([p for p, _ in rules]), np.concatenate([w for _, w in rules])

    def distance(self, points: np.ndarray) -> np.ndarray:
        return np.min([part.distance(points) for part in self._parts], axis=0)

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Normals of the nearest part; on a corner, of the first part that holds the point."""
        nearest = np.argmin([part.distance(points) for part in self._parts], axis=0)
        result = np.empty((len(points), len(self.space_axes)))
        for index, part in enumerate(self._parts):
            mine = nearest == index
            if mine.any():
                result[mine] = part.normals(points[mine])
        return result


class Domain(ABC):
    """The set on which a problem is posed: an ordered list of axes, at most one of them time.

    Attributes:
        axes: names of the coordinates; columns of every point array follow them.
        time: the one that is time, if any.
    """

    axes: tuple[str, ...]
    time: str | None

    @property
    @abstractmethod
    def bounds(self) -> Mapping[str, tuple[float, float]]:
        """Bounding box: axis -> (lower, upper)."""

    @property
    @abstractmethod
    def regions(self) -> Mapping[str, Region]:
        """Every region by name; "interior" is always among them."""

    @abstractmethod
    def contains(self, points: np.ndarray, tol: float = 1e-9) -> np.ndarray:
        """Whether each of `points` (n, d) lies in the closed domain, (n,) bool.

        `tol` is relative to the extent of the bounding box.
        """

    @property
    def space_axes(self) -> tuple[str, ...]:
        """The axes without time, in order."""
        return tuple(axis for axis in self.axes if axis != self.time)

    @property
    def interior(self) -> Region:
        """The whole domain as a region."""
        return self.regions["interior"]

    @property
    def measure(self) -> float:
        """Volume of the domain, time included."""
        return self.interior.measure

    def region(self, name: str) -> Region:
        """Return the region called `name`.

        Raises:
            GeometryError: where there is none, listing those that there are.
        """
        if name in self.regions:
            return self.regions[name]
        known = ", ".join(sorted(self.regions))
        raise GeometryError(
            f"{self!r} has no region {name!r}{self._why_absent(name)}; choose one of: {known}"
        )

    def _why_absent(self, name: str) -> str:
        if name in ("initial", "final") and self.time is None:
            return " because no axis is declared as time (Box(..., time='t'))"
        if name == "boundary" and not self.space_axes:
            return " because its only axis is time, whose ends are 'initial' and 'final'"
        if self.time is not None and name in (f"{self.time}-", f"{self.time}+"):
            return " because time is no space axis ('initial' and 'final' are its ends)"
        return ""

    def ticks(
        self, n: int | Mapping[str, int], periodic: tuple[str, ...] = ()
    ) -> dict[str, np.ndarray]:
        """Equidistant coordinates along each axis, ends included: {axis: (n,)}.

        Along a `periodic` axis the upper end, which repeats the lower, is left out.
        """
        result = {}
        for axis, (lower, upper) in self.bounds.items():
            count = n.get(axis, 0) if isinstance(n, Mapping) else n
            if count < 2:
                raise GeometryError(
                    f"a grid needs at least 2 points along {axis!r}, not {count}; give more"
                )
            result[axis] = np.linspace(lower, upper, count, endpoint=axis not in periodic)
        return result

    def grid(self, n: int | Mapping[str, int], periodic: tuple[str, ...] = ()) -> np.ndarray:
        """Points (N, d) of a uniform grid over the bounding box that lie in the domain, C order.

        On a box N is the product of the numbers along the axes, the last axis varying fastest.
        """
        ticks = self.ticks(n, periodic)
        mesh = np.meshgrid(*(ticks[axis] for axis in self.axes), indexing="ij")
        points = np.stack([m.ravel() for m in mesh], axis=1)
        return points[self.contains(points)]

    def __mul__(self, other: Domain) -> Domain:
        """The product of two domains in different axes, such as a mesh times an interval."""
        from pinnkit.geometry.product import Product

        if not isinstance(other, Domain):
            return NotImplemented
        product: Product = Product(self, other)
        return product

    def __sub__(self, other: Domain) -> PlaneDomain:
        """The plane domain without the points of another (see `geometry.csg`)."""
        from pinnkit.geometry.csg import Difference

        return Difference(self, other) if isinstance(other, Domain) else NotImplemented

    def __add__(self, other: Domain) -> PlaneDomain:
        """The union of two plane domains."""
        from pinnkit.geometry.csg import Union

        return Union(self, other) if isinstance(other, Domain) else NotImplemented

    def __and__(self, other: Domain) -> PlaneDomain:
        """The intersection of two plane domains."""
        from pinnkit.geometry.csg import Intersection

        return Intersection(self, other) if isinstance(other, Domain) else NotImplemented


def check_axes(axes: tuple[str, ...], times: tuple[str, ...], what: str) -> None:
    """Raise GeometryError unless the axes are distinct, few enough, and one at most is time."""
    if not axes:
        raise GeometryError(f"{what} has no axes; write for example Box(x=(0, 1))")
    repeated = sorted({axis for axis in axes if axes.count(axis) > 1})
    if repeated:
        raise GeometryError(
            f"{what} has axis {repeated[0]!r} twice; give each factor axes of its own"
        )
    if len(times) > 1:
        raise GeometryError(f"{what} has two time axes, {times}; declare one of them as space")
    space = [axis for axis in axes if axis not in times]
    if len(space) > MAX_SPACE_AXES:
        raise GeometryError(
            f"{what} has {len(space)} space axes ({', '.join(space)}), at most "
            f"{MAX_SPACE_AXES} are supported; leave some out or declare one as time"
        )
