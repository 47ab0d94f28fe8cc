"""Topology and point location of triangulations, on plain arrays.

`vertices` are (V, 2) floats, `triangles` (T, 3) and `edges` (E, 2) vertex numbers.
"""

from __future__ import annotations

import numpy as np

from pinnkit.errors import GeometryError


def signed_areas(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Area of each triangle, (T,), positive where its corners run counter-clockwise."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    return 0.5 * _cross(b - a, c - a)


def _cross(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]


def boundary_edges(triangles: np.ndarray) -> np.ndarray:
    """Edges that belong to one triangle only, (E, 2), directed with the interior on their left.

    Expects counter-clockwise triangles.

    Raises:
        GeometryError: where three or more triangles share an edge.
    """
    directed = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    _, first, counts = np.unique(
        np.sort(directed, axis=1), axis=0, return_index=True, return_counts=True
    )
    if counts.max() > 2:
        raise GeometryError(
            f"{int(np.sum(counts > 2))} edges are shared by more than two triangles; "
            "remove overlapping or duplicate triangles from the mesh"
        )
    return directed[np.sort(first[counts == 1])]


def direct_edges(edges: np.ndarray, boundary: np.ndarray) -> tuple[np.ndarray, bool]:
    """Give `edges` the direction they have in `boundary`; also tell whether all lie on it."""
    directions = {tuple(sorted(edge)): tuple(edge) for edge in boundary.tolist()}
    pairs = [tuple(sorted(edge)) for edge in edges.tolist()]
    on_boundary = all(pair in directions for pair in pairs)
    return np.array([directions.get(pair, pair) for pair in pairs], dtype=int), on_boundary


def edge_normals(vertices: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Unit normals (E, 2) to the right of each directed edge: outward on a boundary."""
    along = vertices[edges[:, 1]] - vertices[edges[:, 0]]
    right = np.stack([along[:, 1], 0.0 - along[:, 0]], axis=1)
    return right / np.linalg.norm(along, axis=1, keepdims=True)


def nearest_edge(
    vertices: np.ndarray, edges: np.ndarray, points: np.ndarray, chunk: int = 1024
) -> tuple[np.ndarray, np.ndarray]:
    """Number of the edge nearest to each of `points` (n, 2), and the distance from it, (n,)."""
    start = vertices[edges[:, 0]]
    along = vertices[edges[:, 1]] - start
    length2 = np.sum(along**2, axis=1)
    index, distance = np.empty(len(points), dtype=int), np.empty(len(points))
    for low in range(0, len(points), chunk):
        offset = points[low : low + chunk, None, :] - start[None]
        place = np.clip(np.sum(offset * along[None], axis=2) / length2[None], 0.0, 1.0)
        gaps = np.linalg.norm(offset - place[..., None] * along[None], axis=2)
        index[low : low + chunk] = np.argmin(gaps, axis=1)
        distance[low : low + chunk] = np.min(gaps, axis=1)
    return index, distance


def hilbert_keys(points: np.ndarray, levels: int = 16) -> np.ndarray:
    """Place of each of `points` (n, 2) along a Hilbert curve through their bounding box, (n,)."""
    low = points.min(axis=0)
    extent = np.ptp(points, axis=0).max() or 1.0
    x, y = ((points - low) / extent * (2**levels - 1)).astype(np.int64).T
    keys = np.zeros(len(points), dtype=np.int64)
    for level in reversed(range(levels)):
        right, upper = (x >> level) & 1, (y >> level) & 1
        keys += ((3 * right) ^ upper) << (2 * level)
        # The curve enters each quadrant turned, so that its pieces join end to end.
        flip = (upper == 0) & (right == 1)
        side = (1 << level) - 1
        x, y = x & side, y & side
        x, y = np.where(flip, side - x, x), np.where(flip, side - y, y)
        x, y = np.where(upper == 0, y, x), np.where(upper == 0, x, y)
    return keys


class Locator:
    """Finds the triangle that holds a point, through a grid of bins over the bounding box."""

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray):
        self._corners = vertices[triangles]
        self._lower = vertices.min(axis=0)
        side = max(1, int(np.sqrt(len(triangles))))
        self._shape = np.array([side, side])
        self._width = (vertices.max(axis=0) - self._lower) / self._shape
        owners, bins = self._cover()
        order = np.argsort(bins, kind="stable")
        self._owners = owners[order]
        self._starts = np.searchsorted(bins[order], np.arange(side * side + 1))

    def _cells(self, points: np.ndarray) -> np.ndarray:
        cells = np.floor((points - self._lower) / self._width).astype(int)
        return np.clip(cells, 0, self._shape - 1)

    def _cover(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (triangle, bin) of all bins that the bounding box of a triangle touches."""
        margin = 1e-6 * self._width
        low = self._cells(self._corners.min(axis=1) - margin)
        high = self._cells(self._corners.max(axis=1) + margin)
        spans = high - low + 1
        counts = spans.prod(axis=1)
        owners = np.repeat(np.arange(len(counts)), counts)
        within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        row = low[owners, 0] + within // spans[owners, 1]
        column = low[owners, 1] + within % spans[owners, 1]
        return owners, row * self._shape[1] + column

    def find(self, points: np.ndarray, tol: float) -> tuple[np.ndarray, np.ndarray]:
        """Triangle of each of `points` (n, 2), -1 outside, and barycentric coordinates (n, 3).

        `tol` is how far outside, in units of length, a point may lie and still count.
        """
        cells = self._cells(points)
        bins = cells[:, 0] * self._shape[1] + cells[:, 1]
        start, stop = self._starts[bins], self._starts[bins + 1]
        found = np.full(len(points), -1)
        best = np.zeros((len(points), 3))
        depth = np.full(len(points), -np.inf)
        for turn in range(int((stop - start).max(initial=0))):
            rows = np.flatnonzero(start + turn < stop)
            owner = self._owners[start[rows] + turn]
            coordinates, inside = _barycentric(self._corners[owner], points[rows])
            better = (inside > depth[rows]) & (inside >= -tol)
            rows = rows[better]
            found[rows], best[rows] = owner[better], coordinates[better]
            depth[rows] = inside[better]
        return found, best


def _barycentric(corners: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Barycentric coordinates (n, 3) and signed distance from the nearest side line, (n,)."""
    a, b, c = (corners[:, k] for k in range(3))
    double = _cross(b - a, c - a)
    parts = np.stack(
        [_cross(c - b, points - b), _cross(a - c, points - c), _cross(b - a, points - a)], axis=1
    )
    lengths = np.stack([np.linalg.norm(s, axis=1) for s in (c - b, a - c, b - a)], axis=1)
    return parts / double[:, None], np.min(parts / lengths, axis=1)
