"""Evaluators of trained operators: fields at points for a given input function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.derivatives import Axis, FourierAxis, interpolate
from pinnkit.errors import OptionError
from pinnkit.nn.deeponet import DeepONetNetwork, LearnedModes
from pinnkit.nn.mgno import MgNONetwork
from pinnkit.solution import Evaluator


class GridMap(eqx.Module):
    """Network from the sensor grid to the same grid; instants in time are output channels."""

    network: MgNONetwork
    grid: tuple[Axis, ...] = eqx.field(static=True)
    sensors: tuple[Axis, ...] = eqx.field(static=True)

    fulfils_walls = False
    pointwise = False

    def __call__(self, function: jax.Array) -> jax.Array:
        """(*sensors) -> (c, *grid)."""
        channels = self.network(function[None])
        extra = [i for i, axis in enumerate(self.grid) if axis not in self.sensors]
        if not extra:
            return channels
        frames = self.grid[extra[0]].n
        return jnp.moveaxis(channels.reshape(-1, frames, *channels.shape[1:]), 1, extra[0] + 1)


class PointMap(eqx.Module):
    """Network from sensors to values at any point, here used on a grid."""

    network: DeepONetNetwork
    grid: tuple[Axis, ...] = eqx.field(static=True)

    @property
    def pointwise(self) -> bool:
        """Whether values between the nodes come from the network and not by interpolation."""
        return isinstance(self.network.trunk, LearnedModes)

    @property
    def fulfils_walls(self) -> bool:
        """Modes of training outputs vanish where all of these agree."""
        return not self.pointwise and self.network.bias is None

    def __call__(self, function: jax.Array) -> jax.Array:
        """(*sensors) -> (c, *grid)."""
        values = self.at(function, grid_points(self.grid).astype(np.float32))
        return values.T.reshape(-1, *(axis.n for axis in self.grid))

    def at(self, function: jax.Array, points: Any) -> jax.Array:
        """(*sensors) and (N, d) -> (N, c)."""
        return self.network.at(function[None], jnp.asarray(points, function.dtype))


class OperatorField(Evaluator):
    """Fields for one input function: mean + scale * walls(z) * network(normalised function).

    `walls` is the product of 4 s (1 - s) over the axes with fixed values at both ends (s from 0
    to 1 along the axis), so that the values there are the mean's whatever the network gives.

    `function` (*sensors); `centre` mean and deviation of the training inputs; `mean` (c, *grid)
    and `scale` (c,) those of the training outputs.
    """

    map: GridMap | PointMap
    function: jax.Array
    centre: jax.Array
    mean: jax.Array
    scale: jax.Array
    name: str = eqx.field(static=True)
    grid: tuple[Axis, ...] = eqx.field(static=True)
    sensors: tuple[Axis, ...] = eqx.field(static=True)
    walls: tuple[bool, ...] = eqx.field(static=True)

    def _normalised(self, function: jax.Array) -> jax.Array:
        deviation = jnp.where(self.centre[1] > 0, self.centre[1], 1.0)
        return ((function - self.centre[0]) / deviation).astype(jnp.float32)

    def on_grid(self, function: jax.Array) -> jax.Array:
        """(*sensors) -> (c, *grid), of the type of `mean`."""
        raw = self.map(self._normalised(function)).astype(self.mean.dtype)
        shape = raw.shape[1:]
        walls = jnp.asarray(wall_factor(self.grid, self.walls, grid_points(self.grid)))
        scale = self.scale.reshape(-1, *(1 for _ in shape))
        return self.mean + scale * (walls.reshape(1, *shape).astype(raw.dtype) * raw)

    def __call__(self, points: jax.Array) -> jax.Array:
        if not self.map.pointwise:
            return interpolate(self.grid, self.on_grid(self.function), points)
        raw = self.map.at(self._normalised(self.function), points).astype(points.dtype)  # type: ignore[union-attr]
        walls = wall_factor(self.grid, self.walls, points)
        return interpolate(self.grid, self.mean, points) + walls[:, None] * raw * self.scale[None]

    def with_inputs(self, inputs: Mapping[str, Any]) -> OperatorField:
        """The evaluator for another input function, by name.

        An array lies on a uniform grid over the function's coordinates, ends included (the upper
        end left out along periodic axes); of another size than the sensors it is interpolated
        linearly. A callable takes one array per coordinate, all of one shape.

        Raises OptionError for another name, a wrong number of axes or values that are not finite.
        """
        if set(inputs) != {self.name}:
            raise OptionError(
                f"This operator takes the input function {self.name!r}, "
                f"not {', '.join(inputs)}. Give {self.name}=..."
            )
        given = inputs[self.name]
        if callable(given):
            mesh = np.meshgrid(*(axis.nodes for axis in self.sensors), indexing="ij")
            given = np.asarray(given(*mesh)) + np.zeros(mesh[0].shape)
        values = np.asarray(given, dtype=float)
        if values.ndim != len(self.sensors) or not np.isfinite(values).all():
            axes = ", ".join(axis.name for axis in self.sensors)
            raise OptionError(
                f"Input function '{self.name}' of shape {values.shape} must hold finite values on "
                f"a grid over {axes}. Give an array with one axis for each."
            )
        for i, axis in enumerate(self.sensors):
            values = _resampled(values, i, axis)
        return eqx.tree_at(lambda f: f.function, self, jnp.asarray(values, self.function.dtype))


def _resampled(values: np.ndarray, i: int, axis: Axis) -> np.ndarray:
    """Linear interpolation along one axis to the nodes of `axis`."""
    n = values.shape[i]
    if n == axis.n:
        return values
    periodic = isinstance(axis, FourierAxis)
    nodes = np.linspace(axis.lo, axis.hi, n, endpoint=not periodic)
    period = axis.length if periodic else None
    return np.apply_along_axis(lambda v: np.interp(axis.nodes, nodes, v, period=period), i, values)


def grid_points(grid: tuple[Axis, ...]) -> np.ndarray:
    """Nodes of a tensor grid, (N, d)."""
    mesh = np.meshgrid(*(axis.nodes for axis in grid), indexing="ij")
    return np.stack([m.ravel() for m in mesh], axis=-1)


def wall_factor(grid: tuple[Axis, ...], walls: tuple[bool, ...], points: Any) -> Any:
    """Product of 4 s (1 - s) over the walled axes: (N, d) -> (N,)."""
    factor = 1.0 + 0.0 * points[:, 0]
    for i, (axis, walled) in enumerate(zip(grid, walls, strict=True)):
        if walled:
            s = (points[:, i] - axis.lo) / (axis.hi - axis.lo)
            factor = factor * 4 * s * (1 - s)
    return factor
