"""Collocation where experts' boxes stick out of a curved domain.

Equations are collocated inside the domain only, conditions on the exact curves cut at the edges
of the boxes, and continuity on those parts of shared faces that lie inside. A basis extends
smoothly beyond the boundary; nothing is asked of it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pinnkit.errors import GeometryError
from pinnkit.experts.layout import Boxes, Interface
from pinnkit.experts.points import EDGE_RATIO, Points, gauss_tensor
from pinnkit.geometry import Domain, PlaneDomain, Product
from pinnkit.geometry.curves import Curve
from pinnkit.geometry.domain import Region
from pinnkit.geometry.mesh_regions import CellRegion
from pinnkit.geometry.plane import CurveRegion, Hole

TRIAL_NODES = 32
MOST_RAISED = 16.0
"""A part of a box smaller than 1/256 of it gets fewer points than features."""

SHORTEST = 0.35
"""A short piece of boundary gets this share of the points of a whole side."""

RING = 4.0
"""How far around small holes points are denser, in radii."""

SMALL = 0.15
"""Holes of a radius below this share of a box's shorter side get rings of points."""

NEAR = 1e-9


@dataclass(frozen=True)
class Footprint:
    """The factor of a domain that is bounded by curves, and its place among the axes."""

    plane: PlaneDomain
    axes: tuple[int, ...]

    def others(self, dim: int) -> list[int]:
        return [i for i in range(dim) if i not in self.axes]

    def bounds(self, region: Region) -> bool:
        """Whether a region is the whole plane factor or lies on its boundary."""
        if isinstance(region, CellRegion):
            return False
        return all(self.bounds(factor) for factor in getattr(region, "factors", ()))

    def curves(self, region: Region) -> tuple[Curve, ...] | None:
        """The curves of a region, None where it fills the plane factor."""
        if isinstance(region, CurveRegion):
            return region.curves
        for factor in getattr(region, "factors", ()):
            found = self.curves(factor)
            if found is not None:
                return found
        return None


def footprint(domain: Domain) -> Footprint | None:
    """The plane factor of a domain that is one, or a product with one; else None."""
    if isinstance(domain, PlaneDomain):
        return Footprint(domain, (0, 1))
    if isinstance(domain, Product):
        first, second = footprint(domain.first), footprint(domain.second)
        if first is not None:
            return first
        if second is not None:
            shift = len(domain.first.axes)
            return Footprint(second.plane, tuple(i + shift for i in second.axes))
    return None


def meeting(domain: Domain, boxes: Boxes) -> Boxes:
    """The boxes that have points of the domain inside.

    Raises:
        GeometryError: where there are none.
    """
    found = footprint(domain)
    if found is None:
        return boxes
    keep = np.array([_Cell.of(found, boxes, k).meets for k in range(boxes.count)])
    if not keep.any():
        raise GeometryError("No expert lies in the domain. Give a layout that covers it.")
    return boxes if keep.all() else Boxes(boxes.lower[keep], boxes.upper[keep])


