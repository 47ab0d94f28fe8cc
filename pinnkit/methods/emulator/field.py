"""Evaluators of emulators: fields at points, for a given initial state, by roll-out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit import precision
from pinnkit.derivatives import Axis, interpolate
from pinnkit.errors import OptionError
from pinnkit.methods.emulator.correction import Correction, assimilate
from pinnkit.methods.emulator.stepper import Propagator, roll
from pinnkit.methods.emulator.trajectories import Layout
from pinnkit.methods.neural_operator.field import (
    CHUNK,
    FEWEST_FRAMES,
    between,
    given_function,
    resampled,
)
from pinnkit.solution import Evaluator


class EmulatorField(Evaluator):
    """Fields of the roll-out from one initial state.

    `start` (*space) is the input function; `first` (c, *space) the state at the first instant, in
    which the input function takes the place of the fields that begin with it. `correction` is
    there if measurements can be assimilated.
    """

    propagator: Propagator
    start: Array
    first: Array
    correction: Correction | None
    name: str = eqx.field(static=True)
    carried: tuple[int, ...] = eqx.field(static=True)
    diagnosed: tuple[int, ...] = eqx.field(static=True)
    starts: tuple[bool, ...] = eqx.field(static=True)
    grid: tuple[Axis, ...] = eqx.field(static=True)
    frame: int = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        propagator: Propagator,
        plan: Layout,
        name: str,
        start: np.ndarray,
        first: np.ndarray,
        grid: tuple[Axis, ...],
    ) -> EmulatorField:
        """The evaluator of a propagator for trajectories of this layout."""
        return cls(
            propagator,
            jnp.asarray(start),
            jnp.asarray(first),
            None,
            name,
            plan.carried,
            plan.diagnosed,
            plan.starts,
            grid,
            plan.frame,
        )

    @property
    def space(self) -> tuple[Axis, ...]:
        """Axes of the states, on which the input function is given too."""
        return self.propagator.scales.space

    @property
    def instants(self) -> Axis:
        """The axis of stored instants."""
        return self.grid[self.frame]

    def state(self, function: Array) -> Array:
        """The first state (c, *space) for an input function (*space)."""
        place = jnp.asarray(self.starts).reshape(-1, *(1,) * len(self.space))
        return jnp.where(place, function[None].astype(self.first.dtype), self.first)

    def on_grid(self, function: Array, count: int | None = None) -> Array:
        """(*space) -> all fields at the first instant and `count` more, time in its place."""
        steps = self.instants.n - 1 if count is None else count
        states, others = roll(self.propagator, self.state(function), steps)
        fields = jnp.concatenate([states, others.astype(states.dtype)], axis=1)
        order = np.argsort((*self.carried, *self.diagnosed))
        return jnp.moveaxis(fields[:, order], 0, self.frame + 1)

    def __call__(self, points: Array) -> Array:
        values = interpolate(self.grid, self.on_grid(self.start), points)
        unknown = between(self.instants, points[:, self.frame])
        return jnp.where(unknown[:, None], jnp.nan, values)

    def with_inputs(self, inputs: Mapping[str, Any]) -> EmulatorField:
        """The evaluator for another initial state, by name; see `OperatorField.with_inputs`."""
        values = given_function(inputs, self.name, self.space)
        field = self.regridded(values.shape) if self.transfers else self
        found = jnp.asarray(values, self.start.dtype)
        for i, axis in enumerate(field.space):
            found = resampled(found, i, axis)
        return eqx.tree_at(lambda f: f.start, field, found)

    def predict(self, inputs: np.ndarray, grid: tuple[Axis, ...]) -> np.ndarray:
        """Fields (S, c, *grid) for initial states (S, *space'), at instants of any number.

        Instants are counted from the initial state, as equations without explicit time allow, and
        must be multiples of the emulator's own step, or lie within its own interval.
        Raises OptionError for other axes.
        """
        names = [tuple(a.name for a in axes) for axes in (grid, self.grid)]
        if names[0] != names[1] or inputs.ndim != len(self.space) + 1:
            raise OptionError(
                f"This emulator takes states over {', '.join(a.name for a in self.space)} to "
                f"fields over {', '.join(names[1])}, not {inputs.shape[1:]} values to fields over "
                f"{', '.join(names[0])}. Give data of this problem."
            )
        with precision.scope(str(self.first.dtype)):
            return self._predicted(inputs, grid)

    def _predicted(self, inputs: np.ndarray, grid: tuple[Axis, ...]) -> np.ndarray:
        field = self.regridded(inputs.shape[1:]) if self.transfers else self
        values = jnp.asarray(inputs, self.first.dtype)
        for i, axis in enumerate(field.space):
            values = resampled(values, i + 1, axis)
        count, stride = self._steps(grid[self.frame])
        parts = [_rolled(field, values[i : i + CHUNK], count) for i in range(0, len(values), CHUNK)]
        found = jnp.concatenate(parts)
        if stride:
            kept = jnp.arange(0, count + 1, stride)
            found = jnp.take(found, kept, axis=self.frame + 2)
        for i, (own, axis) in enumerate(zip(field.grid, grid, strict=True)):
            if found.shape[i + 2] != axis.n:
                found = own.resample(found, i + 2, axis.n)
        return np.asarray(found)

    def predicted(self, fields: Any, skip: int = 1) -> Any:
        """What of fields is a prediction: all but the first instant, if that is given.

        The axes of the grid follow after `skip` dimensions.
        """
        if self.diagnosed:
            return fields
        return fields[(*(slice(None),) * (skip + self.frame), slice(1, None))]

    def _steps(self, wanted: Axis) -> tuple[int, int]:
        """Steps to take, and how many of them lie between instants (0: interpolate)."""
        own = self.instants
        ratio = (wanted.length / (wanted.n - 1)) / (own.length / (own.n - 1))
        stride = round(ratio)
        if stride and abs(ratio - stride) < 1e-6 * stride:
            return stride * (wanted.n - 1), stride
        if own.n < FEWEST_FRAMES or abs(wanted.length - own.length) > 1e-6 * own.length:
            raise OptionError(
                f"This emulator steps by {own.length / (own.n - 1):g} in {own.name}, which does "
                f"not divide the {wanted.length / (wanted.n - 1):g} asked for. Give data at "
                "multiples of it."
            )
        return own.n - 1, 0

    @property
    def transfers(self) -> bool:
        """Whether the networks mean the same on a grid of another resolution."""
        return bool(getattr(self.propagator.networks, "transfers", False))

    def regridded(self, shape: tuple[int, ...]) -> EmulatorField:
        """The same emulator on `shape` nodes along the axes in space."""
        if shape == tuple(a.n for a in self.space):
            return self
        space = tuple(dataclasses.replace(a, n=n) for a, n in zip(self.space, shape, strict=True))
        sizes = {a.name: a for a in space}
        first, start = self.first, self.start
        for i, axis in enumerate(space):
            first, start = resampled(first, i + 1, axis), resampled(start, i, axis)
        scales = dataclasses.replace(self.propagator.scales, space=space)
        return dataclasses.replace(
            self,
            propagator=dataclasses.replace(self.propagator, scales=scales),
            first=first,
            start=start,
            grid=tuple(sizes.get(a.name, a) for a in self.grid),
        )

    def assimilate(self, starts: np.ndarray, measured: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """States (S, T + 1, c, *space) that follow measurements.

        From first states `starts` (S, c, *space) by T steps, after each of which the measured
        values (S, T, c, *space) correct the forecast where `masks` (S, T, *space) are one; steps
        whose mask is zero everywhere are forecasts. Raises OptionError for an emulator that has
        not learned to correct itself.
        """
        if self.correction is None:
            raise OptionError(
                "This emulator has learned no correction by measurements. Train it by NODA(...)."
            )
        dtype = self.first.dtype
        with precision.scope(str(dtype)):
            given = (jnp.asarray(a, dtype) for a in (starts, measured, masks))
            return np.asarray(_assimilated(self.propagator, self.correction, *given))


@eqx.filter_jit
def _rolled(field: EmulatorField, inputs: Array, count: int) -> Array:
    return jax.vmap(lambda function: field.on_grid(function, count))(inputs)


@eqx.filter_jit
def _assimilated(propagator, correction, starts: Array, measured: Array, masks: Array) -> Array:
    one = lambda u, y, m: assimilate(propagator, correction, u, y, m)  # noqa: E731
    return jnp.concatenate([starts[:, None], jax.vmap(one)(starts, measured, masks)], axis=1)
