"""Equal parts of a grid, which may overlap, and fields put together from those on the parts."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array


@dataclasses.dataclass(frozen=True)
class Parts:
    """A grid cut into `counts` parts along its axes, K in all, in order of rows.

    All parts along an axis have as many nodes. With `overlap` each goes on beyond the ends of its
    equal share by that much of it; those at the ends of the axis by twice as much at one end.
    """

    counts: tuple[int, ...]
    overlap: float = 0.0

    def nodes(self, n: int, count: int) -> np.ndarray:
        """Numbers of the nodes of every part of an axis of n nodes, (count, size)."""
        inner = n // count
        more = round(self.overlap * inner) if count > 1 else 0
        first = np.clip(np.arange(count) * inner - more, 0, n - inner - 2 * more)
        return first[:, None] + np.arange(inner + 2 * more)

    def shares(self, n: int, count: int) -> np.ndarray:
        """A partition of unity on an axis, (count, size, n): rising by sin^2 where parts overlap.

        Zero but at [k, i, nodes[k, i]], where it is the share of part k in that node.
        """
        nodes = self.nodes(n, count)
        common = nodes[:-1, -1] - nodes[1:, 0] + 1
        raw = np.ones(nodes.shape)
        for k, width in enumerate(common.tolist()):
            rise = np.sin(0.5 * np.pi * (np.arange(width) + 0.5) / max(width, 1)) ** 2
            raw[k + 1, :width] *= rise
            raw[k, nodes.shape[1] - width :] *= rise[::-1]
        found = np.zeros((*nodes.shape, n))
        np.put_along_axis(found, nodes[..., None], raw[..., None], axis=2)
        return found / found.sum(axis=(0, 1))

    def split(self, values: Any) -> Any:
        """(..., *grid) -> (K, ..., m), the nodes of every part in a row."""
        ndim = len(self.counts)
        first = values.ndim - ndim
        lead, grid = values.shape[:first], values.shape[first:]
        if self.overlap:
            for i, (n, count) in enumerate(zip(grid, self.counts, strict=True)):
                values = values.take(self.nodes(n, count), axis=first + 2 * i)
        else:
            pairs = [(p, n // p) for n, p in zip(grid, self.counts, strict=True)]
            values = values.reshape((*lead, *(size for pair in pairs for size in pair)))
        outer = [first + 2 * j for j in range(ndim)]
        nodes = [first + 2 * j + 1 for j in range(ndim)]
        moved = values.transpose(*outer, *range(first), *nodes)
        return moved.reshape(math.prod(self.counts), *lead, -1)

    def merge(self, values: Array, grid: tuple[int, ...]) -> Array:
        """(K, ..., m) -> (..., *grid): what each part has, or a mean of those that overlap."""
        ndim, lead = len(self.counts), values.shape[1:-1]
        sizes = [self.nodes(n, p).shape[1] for n, p in zip(grid, self.counts, strict=True)]
        apart = values.reshape(*self.counts, *lead, *sizes)
        order = [*range(ndim, ndim + len(lead))]
        for j in range(ndim):
            order += [j, ndim + len(lead) + j]
        apart = apart.transpose(*order)
        if not self.overlap:
            return apart.reshape(*lead, *grid)
        where = len(lead), len(lead) + 1
        for n, count in zip(grid, self.counts, strict=True):
            apart = jnp.tensordot(apart, self.shares(n, count), (where, (0, 1)))
        return apart

    def spread(self, values: Array, grid: tuple[int, ...]) -> Array:
        """(K, ..., m) -> (..., *grid): mean square distance of the parts from their mean."""
        mean = self.merge(values, grid)
        return self.merge((values - self.split(mean)) ** 2, grid)
