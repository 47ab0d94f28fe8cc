"""Compiled residuals of fields given on a grid, for any input function."""

from __future__ import annotations

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.compile import System
from pinnkit.compile.compiler import lower
from pinnkit.compile.emit import Emitted
from pinnkit.compile.system import Residual
from pinnkit.derivatives import Axis, GridProvider
from pinnkit.errors import OptionError
from pinnkit.methods.evolution import walls_first
from pinnkit.methods.faces import face_normals, faces, with_normals
from pinnkit.objective.scaling import residual_scale
from pinnkit.spec.condition import Kind

Grid = tuple[Axis, ...]


class GridResiduals(eqx.Module):
    """Dimensionless residuals of fields (c, *grid) that belong to a function (*sensors).

    Where walls outrank the initial state, which they may contradict, equations begin after the
    first instant: differences across the jump say nothing.
    """

    system: System = eqx.field(static=True)
    grid: Grid = eqx.field(static=True)
    sensors: Grid = eqx.field(static=True)
    scales: tuple[float, ...] = eqx.field(static=True)

    @classmethod
    def of(cls, system: System, grid: Grid, sensors: Grid) -> GridResiduals:
        """All residuals of a system on a grid.

        Raises OptionError for an integral over a part of the domain.
        """
        for residual in system.conditions:
            if residual.kind is Kind.INTEGRAL and residual.regions != ("interior",):
                raise OptionError(
                    f"Integral condition '{residual.name}' is over a part of the domain, which "
                    "residuals on grids do not hold. Take it over all of it, or leave it out."
                )
        rng = np.random.default_rng(0)
        low, high = np.array([system.domain.bounds[a] for a in system.axes]).T
        points = rng.uniform(low, high, (2000, len(low)))
        scales = []
        for residual in system.residuals:
            plan = (*residual.plan.terms, *residual.input_plan.terms)
            scales.append(_scale(system, residual, points) if plan else 1.0)
        return cls(system, grid, sensors, tuple(scales))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the residuals."""
        return tuple(r.name for r in self.system.residuals)

    def __call__(self, function: jax.Array, fields: jax.Array) -> dict[str, jax.Array]:
        """Values by name, each (nodes where the residual holds,)."""
        system, provider = self.system, GridProvider(self.grid)
        known = dict(zip(system.fields, fields, strict=True))
        for name in system.inputs:
            known[name] = self.everywhere(function)
        values = provider.terms(known, system.plan)
        for residual in system.residuals:
            values |= provider.terms(known, residual.input_plan)
        z, counted = provider.coordinates(), self.counted
        found = {}
        for residual, scale in zip(system.residuals, self.scales, strict=True):
            if residual.kind is Kind.EQUATION:
                value = residual.fn(values, z, system.parameters)
                found[residual.name] = jnp.ravel(counted * value) / scale
                continue
            if residual.kind is Kind.INTEGRAL:
                found[residual.name] = self._mean(residual, values, z) / scale
                continue
            parts = [
                self._on_face(residual, values, z, axis, end)
                for _, axis, end in faces(system, residual)
            ]
            found[residual.name] = jnp.concatenate(parts) / scale
        return found

    @property
    def counted(self) -> np.ndarray:
        """Nodes of the grid at which equations count: one, else zero."""
        nodes = np.ones(tuple(axis.n for axis in self.grid))
        if walls_first(self.system):
            nodes[(slice(None),) * self.system.axes.index(self.system.time or "") + (0,)] = 0
        return nodes

    def everywhere(self, function: jax.Array) -> jax.Array:
        """The input function at all nodes of the grid."""
        return spread(function, self.grid, self.sensors)

    def _mean(self, residual: Residual, values, z) -> jax.Array:
        """What an integral over space misses at every instant, (instants,), over its measure."""
        system = self.system
        condition = next(c for c in system.problem.conditions if c.name == residual.name)
        what = f"Condition '{residual.name}'"
        given = Emitted(lower(condition.value, system.axes, what), what)({}, z, system.parameters)
        space = [axis for axis in self.grid if axis.name != system.time]
        shares = GridProvider(space).weights() / math.prod(axis.length for axis in space)
        # the residual is integrand minus value at each point
        each = residual.fn(values, z, system.parameters)
        each = each + given * (1 - 1 / math.prod(axis.length for axis in space))
        shape = [1 if axis.name == system.time else axis.n for axis in self.grid]
        over = tuple(i for i, axis in enumerate(self.grid) if axis.name != system.time)
        return jnp.ravel(jnp.sum(each * shares.reshape(shape), axis=over))

    def _on_face(self, residual: Residual, values, z, axis: str, end: int) -> jax.Array:
        i = self.system.axes.index(axis)
        cut = lambda a: jnp.take(jnp.asarray(a), -end, axis=i)  # noqa: E731
        places = {name: cut(x) for name, x in z.items()}
        if axis != self.system.time:
            places = with_normals(places, face_normals(self.system, axis, end))
        terms = {t: cut(v) for t, v in values.items()}
        value = residual.fn(terms, places, self.system.parameters)
        return jnp.ravel(jnp.broadcast_to(value, next(iter(places.values())).shape))


def _scale(system: System, residual: Residual, points: np.ndarray) -> float:
    """Typical size of a residual, input functions counting as one."""
    inputs = {t: np.ones(len(points)) for t in residual.input_plan.terms if t.order == 0}
    inputs |= {t: np.zeros(len(points)) for t in residual.input_plan.terms if t.order}
    fn = residual.fn
    filled = dataclasses.replace(residual, fn=lambda v, z, p: fn({**v, **inputs}, z, p))
    normals = np.ones((len(points), len(system.domain.space_axes)))
    return residual_scale(system, filled, points, normals)


def other_axes(grid: Grid, sensors: Grid) -> tuple[int, ...]:
    """Indices of the axes of the grid along which there are no sensors."""
    own = {axis.name for axis in sensors}
    return tuple(i for i, axis in enumerate(grid) if axis.name not in own)


def frame_axis(grid: Grid, sensors: Grid) -> int | None:
    """The first of `other_axes`, if any.

    It is time for initial states and other functions of space, and the normal axis for values on
    a wall, which are like an initial state along it.
    """
    return next(iter(other_axes(grid, sensors)), None)


def spread(function: jax.Array, grid: Grid, sensors: Grid) -> jax.Array:
    """(*sensors) -> (*grid): the same along all other axes."""
    whole = jnp.expand_dims(function, other_axes(grid, sensors))
    return jnp.broadcast_to(whole, tuple(axis.n for axis in grid))