@dataclass(frozen=True)
class _Cell:
    """The rectangle of one box and the boundary within it."""

    plane: PlaneDomain
    lower: np.ndarray
    upper: np.ndarray

    @classmethod
    def of(cls, found: Footprint, boxes: Boxes, k: int) -> _Cell:
        axes = list(found.axes)
        return cls(found.plane, boxes.lower[k, axes], boxes.upper[k, axes])

    def pieces(self, curves: Sequence[Curve]) -> list[Curve]:
        """Pieces of `curves` with the rectangle, or its face, on their inner side."""
        near = NEAR * (self.upper - self.lower).max()
        kept = []
        for curve in curves:
            lines = [
                curve.crossings(axis, value)
                for axis in (0, 1)
                for value in (self.lower[axis], self.upper[axis])
            ]
            for piece in curve.cut(np.concatenate(lines)):
                middle = np.array([0.5])
                inward = (piece.at(middle) - 2.0 * near * piece.normal(middle))[0]
                if (inward > self.lower).all() and (inward < self.upper).all():
                    kept.append(piece)
        return kept

    @property
    def _near(self) -> float:
        return NEAR * float((self.upper - self.lower).max())

    @property
    def cut(self) -> bool:
        """Whether the boundary passes through the inside."""
        for piece in self.pieces(self.plane.curves):
            middle = piece.at(np.array([0.5]))[0]
            depth = np.minimum(middle - self.lower, self.upper - middle).min()
            if depth > 4.0 * self._near:
                return True
        return False

    @property
    def meets(self) -> bool:
        centre = 0.5 * (self.lower + self.upper)[None, :]
        return bool(self.pieces(self.plane.curves)) or bool(self.plane.strictly(centre, 0.0)[0])

    def hull(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounding box of the part of the rectangle inside the domain."""
        places = []
        for piece in self.pieces(self.plane.curves):
            stops = np.concatenate([[0.0, 1.0], piece.extrema(0), piece.extrema(1)])
            places.append(piece.at(stops))
        ends = np.stack([self.lower, self.upper])
        corners = np.array([[ends[i, 0], ends[j, 1]] for i in (0, 1) for j in (0, 1)])
        places.append(corners[self.plane.contains(corners)])
        everything = np.clip(np.concatenate(places), self.lower, self.upper)
        return everything.min(axis=0), everything.max(axis=0)

    def volume(self, nodes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 2) of the plane and weights; about as many as an uncut box would have.

        Around holes that are small against the rectangle, rings of more points: the weights there
        are the means of both rules.
        """
        low, high = self.hull()
        trial, _ = gauss_tensor((TRIAL_NODES, TRIAL_NODES))
        inside = self.plane.strictly(_spread(trial, low, high), 0.0).mean()
        raised = min(1.0 / max(float(inside), 1e-6), MOST_RAISED**2) ** 0.5
        xi, weights = gauss_tensor([int(np.ceil(raised * q)) for q in nodes])
        points, weights = _spread(xi, low, high), weights * 0.25 * float(np.prod(high - low))
        small = self._small_holes()
        count = min(nodes) / max(len(small), 1) ** 0.5
        for hole in small:
            ring, ring_weights = _ring(hole, count)
            within = np.linalg.norm(points - np.asarray(hole.centre), axis=1)
            shared = within < RING * hole.radius
            points = np.concatenate([points, ring])
            weights = np.concatenate([np.where(shared, 0.5 * weights, weights), 0.5 * ring_weights])
        keep = self.plane.strictly(points, 0.0)
        keep &= ((points >= self.lower) & (points <= self.upper)).all(axis=1)
        return points[keep], weights[keep]

    def _small_holes(self) -> list[Hole]:
        """Holes that reach into the rectangle and are small against it."""
        side = float((self.upper - self.lower).min())
        found = []
        for hole in self.plane.holes:
            centre = np.asarray(hole.centre)
            gap = np.linalg.norm(centre - np.clip(centre, self.lower, self.upper))
            if hole.radius < SMALL * side and gap < hole.radius:
                found.append(hole)
        return found

    def boundary(
        self, curves: Sequence[Curve], nodes: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points (N, 2) on `curves` within the rectangle, their weights and normals."""
        points, weights, normals = [np.zeros((0, 2))], [np.zeros(0)], [np.zeros((0, 2))]
        side = float((self.upper - self.lower).max())
        for piece in self.pieces(curves):
            share = np.clip(max(piece.length / side, piece.turn / np.pi), SHORTEST, 2.0)
            s, w = piece.rule(int(np.ceil(EDGE_RATIO * share * max(nodes))))
            points.append(piece.at(s))
            weights.append(w)
            normals.append(piece.normal(s))
        return np.concatenate(points), np.concatenate(weights), np.concatenate(normals)


def _ring(hole: Hole, count: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights between a hole and `RING` times its radius, dense near the hole."""
    xi, w = gauss_tensor([max(int(np.ceil(0.5 * count)), 4)])
    turns = max(int(np.ceil(count)), 8)
    low = 1.0 / RING
    share = low + 0.5 * (1.0 - low) * (xi[:, 0] + 1.0)
    radius = hole.radius / share
    angle = 2.0 * np.pi * (np.arange(turns) + 0.5) / turns
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.asarray(hole.centre) + radius[:, None, None] * circle[None]
    # r dr = r0^2 / share^3 d share
    weights = 0.5 * (1.0 - low) * w * hole.radius**2 / share**3 * 2.0 * np.pi / turns
    return points.reshape(-1, 2), np.repeat(weights, turns)


def _spread(xi: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return 0.5 * (low + high) + 0.5 * (high - low) * xi


def volume_points(found: Footprint, boxes: Boxes, nodes: Sequence[int]) -> Points:
    """Points inside the domain, about as many in every box as in one that is not cut."""
    plane_nodes = [nodes[i] for i in found.axes]
    xi, weights = gauss_tensor(plane_nodes)
    parts = []
    for k in range(boxes.count):
        cell = _Cell.of(found, boxes, k)
        if cell.cut:
            points, w = cell.volume(plane_nodes)
            local = _local(points, cell)
        elif cell.meets:
            local, w = xi, weights * float(np.prod(cell.upper - cell.lower)) / 4.0
        else:
            continue
        parts.append(
            _extended(found, boxes, k, local, w, [nodes[i] for i in _others(found, boxes)])
        )
    return _stacked(parts, boxes)


def _others(found: Footprint, boxes: Boxes) -> list[int]:
    return found.others(boxes.dim)


def _local(points: np.ndarray, cell: _Cell) -> np.ndarray:
    return (2.0 * points - (cell.upper + cell.lower)) / (cell.upper - cell.lower)


def _extended(
    found: Footprint,
    boxes: Boxes,
    k: int,
    plane: np.ndarray,
    weights: np.ndarray,
    counts: Sequence[int],
    fixed: dict[int, float] | None = None,
) -> tuple[int, np.ndarray, np.ndarray]:
    """Local points of box k: those of the plane times Gauss's rule on its other axes.

    `fixed` gives the local coordinate of axes that do not vary.
    """
    fixed = fixed or {}
    others = _others(found, boxes)
    free = [i for i in others if i not in fixed]
    xi, w = gauss_tensor([c for i, c in zip(others, counts, strict=True) if i not in fixed])
    local = np.zeros((len(plane) * len(xi), boxes.dim))
    local[:, list(found.axes)] = np.repeat(plane, len(xi), axis=0)
    local[:, free] = np.tile(xi, (len(plane), 1))
    for axis, value in fixed.items():
        local[:, axis] = value
    size = float(np.prod(boxes.half[k, free]))
    return k, local, np.outer(weights, w).ravel() * size


def _stacked(parts: list[tuple[int, np.ndarray, np.ndarray]], boxes: Boxes) -> Points:
    if not parts:
        parts = [(0, np.zeros((0, boxes.dim)), np.zeros(0))]
    owner = np.concatenate([np.full(len(local), k) for k, local, _ in parts])
    local = np.concatenate([local for _, local, _ in parts])
    weights = np.concatenate([w for _, _, w in parts])
    return Points(owner, local, boxes.physical(owner, local), weights)


def region_points(found: Footprint, region: Region, boxes: Boxes, nodes: Sequence[int]) -> Points:
    """Points on one smooth part of the boundary, or of the domain at one end of time."""
    axes = region.axes
    dense = [int(np.ceil(EDGE_RATIO * q)) for q in nodes]
    curves = found.curves(region)
    parts, directions = [], []
    for k in range(boxes.count):
        cell = _Cell.of(found, boxes, k)
        fixed = _fixed(region, boxes, k, axes)
        if fixed is None or not cell.meets:
            continue
        counts = [dense[i] for i in _others(found, boxes)]
        if curves is None:
            xi, w = gauss_tensor([dense[i] for i in found.axes])
            if cell.cut:
                points, w = cell.volume([dense[i] for i in found.axes])
                xi = _local(points, cell)
            else:
                w = w * float(np.prod(cell.upper - cell.lower)) / 4.0
            parts.append(_extended(found, boxes, k, xi, w, counts, fixed))
            continue
        points, w, normals = cell.boundary(curves, [nodes[i] for i in found.axes])
        parts.append(_extended(found, boxes, k, _local(points, cell), w, counts, fixed))
        copies = len(parts[-1][1]) // max(len(points), 1)
        directions.append(np.repeat(normals, copies, axis=0))
    placed = _stacked(parts, boxes)
    return _with_normals(placed, found, region, directions, curves is not None)


def _fixed(region: Region, boxes: Boxes, k: int, axes: tuple[str, ...]) -> dict[int, float] | None:
    """Local coordinates of the axes that are constant on the region; None if not in box k."""
    result = {}
    for name, value in region.fixed.items():
        axis = axes.index(name)
        if name == region.time and region.name == "initial":
            value = float(boxes.lower[:, axis].min())
        ends = {-1.0: boxes.lower[k, axis], 1.0: boxes.upper[k, axis]}
        near = NEAR * float(boxes.upper[:, axis].max() - boxes.lower[:, axis].min())
        sides = [side for side, end in ends.items() if abs(end - value) <= near]
        if not sides:
            return None
        result[axis] = sides[0]
    return result


def _with_normals(
    points: Points, found: Footprint, region: Region, plane: list[np.ndarray], curved: bool
) -> Points:
    if region.time is not None and region.time in region.fixed:
        return points
    if not curved:
        normals = region.normals(points.physical)
    else:
        space = [i for i, axis in enumerate(region.axes) if axis != region.time]
        normals = np.zeros((len(points.owner), len(space)))
        columns = [space.index(i) for i in found.axes]
        normals[:, columns] = np.concatenate([np.zeros((0, 2)), *plane])
    return Points(points.owner, points.local, points.physical, points.weights, normals)


def face_points(
    found: Footprint, boxes: Boxes, face: Interface, nodes: Sequence[int]
) -> np.ndarray | None:
    """Points (N, d) of a shared face inside the domain; None for faces across other axes."""
    if face.axis not in found.axes:
        return None
    along = found.axes[1 - found.axes.index(face.axis)]
    low, high = np.asarray(face.lower), np.asarray(face.upper)
    whole = high[along] - low[along]
    others = _others(found, boxes)
    xi, _ = gauss_tensor([int(np.ceil(EDGE_RATIO * nodes[i])) for i in others])
    parts = [np.zeros((0, boxes.dim))]
    for a, b in found.plane.section(found.axes.index(face.axis), low[face.axis]):
        start, stop = max(a, low[along]), min(b, high[along])
        if stop - start <= NEAR * whole:
            continue
        share = max((stop - start) / whole, SHORTEST)
        s, _ = gauss_tensor([int(np.ceil(EDGE_RATIO * share * nodes[along]))])
        points = np.tile(low, (len(s) * len(xi), 1))
        points[:, along] = np.repeat(0.5 * (start + stop) + 0.5 * (stop - start) * s[:, 0], len(xi))
        middle, half = 0.5 * (low + high)[others], 0.5 * (high - low)[others]
        points[:, others] = np.tile(middle + half * xi, (len(s), 1))
        parts.append(points)
    return np.concatenate(parts)
