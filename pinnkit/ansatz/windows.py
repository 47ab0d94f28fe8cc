"""Functions that are built window by window in time, smooth across the seams for all weights."""

from __future__ import annotations

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import sympy as sp

from pinnkit.ansatz.constrained import Ansatz, AxisGate, Constraint
from pinnkit.ansatz.enforce import Architecture, Enforcement, build_ansatz
from pinnkit.compile.emit import Emitted
from pinnkit.compile.system import System


class Lift(eqx.Module):
    """What satisfies the conditions that are exact: point (d,) -> fields (c,)."""

    lifts: tuple[Emitted, ...] = eqx.field(static=True)
    axes: tuple[str, ...] = eqx.field(static=True)
    parameters: tuple[tuple[str, float], ...] = eqx.field(static=True)

    @classmethod
    def of(cls, ansatz: Ansatz) -> Lift:
        """The lift of an ansatz, without its network."""
        lifts = tuple(constraint.lift for constraint in ansatz.constraints)
        return cls(lifts, ansatz.axes, ansatz.parameters)

    def __call__(self, z: jax.Array) -> jax.Array:
        named = {axis: z[i] for i, axis in enumerate(self.axes)}
        known = dict(self.parameters)
        return jnp.stack([lift({}, named, known) + 0.0 * z[0] for lift in self.lifts])


class Windows(eqx.Module):
    """u(t, x) = lift(t, x) + sum_j P_j(t, x), with a part P_j for each window [t_j, t_j + h_j].

    For a field whose highest time derivative is the m-th, P_j vanishes to order m at t_j and goes
    on as its own Taylor polynomial of degree m - 1 after the window, so that u has m - 1 continuous
    time derivatives for all weights. A field without time derivatives has a part in each window
    alone. `parts` see each window as the whole time `bounds`. Point (d,) -> fields (c,).
    """

    lift: Lift
    parts: tuple[Ansatz, ...]
    starts: tuple[float, ...] = eqx.field(static=True)
    lengths: tuple[float, ...] = eqx.field(static=True)
    bounds: tuple[float, float] = eqx.field(static=True)
    orders: tuple[int, ...] = eqx.field(static=True)
    time: int = eqx.field(static=True)

    def __call__(self, z: jax.Array) -> jax.Array:
        last = len(self.parts) - 1
        value = self.lift(z)
        if last >= 0:
            value = value + self._part(self.parts[0], self.starts[0], self.lengths[0], last == 0, z)
        if last < 1:
            return value
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *self.parts[1:])
        places = (jnp.asarray(self.starts[1:]), jnp.asarray(self.lengths[1:]))
        ends = jnp.arange(1, last + 1) == last

        def add(total: jax.Array, each: tuple) -> tuple[jax.Array, None]:
            part, start, length, end = each
            return total + self._part(part, start, length, end, z), None

        return jax.lax.scan(add, value, (stacked, *places, ends))[0]

    def _part(self, part: Ansatz, start, length, last, z: jax.Array) -> jax.Array:
        """P_j, which is zero before its window and a polynomial in time after it."""
        s = (z[self.time] - start) / length
        inside = (s >= 0) & ((s < 1) | last)
        low, high = self.bounds
        at = lambda r: part(z.at[self.time].set(low + r * (high - low)))  # noqa: E731
        order = jnp.asarray(self.orders)
        found = at(jnp.clip(s, 0, 1))
        value = jnp.where(inside | ((order > 0) & (s >= 1)), found, 0.0)
        for k, derivative in enumerate(_derivatives(at, max(self.orders, default=0)), start=1):
            later = jnp.maximum(s - 1, 0) ** k / math.factorial(k) * derivative
            value = value + jnp.where(order > k, later, 0.0)
        return value


def _derivatives(function, order: int) -> list[jax.Array]:
    """d^k function/ds^k at s = 1 for 0 < k < order."""
    found, one = [], jnp.ones(())
    for _ in range(1, order):
        function = lambda s, f=function: jax.jvp(f, (s,), (jnp.ones_like(s),))[1]  # noqa: E731
        found.append(function(one))
    return found


def time_orders(system: System) -> tuple[int, ...]:
    """Highest time derivative of every field."""
    return tuple(system.traits.time_order[name] for name in system.fields)


def opening(enforcement: Enforcement) -> bool:
    """Whether the initial conditions of all evolved fields are exact to all their orders."""
    system = enforcement.system
    start = [f for f in enforcement.hard if f.axis == system.time]
    held = tuple(sum(f.field == name for f in start) for name in system.fields)
    return held == time_orders(system)


def window_part(
    enforcement: Enforcement,
    architecture: Architecture,
    *,
    gated: bool,
    harmonics: int = 1,
    key: jax.Array,
) -> Ansatz:
    """The part of one window: network and gates, no lift, for the whole time of the system.

    `gated` parts vanish at the beginning to each field's time order, others as the conditions ask.
    """
    system = enforcement.system
    assert system.time is not None
    hard = tuple(dataclasses.replace(f, value=sp.S.Zero) for f in enforcement.hard)
    local = dataclasses.replace(enforcement, hard=hard)
    ansatz = build_ansatz(local, architecture, harmonics=harmonics, key=key)
    if not gated:
        return ansatz
    time, bounds = system.axes.index(system.time), system.domain.bounds[system.time]
    constraints = tuple(
        _gated(constraint, time, bounds, order)
        for constraint, order in zip(ansatz.constraints, time_orders(system), strict=True)
    )
    return dataclasses.replace(ansatz, constraints=constraints)


def _gated(
    constraint: Constraint, time: int, bounds: tuple[float, float], order: int
) -> Constraint:
    gates = list(constraint.gates)
    gates[time] = AxisGate(*bounds, order, 0) if order else None
    return dataclasses.replace(constraint, gates=tuple(gates))
