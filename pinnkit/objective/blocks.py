"""Residuals that share their regions, with the pool of points on which they are sampled."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.compile.compiler import lower
from pinnkit.compile.emit import Emitted
from pinnkit.compile.system import Residual, System
from pinnkit.derivatives.channels import (
    Orders,
    Scheme,
    Table,
    examine,
    points_per_chunk,
    scheme,
)
from pinnkit.errors import GeometryError
from pinnkit.geometry.sampling import child_seed, shares
from pinnkit.objective.sampling import window
from pinnkit.objective.scaling import residual_scale

Field = Callable[[Array], Array]


class Places(eqx.Module):
    """Points (N, d), outward normals (N, space axes) where there are any, data (N,) likewise.

    `known`: derivatives (N, fields), by multi-index, of a fixed function that is added to the
    trained one.
    """

    points: Array
    normals: Array | None = None
    data: Array | None = None
    known: dict[Orders, Array] | None = None

    def take(self, index: Array) -> "Places":
        """The places with these indices."""
        return jax.tree.map(lambda leaf: leaf[index], self)


class Frame(eqx.Module):
    """Local coordinates anchor + (z - shift - anchor) / stretch, all (d,), of a trained function.

    A part of the domain, moved by `shift` from where the domain begins, thus appears as the whole.
    """

    shift: Array
    anchor: Array
    stretch: Array

    def __call__(self, u: Field) -> Field:
        """u as a function of the coordinates of the problem."""
        return lambda z: u(self.anchor + (z - self.shift - self.anchor) / self.stretch)


class Block(eqx.Module):
    """Residuals on common regions. Terms are taken once for all of them.

    `count` points are drawn from `pool` for a batch; `scales` divide the residuals. With a `frame`
    the trained function takes its local coordinates.
    """

    pool: Places
    residuals: tuple[Residual, ...] = eqx.field(static=True)
    scales: tuple[float, ...] = eqx.field(static=True)
    system: System = eqx.field(static=True)
    count: int = eqx.field(static=True)
    frame: Frame | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the residuals."""
        return tuple(residual.name for residual in self.residuals)

    @property
    def scheme(self) -> Scheme:
        """How the residuals get their derivatives."""
        return scheme(self.residuals, self.system.fields)

    def values(
        self, u: Field, params: dict[str, Any], places: Places, table: Table | None = None
    ) -> dict[str, Array]:
        """Dimensionless residuals by name, each (N,), from the `table` of u there if given."""
        z = self.system.coordinates(places.points)
        if places.normals is not None:
            for i, axis in enumerate(self.system.domain.space_axes):
                z[f"n_{axis}"] = places.normals[:, i]
        data = 0.0 if places.data is None else places.data
        shape = places.points.shape[:1]
        table = self.table(u, params, places) if table is None else table
        found = self.scheme.of_table(table, z, params)
        return {
            name: (jnp.broadcast_to(value, shape) - data) / scale
            for name, value, scale in zip(self.names, found, self.scales, strict=True)
        }

    def both(
        self, u: Field, params: dict[str, Any], places: Places, table: Table | None = None
    ) -> tuple[dict[str, Array], Array]:
        """`values`, and all fields (N, c), from one pass."""
        table = self.table(u, params, places) if table is None else table
        return self.values(u, params, places, table), table[self._value]

    def fields(self, u: Field, places: Places) -> Array:
        """All fields (N, c), with what is known of them."""
        f = u if self.frame is None else self.frame(u)
        found = jax.vmap(f)(places.points)
        return found if places.known is None else found + places.known[self._value]

    @property
    def _value(self) -> Orders:
        """The multi-index of no derivative."""
        return (0,) * len(self.system.axes)

    def since(self, places: Places, axis: int | None) -> Array:
        """Coordinates (N,) along an axis, without the shift of the frame."""
        along = places.points[:, axis]
        return along if self.frame is None else along - self.frame.shift[axis]

    def table(self, u: Field, params: dict[str, Any], places: Places) -> Table:
        """Derivatives of u at the places, with what is known added."""
        f = u if self.frame is None else self.frame(u)
        return self.scheme.table(f, places.points, params, places.known)

    @property
    def shareable(self) -> tuple[Orders, ...] | None:
        """The table's columns if it is u and derivatives of u alone, None otherwise.

        Blocks with the same columns may get their tables from one pass over all their points.
        """
        plain = self.frame is None and self.pool.known is None and not self.scheme.operators
        return self.scheme.orders if plain else None

    @property
    def size(self) -> int:
        """Number of places to draw from."""
        return len(self.pool.points)

    def even(self, key: Array) -> Array:
        """Indices (count,) of evenly spread places."""
        return window(key, self.size, self.count)

    def placed(self, u: Field, index: Array, key: Array) -> Places:
        """The places of the pool with these indices."""
        del u, key
        return self.pool.take(index)

    def pointwise(self, places: Places) -> tuple["Block", Places]:
        """What gives the same residuals place by place."""
        return self, places

    def chunk(self, u: Field, places: Places, max_memory: float) -> int:
        """Number of places to treat at a time."""
        return points_per_chunk(u, places.points, self.scheme.channels, max_memory)

    def derivatives(self, u: Field, max_memory: float) -> str:
        """How the derivatives are taken, in words."""
        places = jax.eval_shape(lambda: self.pool.take(jnp.arange(self.count)))
        words, orders = self.scheme.describe(), self.scheme.orders
        fallbacks = examine(u, places.points, orders).fallbacks
        if fallbacks:
            words += f", nested jvp for {', '.join(fallbacks)}"
        size, count = self.chunk(u, places, max_memory), len(places.points)
        return words + (f", {size} points at a time" if size < count else "")


