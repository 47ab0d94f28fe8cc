"""Evaluators of trained operators: fields at points for a given input function."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.derivatives import Axis, FourierAxis, OpenAxis, interpolate
from pinnkit.errors import OptionError
from pinnkit.methods.constraint import ConstraintLayer
from pinnkit.methods.neural_operator.maps import (
    Grid,
    GridMap,
    PointMap,
    frame_axis,
    grid_points,
    refined,
    vanishing,
)
from pinnkit.solution import Evaluator

FEWEST_FRAMES = 8
"""Instants in time that interpolation needs; with fewer, values belong to stored instants alone."""
CHUNK = 64
"""Samples whose fields are found at once."""


class OperatorField(Evaluator):
    """Fields for one input function: mean + scale * factor(z) * network(normalised function).

    `factor` vanishes at the ends of the axes at which no training solution varied (`ends`), so
    that the values there are the mean's whatever the network gives; the first frame of the fields
    marked by `starts` is the input function itself. With a `layer` the network gives a basis, of
    which the layer finds the combination.

    `function` (*sensors); `centre` mean and deviation of the training inputs; `mean` (c, *grid)
    and `scale` (c, 1 or frames, ...) those of the training outputs.
    """

    map: GridMap | PointMap
    function: jax.Array
    centre: jax.Array
    mean: jax.Array
    scale: jax.Array
    name: str = eqx.field(static=True)
    grid: Grid = eqx.field(static=True)
    sensors: Grid = eqx.field(static=True)
    ends: tuple[tuple[bool, bool], ...] = eqx.field(static=True)
    starts: tuple[bool, ...] = eqx.field(static=True)
    layer: ConstraintLayer | None = None

    @property
    def dtype(self) -> str:
        """Type of the network's numbers."""
        leaves = jax.tree.leaves(eqx.filter(self.map, eqx.is_inexact_array))
        return str(leaves[0].dtype) if leaves else "float32"

    def _normalised(self, function: jax.Array) -> jax.Array:
        deviation = jnp.where(self.centre[1] > 0, self.centre[1], 1.0)
        return ((function - self.centre[0]) / deviation).astype(self.dtype)

    def on_grid(self, function: jax.Array) -> jax.Array:
        """(*sensors) -> (c, *grid), of the type of `mean`."""
        if self.layer is not None:
            return self.layer(function, *self._spread(function))
        raw, factor = self._raw(function)
        return self._begun(self.mean + factor * raw, function)

    def jump(self, function: jax.Array) -> jax.Array:
        """Root mean square jump between the experts of a layer; see `ConstraintLayer.jump`."""
        if self.layer is None:
            return jnp.zeros((), self.mean.dtype)
        offset, basis = self._spread(function)
        return self.layer.jump(self.layer.coefficients(function, offset, basis), basis)

    def _raw(self, function: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The network's output (channels, *grid), and what it is multiplied by (c, *grid)."""
        raw = self.map(self._normalised(function), self.grid, self.sensors).astype(self.mean.dtype)
        shape = raw.shape[1:]
        points = grid_points(self.grid)
        factor = vanishing(self.grid, self.ends, points, self.map.steep).reshape(1, *shape)
        return raw, self.scale * jnp.asarray(factor, raw.dtype)

    def _spread(self, function: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What a layer combines: an offset (c, *grid), and functions (N, c, *grid)."""
        raw, factor = self._raw(function)
        basis = raw.reshape(-1, len(self.mean), *raw.shape[1:])
        basis = jax.vmap(lambda b: self._begun(factor * b, jnp.zeros_like(function)))(basis)
        return self._begun(self.mean, function), basis

    def _begun(self, fields: jax.Array, function: jax.Array) -> jax.Array:
        """The same with the function as the first frame of the fields that begin as it."""
        frame = frame_axis(self.grid, self.sensors)
        if frame is None or not any(self.starts):
            return fields
        first = [slice(None)] * fields.ndim
        first[frame + 1] = 0  # type: ignore[call-overload]
        rows = jnp.asarray(np.flatnonzero(self.starts))
        return fields.at[tuple([rows, *first[1:]])].set(function.astype(fields.dtype))

    @property
    def given(self) -> int:
        """Number of first frames that are no prediction: one if all fields start as the input."""
        return int(bool(self.starts) and all(self.starts))

    def predicted(self, fields: Any, skip: int = 1) -> Any:
        """What of fields is a prediction, without the frames that are given.

        The axes of the grid follow after `skip` dimensions.
        """
        frame = frame_axis(self.grid, self.sensors)
        if frame is None or not self.given:
            return fields
        return fields[(*(slice(None),) * (skip + frame), slice(1, None))]

    def __call__(self, points: jax.Array) -> jax.Array:
        if not self.map.pointwise:
            values = interpolate(self.grid, self.on_grid(self.function), points)
            frame = frame_axis(self.grid, self.sensors)
            if frame is None:
                return values
            unknown = between(self.grid[frame], points[:, frame])
            return jnp.where(unknown[:, None], jnp.nan, values)
        raw = self.map.at(self._normalised(self.function), points).astype(points.dtype)  # type: ignore[union-attr]
        factor = vanishing(self.grid, self.ends, points, self.map.steep)
        scale = interpolate(self.grid, jnp.broadcast_to(self.scale, self.mean.shape), points)
        return interpolate(self.grid, self.mean, points) + factor[:, None] * raw * scale

    def with_inputs(self, inputs: Mapping[str, Any]) -> OperatorField:
        """The evaluator for another input function, by name.

        An array lies on a uniform grid over the function's coordinates, ends included (the upper
        end left out along periodic axes). If it is of another size than the sensors, a network
        that means the same on all grids works on the array's own; for others it is interpolated.
        A callable takes one array per coordinate, all of one shape.

        Raises OptionError for another name, a wrong number of axes or values that are not finite.
        """
        values = given_function(inputs, self.name, self.sensors)
        field = self.regridded(values.shape) if self.map.transfers else self
        for i, axis in enumerate(field.sensors):
            if values.shape[i] != axis.n:
                values = np.asarray(resampled(jnp.asarray(values), i, axis))
        return eqx.tree_at(lambda f: f.function, field, jnp.asarray(values, self.function.dtype))

    def predict(self, inputs: np.ndarray, grid: Grid) -> np.ndarray:
        """Fields (S, c, *grid) for input functions (S, *sensors') on any uniform sensors.

        A network that means the same on all grids works on that of the inputs; for others the
        inputs, and then the fields, are interpolated. Raises OptionError for other axes.
        """
        names = [tuple(a.name for a in axes) for axes in (grid, self.grid)]
        if names[0] != names[1] or inputs.ndim != len(self.sensors) + 1:
            raise OptionError(
                f"This operator maps functions of {', '.join(a.name for a in self.sensors)} to "
                f"fields over {', '.join(names[1])}, not {inputs.shape[1:]} values to "
                f"fields over {', '.join(names[0])}. Give data of this problem."
            )
        field = self.regridded(inputs.shape[1:]) if self.map.transfers else self
        values = jnp.asarray(inputs, self.mean.dtype)
        for i, axis in enumerate(field.sensors):
            values = resampled(values, i + 1, axis)
        parts = [_fields(field, values[i : i + CHUNK]) for i in range(0, len(values), CHUNK)]
        found = jnp.concatenate(parts)
        for i, (own, axis) in enumerate(zip(field.grid, grid, strict=True)):
            if own.n != axis.n:
                _check_frames(own, axis, self.sensors)
                found = own.resample(found, i + 2, axis.n)
        return np.asarray(found)

    def regridded(self, shape: tuple[int, ...]) -> OperatorField:
        """The same operator on `shape` nodes along the axes of the sensors."""
        sizes = {a.name: n for a, n in zip(self.sensors, shape, strict=True)}
        sensors = tuple(dataclasses.replace(a, n=sizes[a.name]) for a in self.sensors)
        grid = tuple(dataclasses.replace(a, n=sizes.get(a.name, a.n)) for a in self.grid)
        return self._on(sensors, grid)

    def refined(self, factor: int) -> OperatorField:
        """The same operator with `factor` times as many intervals along the axes in space."""
        if factor == 1:
            return self
        if not (self.map.transfers or self.map.pointwise):
            raise OptionError(
                f"A {type(self.map.network).__name__} belongs to one grid, so that its equations "
                f"cannot be taken on one {factor} times finer. Give refine=1, or an FNO."
            )
        space = [axis.name for axis in self.sensors]
        sensors = refined(self.sensors, space, factor) if self.map.transfers else self.sensors
        return self._on(sensors, refined(self.grid, space, factor))

    def _on(self, sensors: Grid, grid: Grid) -> OperatorField:
        if (sensors, grid) == (self.sensors, self.grid):
            return self
        mean, function = self.mean, self.function
        for i, axis in enumerate(grid):
            mean = resampled(mean, i + 1, axis)
        for i, axis in enumerate(sensors):
            function = resampled(function, i, axis)
        layer = None if self.layer is None else self.layer.on(grid, sensors)
        return dataclasses.replace(
            self, mean=mean, function=function, grid=grid, sensors=sensors, layer=layer
        )


def between(instants: Axis, times: jax.Array) -> jax.Array:
    """Whether times (N,) lie before all instants, or between instants too few to interpolate."""
    place = (times - instants.lo) / instants.length * (instants.n - 1)
    early = place < -1e-6
    if instants.n >= FEWEST_FRAMES:
        return early
    return early | (jnp.abs(place - jnp.round(place)) > 1e-6)


def given_function(inputs: Mapping[str, Any], name: str, sensors: Grid) -> np.ndarray:
    """Values on a uniform grid over the sensors' axes, of any size; those of a callable on theirs.

    Raises OptionError for another name, a wrong number of axes or values that are not finite.
    """
    if set(inputs) != {name}:
        raise OptionError(
            f"This operator takes the input function {name!r}, "
            f"not {', '.join(inputs)}. Give {name}=..."
        )
    given = inputs[name]
    if callable(given):
        mesh = np.meshgrid(*(axis.nodes for axis in sensors), indexing="ij")
        given = np.asarray(given(*mesh)) + np.zeros(mesh[0].shape)
    values = np.asarray(given, dtype=float)
    if values.ndim != len(sensors) or not np.isfinite(values).all():
        axes = ", ".join(axis.name for axis in sensors)
        raise OptionError(
            f"Input function '{name}' of shape {values.shape} must hold finite values on "
            f"a grid over {axes}. Give an array with one axis for each."
        )
    return values


@eqx.filter_jit
def _fields(field: OperatorField, inputs: jax.Array) -> jax.Array:
    return jax.vmap(field.on_grid)(inputs)


def _check_frames(own: Axis, axis: Axis, sensors: Grid) -> None:
    if own.name not in {a.name for a in sensors} and own.n < FEWEST_FRAMES:
        raise OptionError(
            f"This operator knows {own.n} instants along {own.name}, too few for the {axis.n} "
            "asked for. Train it with more frames, or give data at its own."
        )


def resampled(values: jax.Array, i: int, axis: Any) -> jax.Array:
    """Values along dimension `i`, on all of the axis, at the nodes of `axis`.

    Trigonometric along periodic axes; linear along others, as input functions may jump.
    """
    n = values.shape[i]
    if n == axis.n:
        return values
    if isinstance(axis, FourierAxis):
        return axis.resample(values, i, axis.n)
    last = (n - 1) if not isinstance(axis, OpenAxis) else n * (1 - 1 / axis.n)
    place = jnp.linspace(0, last, axis.n)
    low = jnp.clip(jnp.floor(place).astype(int), 0, n - 2)
    weight = (place - low).reshape(-1, *(1,) * (values.ndim - i - 1))
    return (1 - weight) * values.take(low, i) + weight * values.take(low + 1, i)
