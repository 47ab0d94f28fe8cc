"""Graphs of scattered points in the plane: neighbours, areas, the Laplacian of a mesh.

With the cotangents of the angles opposite an edge and the Voronoi area A_i around a node,

    (L f)_i = (1 / A_i) sum_j w_ij (f_j - f_i),    w_ij = (cot alpha_ij + cot beta_ij) / 2.

In a Delaunay triangulation L is exact for linear functions at interior nodes, and for x^2 + y^2
where the boundary cuts no Voronoi cell off. Each second derivative by itself it finds in the mean
over nodes only: solutions of equations with L converge, its values at single nodes of irregular
meshes do not.

Source: Pinkall and Polthier, Experiment. Math. 2 (1993), section 2; areas and the rule for obtuse
triangles: Meyer, Desbrun, Schroeder and Barr, in "Visualization and Mathematics III" (2003),
section 3.3.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import scipy

from pinnkit.errors import GeometryError

JITTER = 1e-9
"""Displacement, in units of the extent, that decides between equally good triangulations."""
FLAT = 1e-8
"""Area of a triangle in units of its longest side squared, below which it is none."""


@dataclasses.dataclass(frozen=True, eq=False)
class PointGraph:
    """Points (N, 2) and the triangles between them.

    - `triangles` (T, 3): numbers of the corners, counter-clockwise.
    - `copies` (T, 3, 2): whole numbers of `periods` by which a corner is a copy of its point; zero
      where nothing is periodic.

    Raises GeometryError for triangles without area, or points that belong to none.
    """

    points: np.ndarray
    triangles: np.ndarray
    copies: np.ndarray
    periods: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        alone = len(self.points) - len(np.unique(self.triangles))
        flat = int(np.sum(self.double_areas <= 0))
        if alone or flat:
            raise GeometryError(
                f"{alone} of {len(self.points)} points belong to no triangle, and {flat} triangles "
                "have no area. Remove such points and duplicates."
            )

    @classmethod
    def of_triangles(cls, points: np.ndarray, triangles: np.ndarray) -> PointGraph:
        """The graph of a given mesh, whose triangles may turn either way."""
        points, triangles = np.asarray(points, float), np.asarray(triangles, int)
        turned = cross(points[triangles]) < 0
        triangles = np.where(turned[:, None], triangles[:, ::-1], triangles)
        return cls(points, triangles, np.zeros((*triangles.shape, 2), int))

    @classmethod
    def delaunay(cls, points: np.ndarray, periods: tuple[float, float] | None = None) -> PointGraph:
        """Delaunay triangulation; with `periods` that of all copies of the points.

        Raises GeometryError for fewer than three points, or too few for the periods.
        """
        points = np.asarray(points, float)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
            raise GeometryError(f"Points of shape {points.shape}: give (N, 2) with N at least 3.")
        if periods is not None:
            return cls(points, *_periodic(points, np.asarray(periods, float)), periods)
        triangles = np.asarray(scipy.spatial.Delaunay(points).simplices, int)
        corners = points[triangles]
        longest = np.sum(sides(corners) ** 2, axis=-1).max(axis=1)
        return cls.of_triangles(points, triangles[np.abs(cross(corners)) > 2 * FLAT * longest])

    @functools.cached_property
    def corners(self) -> np.ndarray:
        """Where the corners are, (T, 3, 2)."""
        scale = np.ones(2) if self.periods is None else np.asarray(self.periods)
        return self.points[self.triangles] + self.copies * scale

    @functools.cached_property
    def double_areas(self) -> np.ndarray:
        """Twice the area of each triangle, (T,)."""
        return cross(self.corners)

    @functools.cached_property
    def cotangents(self) -> np.ndarray:
        """Cotangent of the angle at each corner, (T, 3)."""
        s = sides(self.corners)
        dots = -np.sum(np.roll(s, -1, axis=1) * np.roll(s, -2, axis=1), axis=-1)
        return dots / self.double_areas[:, None]

    @functools.cached_property
    def _links(self) -> Links:
        first, second = ([1, 2, 0], [2, 0, 1])
        ends = np.stack([self.triangles[:, first], self.triangles[:, second]], -1)
        moves = (self.copies[:, second] - self.copies[:, first]).reshape(-1, 2)
        offsets, ends = sides(self.corners).reshape(-1, 2), ends.reshape(-1, 2)
        both = np.concatenate([ends, ends[:, ::-1]])
        keys = np.concatenate([both, np.concatenate([moves, -moves])], axis=1)
        _, place, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        which = which.ravel()
        weights = np.bincount(which, np.tile(self.cotangents.ravel() / 2, 2))
        return Links(
            both[place, 0],
            both[place, 1],
            np.concatenate([offsets, -offsets])[place],
            weights,
            np.bincount(which),
            which.reshape(2, -1, 3),
        )

    @property
    def receivers(self) -> np.ndarray:
        """Node i of each directed edge, (E,), ascending."""
        return self._links.receivers

    @property
    def senders(self) -> np.ndarray:
        """Node j of each directed edge, (E,)."""
        return self._links.senders

    @property
    def offsets(self) -> np.ndarray:
        """x_j - x_i, (E, 2), beside the period those of copies."""
        return self._links.offsets

    @property
    def weights(self) -> np.ndarray:
        """w_ij, (E,)."""
        return self._links.weights

    @functools.cached_property
    def boundary(self) -> np.ndarray:
        """Whether a node ends an edge of one triangle only, (N,)."""
        found = np.zeros(len(self.points), bool)
        found[self.receivers[self._links.count == 1]] = True
        return found

    @functools.cached_property
    def areas(self) -> np.ndarray:
        """Area around each node, (N,): they add up to that of all triangles.

        That of the Voronoi cell; a triangle that is obtuse opposite an edge beyond which these do
        not go on (at a boundary, or where a given mesh is not Delaunay) gives half of its area to
        the obtuse corner and a quarter to each of the others.
        """
        part = np.sum(sides(self.corners) ** 2, axis=-1) * self.cotangents / 8
        shares = part.sum(axis=1, keepdims=True) - part
        obtuse = (self.cotangents < 0) & self._cut_off
        ruled = np.where(obtuse, 0.25, 0.125) * self.double_areas[:, None]
        shares = np.where(np.any(obtuse, axis=1, keepdims=True), ruled, shares)
        return np.bincount(self.triangles.ravel(), shares.ravel(), len(self.points))

    @property
    def _cut_off(self) -> np.ndarray:
        """Whether the Voronoi diagram does not go on beyond the edge opposite each corner, (T, 3).

        Its weight is negative, or the triangle behind it follows the rule of obtuse ones.
        """
        edges = self._links.opposite
        cut = np.zeros(len(self.weights), bool)
        cut[self.weights < 0] = True
        while True:
            ruled = ((self.cotangents < 0) & cut[edges[0]]).any(axis=1)
            further = cut.copy()
            further[edges[:, ruled]] = True
            if np.array_equal(further, cut):
                return cut[edges[0]]
            cut = further

    def laplacian(self) -> scipy.sparse.csr_array:
        """The matrix L (N, N) above; its rows sum to zero."""
        n = len(self.points)
        entries = self.weights / self.areas[self.receivers]
        off = scipy.sparse.csr_array((entries, (self.receivers, self.senders)), (n, n))
        diagonal = np.bincount(self.receivers, entries, n)
        return scipy.sparse.csr_array(off - scipy.sparse.diags_array(diagonal))


class Links(NamedTuple):
    """Directed edges, sorted: ends, offsets, weights, numbers of triangles that share each, and the
    edge opposite each corner in either direction (2, T, 3)."""

    receivers: np.ndarray
    senders: np.ndarray
    offsets: np.ndarray
    weights: np.ndarray
    count: np.ndarray
    opposite: np.ndarray


def sides(corners: np.ndarray) -> np.ndarray:
    """Side opposite each corner, from the next corner to the one after it: (T, 3, 2)."""
    return np.roll(corners, -2, axis=1) - np.roll(corners, -1, axis=1)


def cross(corners: np.ndarray) -> np.ndarray:
    """Twice the signed area of triangles (T, 3, 2)."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _periodic(points: np.ndarray, periods: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles and copies of the triangulation of all copies of the points, each once."""
    n = len(points)
    # all copies are displaced alike, so that squares are cut in the same way everywhere
    jitter = JITTER * periods * np.random.default_rng(0).uniform(-1, 1, points.shape)
    cells = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    inside = points - np.floor((points - points.min(axis=0)) / periods) * periods + jitter
    tiled = (inside[None] + cells[:, None] * periods).reshape(-1, 2)
    found = np.asarray(scipy.spatial.Delaunay(tiled).simplices, int)
    found = np.where((cross(tiled[found]) < 0)[:, None], found[:, ::-1], found)
    owner, cell = found % n, cells[found // n]
    # the corner with the lowest number comes first, and lies in the middle cell
    first = np.argmin(owner, axis=1)[:, None]
    order = (first + np.arange(3)) % 3
    owner = np.take_along_axis(owner, order, axis=1)
    cell = np.take_along_axis(cell, order[..., None], axis=1)
    middle = (cell[:, 0] == 0).all(axis=1)
    owner, cell = owner[middle], cell[middle]
    moved = np.rint((inside - jitter - points) / periods).astype(int)
    if len(owner) != 2 * n:
        raise GeometryError(
            f"{n} points do not fill a periodic cell of {periods[0]:g} by {periods[1]:g}: their "
            "triangles reach beyond the next copy. Add points."
        )
    return owner, cell + moved[owner]


def within(
    targets: np.ndarray,
    sources: np.ndarray,
    radius: float,
    periods: tuple[float, ...] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of targets (N, d) and sources (M, d) no farther than `radius` from each other.

    Numbers of targets, ascending, of sources, and the offsets from the former to the latter. With
    `periods` those to the nearest copies. Raises GeometryError for a radius of half a period.
    """
    targets, sources = np.asarray(targets, float), np.asarray(sources, float)
    size = None if periods is None else np.asarray(periods, float)
    if size is not None and 2 * radius >= size.min():
        raise GeometryError(
            f"A radius of {radius:g} reaches around periods of {periods}. Give one below "
            f"{size.min() / 2:g}."
        )
    fold = (lambda x: x) if size is None else (lambda x: np.mod(np.mod(x, size), size))
    tree = scipy.spatial.KDTree(fold(sources), boxsize=size)
    found = tree.query_ball_point(fold(targets), radius, return_sorted=True)
    receivers = np.repeat(np.arange(len(targets)), [len(f) for f in found])
    senders = np.concatenate([np.asarray(f, int) for f in found])
    offsets = sources[senders] - targets[receivers]
    if size is not None:
        offsets = offsets - np.rint(offsets / size) * size
    return receivers, senders, offsets
