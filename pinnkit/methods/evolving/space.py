"""An evolution problem at one time: an ansatz in space, its rates, and places to look at them."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.ansatz import Ansatz, Enforcement, build_ansatz, enforce
from pinnkit.ansatz.enforce import Architecture
from pinnkit.compile.system import System
from pinnkit.derivatives.channels import Orders, propagate
from pinnkit.methods.evolution import initial_values
from pinnkit.methods.evolving.field import weights_of, with_weights
from pinnkit.objective.blocks import Block, Places, block
from pinnkit.objective.sampling import window
from pinnkit.spec.condition import Kind
from pinnkit.spec.symbols import function_name

ROWS, FEWEST, MOST = 2.0, 200, 8192
"""Residuals per weight, and bounds of the number of places."""
POOL = 16
"""Places in the pool for each place of a draw."""
EDGE_PLACES = 128
"""Places of the conditions that are not exact, on boundaries that are no points."""

Table = dict[Orders, Array]


class Space(eqx.Module):
    """Fields f(t, x; w) at a fixed time, where the rates are wanted, and the sizes of fields.

    `pool` (M, d) are points of the interior, whose times mean nothing; `edges` the conditions that
    the ansatz does not satisfy by itself; `sizes` (c,) divide residuals.
    """

    template: Ansatz
    pool: Array
    edges: tuple[Block, ...]
    sizes: Array
    system: System = eqx.field(static=True)
    count: int = eqx.field(static=True)

    @property
    def time(self) -> int:
        """Column of time in points."""
        return self.system.axes.index(self.system.time or "")

    @property
    def bounds(self) -> tuple[float, float]:
        """First and last time."""
        return self.system.domain.bounds[self.system.time or ""]

    @property
    def value(self) -> Orders:
        """The multi-index of no derivative."""
        return (0,) * len(self.system.axes)

    @property
    def orders(self) -> tuple[Orders, ...]:
        """Derivatives in space that the rates need, and the value."""
        rates = self.system.evolution or ()
        return tuple(sorted({self.value, *(t.orders for r in rates for t in r.plan.terms)}))

    def function(self, weights: Array) -> Ansatz:
        """f with these weights (P,): point (d,) -> fields (c,)."""
        return with_weights(self.template, weights)

    def draw(self, key: Array, count: int) -> Array:
        """`count` places of the interior (count, d)."""
        return self.pool[window(key, len(self.pool), count)]

    def at(self, points: Array, t: Array) -> Array:
        """The points at another time."""
        return points.at[:, self.time].set(t)

    def table(self, weights: Array, points: Array) -> Table:
        """The derivatives (N, c) of f that the rates need."""
        return self.derivatives(self.function(weights), points)

    def derivatives(self, f: Ansatz, points: Array) -> Table:
        """The same of any function."""
        found = propagate(f, points, self.orders)
        return {orders: found[orders] for orders in self.orders}

    def rate(self, table: Table, points: Array) -> Array:
        """du/dt (N, c) as the equations give it."""
        system, z = self.system, self.system.coordinates(points)
        column = {name: i for i, name in enumerate(system.fields)}
        found: dict[str, Array] = {}
        for rate in system.evolution or ():
            values = {t: table[t.orders][:, column[t.field]] for t in rate.plan.terms}
            result = rate.fn(values, z, system.parameters)
            found[rate.field] = jnp.broadcast_to(result, points.shape[:1])
        return jnp.stack([found[name] for name in system.fields], axis=-1)

    def start(self, points: Array) -> Array:
        """Initial values (N, c)."""
        return started(self.system, points)

    def edge_places(self, part: Block, t: Array) -> Places:
        """Places of a condition at time t."""
        return dataclasses.replace(part.pool, points=self.at(part.pool.points, t))


def started(system: System, points: Array) -> Array:
    """Initial values of all fields at points (N, d), (N, c)."""
    z = system.coordinates(points)
    columns = [
        jnp.broadcast_to(initial_values(system, name, 0, z), points.shape[:1])
        for name in system.fields
    ]
    return jnp.stack(columns, axis=-1)


def frozen(system: System) -> Enforcement:
    """Which conditions an ansatz in space satisfies at all times; initial ones are not among them.

    What is left of them to the steps is `soft`.
    """
    kept = tuple(r for r in system.residuals if r.kind is not Kind.INITIAL)
    return enforce(dataclasses.replace(system, residuals=kept))


def space_of(
    system: System,
    enforcement: Enforcement,
    architecture: Architecture,
    *,
    harmonics: int,
    points: int | None,
    key: jax.Array,
) -> Space:
    """The problem in space, with weights drawn from `key`."""
    assert system.time is not None
    build, draw = jax.random.split(key)
    ansatz = build_ansatz(
        enforcement, architecture, harmonics=harmonics, unseen=(system.time,), key=build
    )
    seed = int(jax.random.randint(draw, (), 0, 2**31 - 1))
    size = weights_of(ansatz).size / len(system.fields)
    count = points or int(min(max(ROWS * size, FEWEST), MOST))
    pool = jnp.asarray(system.domain.region("interior").sample(POOL * count, seed))
    edges = tuple(_edge(system, residual, seed) for residual in enforcement.soft)
    return Space(ansatz, pool, edges, _sizes(system, pool), system, count)


def _edge(system: System, residual, seed: int) -> Block:
    """The places of one condition: one on each end in one dimension."""
    parts = sum(len(system.domain.region(name).parts) for name in residual.regions)
    count = parts if len(system.axes) == 2 else EDGE_PLACES
    return block(system, [residual], count, count, seed)


def _sizes(system: System, pool: Array) -> Array:
    """Size of each field: as declared, else its largest initial value, else one."""
    given = {function_name(u): float(s) for u, s in system.problem.scales.items()}
    largest = np.abs(np.asarray(jax.jit(lambda p: started(system, p))(pool))).max(axis=0)
    return jnp.asarray(
        [given.get(name, float(m) or 1.0) for name, m in zip(system.fields, largest, strict=True)]
    )
