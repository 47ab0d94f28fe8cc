"""Networks as maps from an input function to fields on the data's grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.derivatives import Axis, FourierAxis, OpenAxis
from pinnkit.methods.grid_residuals import Grid, frame_axis, spread
from pinnkit.nn.deeponet import DeepONetNetwork, LearnedModes


class GridMap(eqx.Module):
    """Network from functions on the sensor grid to functions on the same grid.

    Nodes along an axis without sensors, such as instants in time, are output channels: frames.
    `fields` is the number of fields; as many first and last frames as `known` says are not the
    network's business, and zero.
    """

    network: Any
    fields: int = eqx.field(static=True)
    known: tuple[int, int] = eqx.field(static=True)

    pointwise = False
    steep = 1

    @property
    def transfers(self) -> bool:
        """Whether the network means the same on a grid of another resolution."""
        return bool(getattr(self.network, "transfers", False))

    def __call__(self, function: jax.Array, grid: Grid, sensors: Grid) -> jax.Array:
        """(*sensors) -> (c, *grid)."""
        channels = self.network(function[None])
        extra = frame_axis(grid, sensors)
        if extra is None:
            return channels
        whole = channels.reshape(self.fields, -1, *channels.shape[1:])
        whole = jnp.pad(whole, [(0, 0), self.known] + [(0, 0)] * (whole.ndim - 2))
        return jnp.moveaxis(whole, 1, extra + 1)


class SpaceTimeMap(GridMap):
    """Network from functions on the whole grid, instants included, to functions on it.

    It is given the function of the sensors at every instant. Where fields are known at an end its
    functions rise steeply from there: a straight factor would leave layers to the network, which
    would have to give values that grow as 1 / s.
    """

    steep = 12

    def __call__(self, function: jax.Array, grid: Grid, sensors: Grid) -> jax.Array:
        """(*sensors) -> (channels, *grid)."""
        return self.network(spread(function, grid, sensors)[None])


class PointMap(eqx.Module):
    """Network from sensors to values at any point, here used on a grid."""

    network: DeepONetNetwork

    transfers = False
    steep = 1

    @property
    def pointwise(self) -> bool:
        """Whether values between the nodes come from the network and not by interpolation."""
        return isinstance(self.network.trunk, LearnedModes)

    def __call__(self, function: jax.Array, grid: Grid, sensors: Grid) -> jax.Array:
        """(*sensors) -> (c, *grid)."""
        del sensors
        values = self.at(function, grid_points(grid))
        return values.T.reshape(-1, *(axis.n for axis in grid))

    def at(self, function: jax.Array, points: Any) -> jax.Array:
        """(*sensors) and (N, d) -> (N, c)."""
        return self.network.at(function[None], jnp.asarray(points, function.dtype))


def grid_points(grid: Grid) -> np.ndarray:
    """Nodes of a tensor grid, (N, d)."""
    mesh = np.meshgrid(*(axis.nodes for axis in grid), indexing="ij")
    return np.stack([m.ravel() for m in mesh], axis=-1)


def vanishing(grid: Grid, ends: tuple[tuple[bool, bool], ...], points: Any, steep: int = 1) -> Any:
    """A factor (N,) that vanishes at the ends so marked and nowhere else between: (N, d) -> (N,).

    The product over the axes of 1 - (1 - s)^p, 1 - s^p or both, with s from 0 to 1 along the axis
    and p = `steep`, divided by its value in the middle where there are both: s, 1 - s and
    4 s (1 - s) for p = 1, one but for a p-th of the axis for large p.
    """
    factor = 1.0 + 0.0 * points[:, 0]
    for i, (axis, (low, high)) in enumerate(zip(grid, ends, strict=True)):
        s = (points[:, i] - axis.lo) / (axis.hi - axis.lo)
        if low:
            factor = factor * (1 - (1 - s) ** steep)
        if high:
            factor = factor * (1 - s**steep)
        if low and high:
            factor = factor / (1 - 0.5**steep) ** 2
    return factor


def refined(axes: Sequence[Axis], space: Sequence[str], factor: int) -> Grid:
    """Axes whose spacing along those in `space` is `factor` times smaller."""
    return tuple(_finer(a, factor) if a.name in space else a for a in axes)


def _finer(axis: Axis, factor: int) -> Axis:
    n = axis.n * factor if isinstance(axis, FourierAxis | OpenAxis) else (axis.n - 1) * factor + 1
    return dataclasses.replace(axis, n=n)
