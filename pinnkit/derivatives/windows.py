"""Local Lagrange interpolation on consecutive nodes of an axis."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """Windows of `width` consecutive nodes, one for each start index.

    - `nodes` (s, w): node coordinates of window s; `coefficients` (s, w): 1 / prod_m (x_j - x_m),
      with differences divided by `scale` (s,), so that products stay of order one.
    - `locate(x, xp)`: index of the window for coordinate x, by the array module `xp`.

    The Lagrange polynomials are formed as products, which are smooth everywhere (also at nodes),
    so that values may be differentiated with respect to x any number of times.
    """

    nodes: np.ndarray
    coefficients: np.ndarray
    scale: np.ndarray
    locate: Callable[[Any, Any], Any]

    @property
    def width(self) -> int:
        return self.nodes.shape[1]

    def rows(self, x: Array) -> tuple[Array, Array]:
        """Start index () and weights (w,) at one coordinate."""
        start = jax.lax.stop_gradient(self.locate(jax.lax.stop_gradient(x), jnp))
        nodes, coefficients, scale = (
            jnp.asarray(table, x.dtype)[start]
            for table in (self.nodes, self.coefficients, self.scale)
        )
        gap = (x - nodes) / scale
        before, after = [jnp.ones((), x.dtype)], [jnp.ones((), x.dtype)]
        for j in range(self.width - 1):
            before.append(before[-1] * gap[j])
            after.append(after[-1] * gap[self.width - 1 - j])
        products = [a * b for a, b in zip(before, reversed(after), strict=True)]
        return start, coefficients * jnp.stack(products)

    def matrix(self, x: np.ndarray) -> np.ndarray:
        """Rows of the interpolant at coordinates `x` (m,), shape (m, number of nodes)."""
        start = self.locate(x, np)
        gap = (x[:, None] - self.nodes[start]) / self.scale[start][:, None]
        before = np.cumprod(np.insert(gap[:, :-1], 0, 1.0, axis=1), axis=1)
        after = np.cumprod(np.insert(gap[:, :0:-1], 0, 1.0, axis=1), axis=1)[:, ::-1]
        result = np.zeros((len(x), len(self.nodes) + self.width - 1))
        index = start[:, None] + np.arange(self.width)[None, :]
        np.put_along_axis(result, index, self.coefficients[start] * before * after, axis=1)
        return result


def windows(nodes: np.ndarray, width: int, locate: Callable[[Any, Any], Any]) -> Windows:
    """All windows of `width` consecutive entries of ascending `nodes`."""
    table = np.lib.stride_tricks.sliding_window_view(nodes, width)
    # The capacity of an interval is a quarter of its length: products of gaps stay moderate.
    scale = (table[:, -1] - table[:, 0]) / 4
    gap = (table[:, :, None] - table[:, None, :]) / scale[:, None, None]
    gap[:, np.arange(width), np.arange(width)] = 1.0
    return Windows(table, 1 / gap.prod(axis=2), scale, locate)
