"""Plane domains put together from disks, ellipses, polygons and boxes by set operations.

    Box(x=(0, 2.2), y=(0, 0.41)) - Disk(x=0.2, y=0.2, radius=0.05, name="cylinder")

`a - b`, `a + b` (union) and `a & b` clip the boundary curves of each against the other, so that
the result is again bounded by exact segments and arcs, each of which keeps its region names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pinnkit.errors import GeometryError
from pinnkit.geometry.box import Box
from pinnkit.geometry.curves import FULL, Arc, Curve, Segment, joined
from pinnkit.geometry.domain import Domain, check_axes
from pinnkit.geometry.plane import NEAR, PlaneDomain, same_axes

RESERVED = ("interior", "boundary", "initial", "final")


@dataclass(frozen=True, init=False, repr=False)
class Ellipse(PlaneDomain):
    """`Ellipse(x=0, y=0, radii=(2, 1))`: half axes along the coordinates, in axis order.

    Its boundary is the region `name` ("ellipse" by default).

    Raises:
        GeometryError: unless there are two axes, a finite centre and positive radii.
    """

    centre: tuple[tuple[str, float], ...]
    radii: tuple[float, float]
    name: str

    def __init__(self, *, radii: Any = None, name: str = "ellipse", **centre: Any):
        example = "Ellipse(x=0, y=0, radii=(2, 1))"
        self._set("Ellipse", centre, radii, name, example)

    def _set(self, kind: str, centre: dict, radii: Any, name: str, example: str) -> None:
        _check_plane(kind, tuple(centre), example)
        _check_name(kind, name)
        try:
            place = tuple((axis, float(value)) for axis, value in centre.items())
            sizes = tuple(float(r) for r in radii)
        except (TypeError, ValueError) as error:
            raise GeometryError(
                f"{kind}: centre and radius must be numbers; write {example}"
            ) from error
        values = [value for _, value in place]
        if len(sizes) != 2 or not np.isfinite([*values, *sizes]).all() or min(sizes) <= 0.0:
            raise GeometryError(
                f"{kind}: centre {values} and radii {sizes} must be finite, radii positive; "
                f"write {example}"
            )
        object.__setattr__(self, "centre", place)
        object.__setattr__(self, "radii", sizes)
        object.__setattr__(self, "name", name)

    def __repr__(self) -> str:
        return f"Ellipse({self._centre_text()}, radii={self.radii}, name={self.name!r})"

    def _centre_text(self) -> str:
        return ", ".join(f"{axis}={value!r}" for axis, value in self.centre)

    @property
    def axes(self) -> tuple[str, ...]:
        return tuple(axis for axis, _ in self.centre)

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        (_, x), (_, y) = self.centre
        return (Arc((self.name,), (x, y), self.radii, 0.0, FULL),)

    def strictly(self, points: np.ndarray, slack: float) -> np.ndarray:
        arc = self.curves[0]
        assert isinstance(arc, Arc)
        inside = np.sum(arc.unit(points) ** 2, axis=1) < 1.0
        if slack == 0.0:
            return inside
        return inside & (arc.distance(points) > slack)


class Disk(Ellipse):
    """`Disk(x=0.2, y=0.2, radius=0.05, name="cylinder")`; its boundary is the region `name`.

    Raises:
        GeometryError: unless there are two axes, a finite centre and a positive radius.
    """

    def __init__(self, *, radius: Any = None, name: str = "disk", **centre: Any):
        example = "Disk(x=0, y=0, radius=1)"
        if radius is None:
            raise GeometryError(f"Disk has no radius; write {example}")
        self._set("Disk", centre, (radius, radius), name, example)

    def __repr__(self) -> str:
        return f"Disk({self._centre_text()}, radius={self.radii[0]!r}, name={self.name!r})"


@dataclass(frozen=True, init=False, repr=False)
class Polygon(PlaneDomain):
    """The inside of a closed chain of segments through `points`, in either sense.

    Side k, from point k to the next, is the region `name` + "k" (counted from 1, in the order
    given); all sides together are the region `name` ("polygon" by default).

    Raises:
        GeometryError: for fewer than three points, repeated points, sides that meet elsewhere
            than at common ends, or no area.
    """

    points: tuple[tuple[float, float], ...]
    axes: tuple[str, ...]
    name: str

    def __init__(self, points: Any, axes: tuple[str, str] = ("x", "y"), name: str = "polygon"):
        _check_plane("Polygon", tuple(axes), "Polygon([(0, 0), (1, 0), (0, 1)])")
        _check_name("Polygon", name)
        try:
            corners = tuple((float(x), float(y)) for x, y in points)
        except (TypeError, ValueError) as error:
            raise GeometryError(
                "Polygon: give pairs of numbers, Polygon([(0, 0), (1, 0), (0, 1)])"
            ) from error
        if len(corners) < 3 or not np.isfinite(corners).all():
            raise GeometryError(
                f"Polygon: {len(corners)} points, not all finite or too few; give three or more"
            )
        object.__setattr__(self, "points", corners)
        object.__setattr__(self, "axes", tuple(axes))
        object.__setattr__(self, "name", name)
        _check_simple(self.curves)

    def __repr__(self) -> str:
        return f"Polygon({list(self.points)}, axes={self.axes}, name={self.name!r})"

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        following = (*self.points[1:], self.points[0])
        sides: list[Curve] = [
            Segment((self.name, f"{self.name}{k + 1}"), a, b)
            for k, (a, b) in enumerate(zip(self.points, following, strict=True))
        ]
        if sum(side.area() for side in sides) < 0.0:
            sides = [side.turned() for side in reversed(sides)]
        return tuple(sides)

    def strictly(self, points: np.ndarray, slack: float) -> np.ndarray:
        x, y = points[:, 0], points[:, 1]
        inside = np.zeros(len(points), dtype=bool)
        previous = self.points[-1]
        for here in self.points:
            (x0, y0), (x1, y1) = previous, here
            # Half-open in height, so that a corner counts once.
            between = (y0 > y) != (y1 > y)
            height = y1 - y0 if y1 != y0 else 1.0
            inside ^= between & (x < x0 + (y - y0) * (x1 - x0) / height)
            previous = here
        return inside & ~self.near(points, slack)


class _Rectangle(Polygon):
    """A box of the plane, its sides named as the faces of the box."""

    def __init__(self, box: Box):
        if box.time is not None or len(box.axes) != 2:
            raise GeometryError(
                f"{box!r} has not two axes of space, and only such boxes are cut or joined; "
                "multiply by time or a third axis last: (box - disk) * Box(t=(0, 1), time='t')"
            )
        (a, b), (c, d) = box.bounds.values()
        object.__setattr__(self, "points", ((a, c), (b, c), (b, d), (a, d)))
        object.__setattr__(self, "axes", box.axes)
        object.__setattr__(self, "name", repr(box))

    def __repr__(self) -> str:
        return self.name

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        x, y = self.axes
        names = (f"{y}-", f"{x}+", f"{y}+", f"{x}-")
        following = (*self.points[1:], self.points[0])
        return tuple(
            Segment((name,), a, b) for name, a, b in zip(names, self.points, following, strict=True)
        )


@dataclass(frozen=True, repr=False)
class Combination(PlaneDomain):
    """Two plane domains combined; the base of union, intersection and difference."""

    first: Domain
    second: Domain

    def __post_init__(self) -> None:
        same_axes(self.first, self.second, repr(self))
        if not self.curves or sum(c.area() for c in self.curves) <= NEAR * self._scale**2:
            raise GeometryError(f"{self!r} is empty; {self._mend()}")

    def _mend(self) -> str:
        return "move or enlarge one of the two"

    @property
    def axes(self) -> tuple[str, ...]:
        return self.first.axes

    @cached_property
    def parts(self) -> tuple[PlaneDomain, PlaneDomain]:
        """Both operands as domains that know their curves."""
        return plane(self.first), plane(self.second)

    @cached_property
    def _scale(self) -> float:
        return max(part.extent for part in self.parts)


class Union(Combination):
    """The points of either: `first + second`."""

    def __repr__(self) -> str:
        return f"({self.first!r} + {self.second!r})"

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        a, b = self.parts
        near = NEAR * self._scale
        return _clipped(a, b, near, False, 1) + _clipped(b, a, near, False, 0)

    def strictly(self, points: np.ndarray, slack: float) -> np.ndarray:
        a, b = self.parts
        # A common side of the two is inside their union.
        near = NEAR * self._scale
        either = a.strictly(points, 0.0) | b.strictly(points, 0.0)
        either |= a.near(points, near) & b.near(points, near)
        return either & ~self.near(points, slack)


class Intersection(Combination):
    """The points of both: `first & second`."""

    def __repr__(self) -> str:
        return f"({self.first!r} & {self.second!r})"

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        a, b = self.parts
        near = NEAR * self._scale
        return _clipped(a, b, near, True, 1) + _clipped(b, a, near, True, 0)

    def strictly(self, points: np.ndarray, slack: float) -> np.ndarray:
        a, b = self.parts
        return a.strictly(points, slack) & b.strictly(points, slack)


class Difference(Combination):
    """The points of `first` that are not in `second`: `first - second`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        a, b = self.parts
        missing = a.measure - sum(curve.area() for curve in self.curves)
        if missing <= NEAR * b.measure:
            raise GeometryError(
                f"{self!r}: {self.second!r} lies outside of {self.first!r}, so that subtracting it "
                "changes nothing; move it or leave it out"
            )

    def __repr__(self) -> str:
        return f"({self.first!r} - {self.second!r})"

    def _mend(self) -> str:
        return "what is subtracted must not cover everything"

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        a, b = self.parts
        near = NEAR * self._scale
        inner = tuple(c.turned() for c in _clipped(b, a, near, True, 0))
        return _clipped(a, b, near, False, -1) + inner

    def strictly(self, points: np.ndarray, slack: float) -> np.ndarray:
        a, b = self.parts
        inside = a.strictly(points, slack)
        rest = np.flatnonzero(inside)
        inside[rest] = ~b.strictly(points[rest], 0.0) & ~b.near(points[rest], slack)
        return inside


