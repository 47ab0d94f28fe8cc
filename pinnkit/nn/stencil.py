"""Small convolutions on grids, continued beyond their ends as boundary conditions ask.

Arrays are channels-last, so that convolutions are matrix products.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.nn.pointwise import uniform

Ends: TypeAlias = tuple[tuple[str, str], ...]
"""How fields go on beyond the lower and the upper end of every axis, by the names in `GHOSTS`."""

GHOSTS = {
    "wrap": lambda x: x[2],
    "zero": lambda x: 0 * x[0],
    "odd": lambda x: -x[1],
    "even": lambda x: x[1],
    "same": lambda x: x[0],
    "line": lambda x: 2 * x[0] - x[1],
    "parabola": lambda x: 3 * x[0] - 3 * x[1] + x[3],
}
"""The value one node beyond the end, from those at the first, second, last and third node."""


def ends_of(boundary: tuple[str, ...], whole: tuple[bool, ...]) -> Ends:
    """The continuation for each word in `boundary`.

    Where the last node is the end of the axis (`whole`), fields are reflected about it, oddly for
    "dirichlet" and evenly for "neumann". Where it lies before the end, as after halving an odd
    number of intervals, the value beyond is zero or that of the last node.
    """
    inner = {
        "periodic": "wrap",
        "dirichlet": "odd",
        "neumann": "even",
        "free": "line",
        "open": "line",
    }
    outer = inner | {"dirichlet": "zero", "neumann": "same"}
    return tuple(
        (inner[word], (inner if at_end else outer)[word])
        for word, at_end in zip(boundary, whole, strict=True)
    )


def pad(x: Array, ends: Ends) -> Array:
    """One layer of neighbours around the grid: (*grid, C) -> (*(n + 2), C)."""
    for axis, (lower, upper) in enumerate(ends):
        last = x.shape[axis] - 1
        inwards = [jax.lax.index_in_dim(x, i, axis) for i in (0, 1, -1, min(2, last))]
        outwards = [jax.lax.index_in_dim(x, i, axis) for i in (-1, -2, 0, max(-3, -last - 1))]
        x = jnp.concatenate([GHOSTS[lower](inwards), x, GHOSTS[upper](outwards)], axis)
    return x


def convolve(x: Array, kernel: Array, stride: int = 1) -> Array:
    """Unpadded convolution (*grid, C_in) with (*k, C_in, C_out) -> (*grid', C_out).

    Written as one matrix product over neighbours gathered axis by axis: inside compiled loops,
    where training runs, XLA's own convolutions are several times slower on the CPU.
    """
    widths = kernel.shape[:-2]
    for axis, (n, width) in enumerate(zip(x.shape[:-1], widths, strict=True)):
        last = stride * ((n - width) // stride) + 1
        shifted = [jax.lax.slice_in_dim(x, o, o + last, stride, axis=axis) for o in range(width)]
        x = jnp.concatenate(shifted, axis=-1)
    order = (*range(len(widths))[::-1], -2, -1)
    return x @ kernel.transpose(order).reshape(-1, kernel.shape[-1])


class Stencil(eqx.Module):
    """A 3-point-per-axis convolution; `stride` 2 takes n nodes to ceil(n/2), the first to the
    first."""

    kernel: Array
    stride: int = eqx.field(static=True)
    ends: Ends = eqx.field(static=True)

    @classmethod
    def create(cls, key: Array, sizes: tuple[int, int], ends: Ends, stride: int = 1) -> Stencil:
        """Kernel for (C_in, C_out) = sizes, uniform in +-1/sqrt(fan-in)."""
        ndim = len(ends)
        return cls(uniform(key, (3,) * ndim + sizes, 3**ndim * sizes[0]), stride, ends)

    def __call__(self, x: Array) -> Array:
        """(*grid, C_in) -> (*grid', C_out)."""
        return convolve(pad(x, self.ends), self.kernel, self.stride)


class Prolongation(eqx.Module):
    """Transposed convolution of stride 2 from ceil(n/2) to n nodes.

    The kernel has 4 points along axes with an even number n of fine nodes and 3 along odd ones, so
    that every grid size can be reached exactly. Coarse node c reaches the fine nodes 2c-1 .. 2c+2.
    Each of the 2^d parities of the fine grid is an ordinary convolution with 2 points per axis;
    all of them are computed at once and interleaved, which takes half the time of a dilated one.
    """

    kernel: Array
    fine: tuple[int, ...] = eqx.field(static=True)
    ends: Ends = eqx.field(static=True)

    @classmethod
    def create(cls, key: Array, fine: tuple[int, ...], channels: int, ends: Ends) -> Prolongation:
        widths = tuple(3 if n % 2 else 4 for n in fine)
        shape = (*widths, channels, channels)
        return cls(uniform(key, shape, math.prod(widths) * channels), fine, ends)

    def __call__(self, x: Array) -> Array:
        """(*coarse, C) -> (*fine, C); `ends` are those of the coarse grid."""
        ndim = x.ndim - 1
        parts = convolve(pad(x, self.ends), self._parities())
        parts = parts.reshape(*parts.shape[:-1], *(2,) * ndim, -1)
        pairs = [axis for i in range(ndim) for axis in (i, ndim + i)]
        whole = parts.transpose(*pairs, 2 * ndim)
        whole = whole.reshape(*(2 * (n + 1) for n in x.shape[:-1]), -1)
        return whole[tuple(slice(1, 1 + n) for n in self.fine)]

    def _parities(self) -> Array:
        """(k, .., C, C) -> (2, .., C, 2^d C): taps per axis, and the parities as channels."""
        ndim = self.kernel.ndim - 2
        missing = [(0, 4 - k) for k in self.kernel.shape[:ndim]] + [(0, 0)] * 2
        taps = jnp.pad(self.kernel, missing).reshape((2, 2) * ndim + self.kernel.shape[-2:])
        taps = jnp.flip(taps, range(0, 2 * ndim, 2))
        order = (*range(0, 2 * ndim, 2), 2 * ndim, *range(1, 2 * ndim, 2), 2 * ndim + 1)
        return taps.transpose(order).reshape(*(2,) * ndim, self.kernel.shape[-2], -1)
