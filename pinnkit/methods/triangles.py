"""Where points lie in a triangulation."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.geometry.graph import PointGraph, cross

BLOCK = 256
"""Points that are sought in all triangles at once."""


class Triangles(eqx.Module):
    """Barycentric coordinates charts @ (x, y, 1), (T, 3, 3), and numbers of the corners (T, 3)."""

    charts: Array
    corners: Array
    lower: Array
    periods: Array | None

    @classmethod
    def of(cls, graph: PointGraph) -> Triangles:
        """All triangles, with periods those that overlap the cell from the lowest point on."""
        places, numbers = graph.corners, graph.triangles
        lower = graph.points.min(axis=0)
        if graph.periods is not None:
            size = np.asarray(graph.periods)
            cells = size * np.array([(i, j) for i in range(-2, 3) for j in range(-2, 3)])
            places = (places[None] + cells[:, None, None]).reshape(-1, 3, 2)
            numbers = np.tile(numbers, (len(cells), 1))
            over = (places.max(axis=1) >= lower) & (places.min(axis=1) <= lower + size)
            places, numbers = places[over.all(axis=1)], numbers[over.all(axis=1)]
        ones = np.ones((*places.shape[:2], 1))
        charts = np.linalg.inv(np.swapaxes(np.concatenate([places, ones], axis=-1), 1, 2))
        assert np.all(cross(places) > 0)
        periods = None if graph.periods is None else jnp.asarray(np.asarray(graph.periods))
        return cls(jnp.asarray(charts), jnp.asarray(numbers), jnp.asarray(lower), periods)

    def find(self, points: Array) -> tuple[Array, Array]:
        """Corners (P, 3) of the triangle around each point (P, 2), and barycentric coordinates.

        Beyond all triangles those of the nearest are extrapolated.
        """
        if self.periods is not None:
            points = self.lower[None] + jnp.mod(points - self.lower[None], self.periods[None])

        def one(point: Array) -> tuple[Array, Array]:
            shares = self.charts @ jnp.append(point, jnp.ones((), point.dtype))
            best = jnp.argmax(jnp.min(shares, axis=1))
            return self.corners[best], shares[best]

        return jax.lax.map(one, points, batch_size=BLOCK)
