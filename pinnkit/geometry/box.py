"""Boxes: the product of intervals, one of which may be time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pinnkit.errors import GeometryError
from pinnkit.geometry.domain import Domain, Region, UnionRegion, check_axes
from pinnkit.geometry.sampling import Order, gauss_unit, order_along


@dataclass(frozen=True, init=False, repr=False)
class Box(Domain):
    """The product of intervals, `Box(t=(0, 1), x=(-1, 1), time="t")`.

    The order of the keywords is the order of the columns of every point array. Bounds may be
    whatever `float` accepts, SymPy numbers such as `2*pi` included.

    Regions: "interior"; for each space axis the faces "x-" and "x+", which extend over all of
    time; "boundary", their union; with a time axis "initial" and "final", its two ends.

    Raises:
        GeometryError: for no axes, more than three space axes, bounds that are not two finite
            ascending numbers, or a time axis that is not among the axes.
    """

    intervals: tuple[tuple[str, float, float], ...]
    time: str | None

    def __init__(self, *, time: str | None = None, **axes: Any):
        if time is not None and not isinstance(time, str):
            raise GeometryError(
                f"time={time!r} must name the time axis; write Box(t=(0, 1), time='t')"
            )
        intervals = tuple((axis, *_bounds(axis, given)) for axis, given in axes.items())
        check_axes(tuple(axes), () if time is None else (time,), "Box")
        if time is not None and time not in axes:
            raise GeometryError(
                f"Box: the time axis {time!r} is not among its axes ({', '.join(axes)}); "
                f"add {time}=(0, 1) or name one of them"
            )
        object.__setattr__(self, "intervals", intervals)
        object.__setattr__(self, "time", time)

    def __repr__(self) -> str:
        parts = [f"{axis}=({_brief(lo)}, {_brief(hi)})" for axis, lo, hi in self.intervals]
        if self.time is not None:
            parts.append(f"time={self.time!r}")
        return f"Box({', '.join(parts)})"

    @cached_property
    def axes(self) -> tuple[str, ...]:
        return tuple(axis for axis, _, _ in self.intervals)

    @cached_property
    def bounds(self) -> dict[str, tuple[float, float]]:
        return {axis: (lower, upper) for axis, lower, upper in self.intervals}

    @cached_property
    def regions(self) -> dict[str, Region]:
        faces = {
            f"{axis}{sign}": BoxRegion(f"{axis}{sign}", self, ((axis, self.bounds[axis][end]),))
            for axis in self.space_axes
            for end, sign in enumerate("-+")
        }
        regions: dict[str, Region] = {"interior": BoxRegion("interior", self, ())}
        regions.update(faces)
        if faces:
            regions["boundary"] = UnionRegion("boundary", tuple(faces.values()))
        if self.time is not None:
            lower, upper = self.bounds[self.time]
            regions["initial"] = BoxRegion("initial", self, ((self.time, lower),))
            regions["final"] = BoxRegion("final", self, ((self.time, upper),))
        return regions

    def contains(self, points: np.ndarray, tol: float = 1e-9) -> np.ndarray:
        lower, upper = np.array(list(self.bounds.values())).T
        slack = tol * (upper - lower)
        return np.all((points >= lower - slack) & (points <= upper + slack), axis=1)

    def __mul__(self, other: Domain) -> Domain:
        """Merge with another box into one, or form a product with another kind of domain."""
        if not isinstance(other, Box):
            return super().__mul__(other)
        times = tuple(box.time for box in (self, other) if box.time is not None)
        check_axes(self.axes + other.axes, times, f"{self!r} * {other!r}")
        merged: dict[str, Any] = {**self.bounds, **other.bounds}
        return Box(time=times[0] if times else None, **merged)


def Interval(axis: str, lower: Any, upper: Any) -> Box:
    """The interval [lower, upper] of one space axis: a box with one side."""
    sides: dict[str, Any] = {axis: (lower, upper)}
    return Box(**sides)


class BoxRegion(Region):
    """A box, or the part of it on which some coordinates are fixed at a bound."""

    def __init__(self, name: str, box: Box, fixed: tuple[tuple[str, float], ...]):
        self.name, self.axes, self.time = name, box.axes, box.time
        self._bounds = box.bounds
        self._fixed = dict(fixed)
        self._free = tuple(axis for axis in box.axes if axis not in self._fixed)

    @property
    def dim(self) -> int:
        return len(self._free)

    @property
    def unit_dim(self) -> int:
        return len(self._free)

    @property
    def measure(self) -> float:
        return float(np.prod([upper - lower for lower, upper in self._sides()]))

    @property
    def fixed(self) -> Mapping[str, float]:
        return dict(self._fixed)

    def _sides(self) -> list[tuple[float, float]]:
        return [self._bounds[axis] for axis in self._free]

    def place(self, unit: np.ndarray) -> np.ndarray:
        points = np.empty((len(unit), len(self.axes)))
        for axis, value in self._fixed.items():
            points[:, self.axes.index(axis)] = value
        for column, axis in enumerate(self._free):
            lower, upper = self._bounds[axis]
            # Rounding must not carry a point past the upper end.
            along = np.minimum(lower + (upper - lower) * unit[:, column], upper)
            points[:, self.axes.index(axis)] = along
        return points

    def quadrature(self, order: Order) -> tuple[np.ndarray, np.ndarray]:
        rules = [gauss_unit(order_along(order, axis)) for axis in self._free]
        if not rules:
            return self.place(np.zeros((1, 0))), np.ones(1)
        nodes = np.meshgrid(*(nodes for nodes, _ in rules), indexing="ij")
        weights = np.meshgrid(*(weights for _, weights in rules), indexing="ij")
        unit = np.stack([n.ravel() for n in nodes], axis=1)
        return self.place(unit), self.measure * np.prod([w.ravel() for w in weights], axis=0)

    def distance(self, points: np.ndarray) -> np.ndarray:
        nearest = points.copy()
        for column, axis in enumerate(self.axes):
            lower, upper = self._bounds[axis]
            nearest[:, column] = self._fixed.get(axis, np.clip(points[:, column], lower, upper))
        return np.linalg.norm(points - nearest, axis=1)

    def normals(self, points: np.ndarray) -> np.ndarray:
        if len(self._fixed) != 1 or self.time in self._fixed:
            return super().normals(points)
        ((axis, value),) = self._fixed.items()
        result = np.zeros((len(points), len(self.space_axes)))
        sign = 1.0 if value == self._bounds[axis][1] else -1.0
        result[:, self.space_axes.index(axis)] = sign
        return result


def _brief(value: float) -> str:
    """All digits (a digest may depend on them), without the point of a whole number."""
    return str(int(value)) if value.is_integer() else repr(value)


def _bounds(axis: str, given: Any) -> tuple[float, float]:
    try:
        lower, upper = (float(value) for value in given)
    except (TypeError, ValueError) as error:
        raise GeometryError(
            f"Box: axis {axis!r} got {given!r}; give two numbers, {axis}=(lower, upper)"
        ) from error
    if not (np.isfinite(lower) and np.isfinite(upper)):
        raise GeometryError(
            f"Box: axis {axis!r} has a bound that is not finite, ({lower}, {upper}); truncate it"
        )
    if lower >= upper:
        raise GeometryError(
            f"Box: axis {axis!r} has lower bound {lower:g} >= upper bound {upper:g}; swap them"
        )
    return lower, upper
