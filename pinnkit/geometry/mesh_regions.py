"""Regions of a triangulation: sets of triangles and sets of edges."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from pinnkit.geometry import triangles as tri
from pinnkit.geometry.domain import Region
from pinnkit.geometry.sampling import Order, gauss_triangle, gauss_unit, order_along


class CellRegion(Region):
    """Cells of one kind, sampled in proportion to their measure."""

    def __init__(self, name: str, axes: tuple[str, ...], vertices: np.ndarray, cells: np.ndarray):
        self.name, self.axes, self.time = name, axes, None
        # Neighbours in the list should be neighbours in the plane: then a low-discrepancy
        # sequence along the list is one in the plane too.
        centres = vertices[cells].mean(axis=1)
        self.vertices, self.cells = vertices, cells[np.argsort(tri.hilbert_keys(centres))]
        self._measures = self._cell_measures()
        self._ends = np.cumsum(self._measures) / self._measures.sum()

    @abstractmethod
    def _cell_measures(self) -> np.ndarray:
        """Area or length of each cell, (cells,)."""

    @property
    def dim(self) -> int:
        return self.cells.shape[1] - 1

    @property
    def unit_dim(self) -> int:
        return self.cells.shape[1]

    @property
    def measure(self) -> float:
        return float(self._measures.sum())

    def _choose(self, along: np.ndarray) -> np.ndarray:
        """The cell at each place in [0, 1) along the list of cells laid end to end."""
        return np.minimum(np.searchsorted(self._ends, along, side="right"), len(self._ends) - 1)

    def _points(self, barycentric: np.ndarray) -> np.ndarray:
        corners = self.vertices[self.cells]
        return np.einsum("qk,ckd->cqd", barycentric, corners).reshape(-1, 2)

    def _order(self, order: Order) -> int:
        return max(order_along(order, axis) for axis in self.axes)


class TriangleRegion(CellRegion):
    """A set of triangles."""

    def _cell_measures(self) -> np.ndarray:
        return np.abs(tri.signed_areas(self.vertices, self.cells))

    def place(self, unit: np.ndarray) -> np.ndarray:
        corners = self.vertices[self.cells[self._choose(unit[:, 0])]]
        # (1 - sqrt r, sqrt r (1 - s), sqrt r s) is uniform on a triangle.
        root, share = np.sqrt(unit[:, 1]), unit[:, 2]
        weights = np.stack([1.0 - root, root * (1.0 - share), root * share], axis=1)
        return np.einsum("nk,nkd->nd", weights, corners)

    def quadrature(self, order: Order) -> tuple[np.ndarray, np.ndarray]:
        barycentric, weights = gauss_triangle(self._order(order))
        return self._points(barycentric), np.outer(self._measures, weights).ravel()

    def distance(self, points: np.ndarray) -> np.ndarray:
        edges = tri.boundary_edges(self.cells)
        _, distance = tri.nearest_edge(self.vertices, edges, points)
        inside, _ = tri.Locator(self.vertices, self.cells).find(points, 0.0)
        return np.where(inside >= 0, 0.0, distance)


class EdgeRegion(CellRegion):
    """A set of edges; `outer` where all lie on the boundary and so have an outward side."""

    def __init__(
        self,
        name: str,
        axes: tuple[str, ...],
        vertices: np.ndarray,
        cells: np.ndarray,
        outer: bool,
    ):
        super().__init__(name, axes, vertices, cells)
        self.outer = outer

    def _cell_measures(self) -> np.ndarray:
        return np.linalg.norm(np.diff(self.vertices[self.cells], axis=1)[:, 0], axis=1)

    @property
    def unit_dim(self) -> int:
        return 1

    def place(self, unit: np.ndarray) -> np.ndarray:
        index = self._choose(unit[:, 0])
        start, stop = np.moveaxis(self.vertices[self.cells[index]], 1, 0)
        begin = self._ends[index] - self._measures[index] / self.measure
        along = np.clip((unit[:, 0] - begin) * self.measure / self._measures[index], 0.0, 1.0)
        return start + along[:, None] * (stop - start)

    def quadrature(self, order: Order) -> tuple[np.ndarray, np.ndarray]:
        nodes, weights = gauss_unit(self._order(order))
        barycentric = np.stack([1.0 - nodes, nodes], axis=1)
        return self._points(barycentric), np.outer(self._measures, weights).ravel()

    def distance(self, points: np.ndarray) -> np.ndarray:
        return tri.nearest_edge(self.vertices, self.cells, points)[1]

    def normals(self, points: np.ndarray) -> np.ndarray:
        """Outward normals of the edge nearest to each point."""
        if not self.outer:
            return super().normals(points)
        index, _ = tri.nearest_edge(self.vertices, self.cells, points)
        return tri.edge_normals(self.vertices, self.cells)[index]