class IntegralBlock(eqx.Module):
    """An integral condition by Gauss quadrature, over space at each node of time.

    `nodes` holds the N points of the rule, `weights` (N,) are those of space; `row` (N,) numbers
    the node of time of each point; `value` (rows,) is what the integral equals.
    """

    nodes: Block
    weights: Array
    row: Array
    value: Array

    @property
    def names(self) -> tuple[str, ...]:
        """Name of the one residual."""
        return self.nodes.names

    def values(self, u: Field, params: dict[str, Any]) -> dict[str, Array]:
        """(integral - value) per unit measure and scale, (rows,)."""
        # the residual is target - value at a point; its integral lacks (measure - 1) value
        ((name, integrand),) = self.nodes.values(u, params, self.nodes.pool).items()
        (scale,) = self.nodes.scales
        zero = jnp.zeros_like(self.value)
        total = zero.at[self.row].add(self.weights * integrand)
        measure = zero.at[self.row].add(self.weights)
        return {name: total / measure + self.value * (1 - 1 / measure) / scale}


def block(system: System, residuals: Sequence[Residual], count: int, pool: int, seed: int) -> Block:
    """Pool `pool` points on the common regions of `residuals`, shared out by measure."""
    parts = [p for name in residuals[0].regions for p in system.domain.region(name).parts]
    numbers = shares(pool, np.array([part.measure for part in parts]))
    points = [
        part.sample(int(n), child_seed(seed, i))
        for i, (part, n) in enumerate(zip(parts, numbers, strict=True))
    ]
    normals = [_normals(part, p) for part, p in zip(parts, points, strict=True)]
    # parts are interleaved, so that every window of the pool holds all of them
    place = np.concatenate([(np.arange(n) + 0.5) / max(n, 1) for n in numbers])
    order = np.argsort(place, kind="stable")
    where = np.concatenate(points)[order]
    outward = None
    if all(n is not None for n in normals):
        outward = np.concatenate(normals)[order]  # type: ignore[arg-type]
    places = Places(jnp.asarray(where), None if outward is None else jnp.asarray(outward))
    few = slice(2000)
    facing = None if outward is None else outward[few]
    scales = tuple(residual_scale(system, r, where[few], facing) for r in residuals)
    return Block(places, tuple(residuals), scales, system, min(count, pool))


def observed_block(system: System, residual: Residual) -> Block:
    """All observations as one fixed set of places."""
    points, data = residual.points, residual.observed
    if points is None or data is None:
        raise ValueError(f"residual '{residual.name}' holds no observations")
    places = Places(jnp.asarray(points), data=jnp.asarray(data))
    scale = residual_scale(system, residual, points)
    return Block(places, (residual,), (scale,), system, len(points))


def integral_block(system: System, residual: Residual, order: int) -> IntegralBlock:
    """Gauss rule with `order` nodes per direction of the condition's region."""
    rules = [system.domain.region(name).quadrature(order) for name in residual.regions]
    points = np.concatenate([p for p, _ in rules])
    weights = np.concatenate([w for _, w in rules])
    row = np.zeros(len(points), int)
    if system.time is not None:
        times = points[:, system.axes.index(system.time)]
        row = np.unique(np.round(times, 12), return_inverse=True)[1].reshape(-1)
        weights = weights / _time_weights(system, times, weights, row)
    what = f"Condition '{residual.name}'"
    condition = next(c for c in system.problem.conditions if c.name == residual.name)
    z = {axis: points[:, i] for i, axis in enumerate(system.axes)}
    datum = Emitted(lower(condition.value, system.axes, what), what)({}, z, system.parameters)
    datum = np.broadcast_to(np.asarray(datum, float), weights.shape)
    value = datum[np.unique(row, return_index=True)[1]]
    scale = residual_scale(system, residual, points)
    places = Places(jnp.asarray(points))
    nodes = Block(places, (residual,), (scale,), system, len(points))
    return IntegralBlock(nodes, jnp.asarray(weights), jnp.asarray(row), jnp.asarray(value))


def _time_weights(
    system: System, times: np.ndarray, weights: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """Share of the rule's weight that belongs to time, per point.

    The rule is a product of one in time and one in space, so the weights of a node of time sum to
    its own weight times the measure of space.
    """
    low, high = system.domain.bounds[system.time]  # type: ignore[index]
    if np.ptp(times) == 0:
        return np.ones_like(weights)
    return (np.bincount(row, weights) * (high - low) / weights.sum())[row]


def _normals(region: Any, points: np.ndarray) -> np.ndarray | None:
    """Outward normals, or None where the region is no boundary in space."""
    try:
        return region.normals(points)
    except GeometryError:
        return None
