"""A plane domain cut into strips along its second axis, between which its curves run as graphs.

In a strip a < y < b the domain is the union of a few sets l_i(y) < x < r_i(y). This gives
quadrature and an area-preserving map of the unit square without any triangulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pinnkit.errors import GeometryError
from pinnkit.geometry.curves import Curve
from pinnkit.geometry.sampling import gauss_unit

TABLE = 256
EXTRA_NODES = 8


@dataclass(frozen=True)
class Graph:
    """x as a function of y along one curve, low <= y <= high."""

    curve: Curve
    low: float
    high: float


@dataclass(frozen=True)
class Strip:
    """`low` < y < `high`; `graphs` bound the domain from the left and the right in turn."""

    low: float
    high: float
    graphs: tuple[Graph, ...]

    def edges(self, y: np.ndarray) -> np.ndarray:
        """Ends of the intervals in x, (N, M, 2)."""
        x = np.stack([g.curve.across(y) for g in self.graphs], axis=1)
        return x.reshape(len(y), len(self.graphs) // 2, 2)

    def rule(self, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights in y.

        Near the top or bottom e of an arc its x behaves like sqrt(|y - e|); y = e + c sin^2 makes
        it smooth in the new variable, whether or not the strip reaches e.
        """
        levels = np.array([g.curve.levels for g in self.graphs])
        reach = 9.0 * (self.high - self.low)
        below = max(levels[:, 0].max(), self.low - reach)
        above = min(levels[:, 1].min(), self.high + reach)
        if not np.isfinite(levels).any():
            s, weights = gauss_unit(nodes)
            return self.low + (self.high - self.low) * s, weights * (self.high - self.low)
        s, weights = gauss_unit(nodes + EXTRA_NODES)
        height = above - below
        ends = np.arcsin(np.sqrt(np.clip((np.array([self.low, self.high]) - below) / height, 0, 1)))
        phi = ends[0] + (ends[1] - ends[0]) * s
        y = below + height * np.sin(phi) ** 2
        return y, weights * (ends[1] - ends[0]) * height * np.sin(2.0 * phi)


class Strips:
    """All strips of a domain with boundary `curves`; heights closer than `near` are one."""

    def __init__(self, curves: Sequence[Curve], near: float):
        graphs = [g for curve in curves for g in _graphs(curve, near)]
        heights = np.sort([h for g in graphs for h in (g.low, g.high)])
        heights = heights[np.concatenate([[True], np.diff(heights) > 4.0 * near])]
        strips = []
        for low, high in zip(heights[:-1].tolist(), heights[1:].tolist(), strict=True):
            middle = 0.5 * (low + high)
            crossing = [g for g in graphs if g.low < middle < g.high]
            # graphs may touch at one height, but do not cross
            places = low + (high - low) * np.array([0.3, 0.5, 0.7])
            crossing.sort(key=lambda g, y=places: float(g.curve.across(y).sum()))
            if len(crossing) % 2:
                raise GeometryError(
                    f"the boundary is not closed at height {middle:.6g}: two of its curves "
                    "almost touch there; move one of them a little"
                )
            if crossing:
                strips.append(Strip(low, high, tuple(crossing)))
        self.strips = tuple(strips)

    def rule(self, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Points (N, 2) and weights (N,)."""
        s, along = gauss_unit(nodes)
        points, weights = [], []
        for strip in self.strips:
            y, w = strip.rule(nodes)
            edges = strip.edges(y)
            width = edges[:, :, 1] - edges[:, :, 0]
            x = edges[:, :, :1] + width[:, :, None] * s
            points.append(np.stack([x, np.broadcast_to(y[:, None, None], x.shape)], axis=3))
            weights.append((w[:, None, None] * width[:, :, None] * along).ravel())
        return np.concatenate([p.reshape(-1, 2) for p in points]), np.concatenate(weights)

    def _tables(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Heights and the area below them in each strip."""
        tables = []
        for strip in self.strips:
            y = strip.low + (strip.high - strip.low) * np.sin(np.linspace(0, np.pi / 2, TABLE)) ** 2
            edges = strip.edges(y)
            width = (edges[:, :, 1] - edges[:, :, 0]).sum(axis=1)
            area = np.concatenate([[0.0], np.cumsum(0.5 * (width[1:] + width[:-1]) * np.diff(y))])
            tables.append((y, area))
        return tables

    def place(self, unit: np.ndarray) -> np.ndarray:
        """Map the unit square (N, 2) onto the domain: y by its share of the area, x across."""
        tables = self._tables()
        areas = np.array([area[-1] for _, area in tables])
        ends = np.cumsum(areas)
        wanted = unit[:, 0] * ends[-1]
        index = np.minimum(np.searchsorted(ends, wanted, side="right"), len(ends) - 1)
        points = np.empty((len(unit), 2))
        for k, (strip, (heights, area)) in enumerate(zip(self.strips, tables, strict=True)):
            mine = index == k
            y = np.interp(wanted[mine] - (ends[k] - areas[k]), area, heights)
            edges = strip.edges(y)
            width = np.maximum(edges[:, :, 1] - edges[:, :, 0], 0.0)
            after = np.cumsum(width, axis=1)
            x = unit[mine, 1] * after[:, -1]
            which = np.minimum((x[:, None] >= after).sum(axis=1), after.shape[1] - 1)
            rows = np.arange(len(y))
            inside = x - (after[rows, which] - width[rows, which])
            points[mine] = np.stack([edges[rows, which, 0] + inside, y], axis=1)
        return points


def _graphs(curve: Curve, near: float) -> list[Graph]:
    found = []
    for piece in curve.cut(curve.extrema(1)):
        low, high = np.sort(piece.at(np.array([0.0, 1.0]))[:, 1]).tolist()
        if high - low > near:
            found.append(Graph(piece, low, high))
    return found