def plane(domain: Domain) -> PlaneDomain:
    """A domain that knows its boundary curves; raises GeometryError for other kinds."""
    if isinstance(domain, PlaneDomain):
        return domain
    if isinstance(domain, Box):
        return _Rectangle(domain)
    raise GeometryError(
        f"{domain!r} cannot be cut or joined; only boxes, disks, ellipses and polygons can"
    )


def _clipped(
    mine: PlaneDomain, other: PlaneDomain, near: float, inside: bool, shared: int
) -> tuple[Curve, ...]:
    """The parts of the boundary of `mine` inside (or outside) `other`.

    Stretches that both boundaries share are kept where both run in the same direction
    (`shared` = 1), in opposite ones (-1), or never (0).
    """
    result: list[Curve] = []
    for curve in mine.curves:
        meetings = [curve.meetings(o, near) for o in other.curves]
        pieces = [p for p in curve.cut(np.concatenate(meetings)) if p.length > near]
        kept = [p for p in pieces if _direction(p, other, near, inside, shared)]
        result += joined(kept)
    return tuple(result)


def _direction(piece: Curve, other: PlaneDomain, near: float, inside: bool, shared: int) -> bool:
    middle = np.array([0.5])
    place = piece.at(middle)
    for curve in other.curves:
        if curve.distance(place)[0] <= near:
            along = curve.velocity(curve.nearest(place))[0] @ piece.velocity(middle)[0]
            return shared * along > 0.0
    return bool(other.strictly(place, 0.0)[0]) == inside


def _check_plane(kind: str, axes: tuple[str, ...], example: str) -> None:
    check_axes(axes, (), kind)
    if len(axes) != 2:
        raise GeometryError(
            f"{kind} has {len(axes)} axes ({', '.join(axes)}), not two; write {example}"
        )


def _check_name(kind: str, name: str) -> None:
    if not isinstance(name, str) or not name or name in RESERVED:
        raise GeometryError(
            f"{kind}: name={name!r} cannot name its boundary; give a word other than "
            f"{', '.join(RESERVED)}"
        )


def _check_simple(sides: tuple[Curve, ...]) -> None:
    """Raise GeometryError unless the sides meet at common ends only and enclose an area."""
    count, scale = len(sides), max(side.length for side in sides)
    if min(side.length for side in sides) <= NEAR * scale:
        raise GeometryError("Polygon: a point is given twice in a row; leave one out")
    for i, side in enumerate(sides):
        for j in range(i + 1, count):
            s = side.meetings(sides[j], NEAR * scale)
            next_to = [1.0] * (j == i + 1) + [0.0] * (i == 0 and j == count - 1)
            own = np.min(np.abs(s[:, None] - np.array([next_to or [9.0]])), axis=(1))
            strange = own * side.length > NEAR * scale
            if strange.any():
                x, y = side.at(s[strange][:1])[0]
                raise GeometryError(
                    f"Polygon crosses or touches itself at ({x:.6g}, {y:.6g}); reorder its points"
                )
    if abs(sum(side.area() for side in sides)) <= NEAR * scale**2:
        raise GeometryError("Polygon encloses no area; its points lie on a line")
