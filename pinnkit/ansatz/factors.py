"""Ansatz functions that are sums of products, taken apart into functions of one axis each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from pinnkit.ansatz.constrained import Ansatz
from pinnkit.ansatz.windows import Lift
from pinnkit.nn.separable import SeparableNetwork

Factor = Callable[[jax.Array], jax.Array]


def obstacle_to_factors(u: Any) -> str | None:
    """Why a trial function has no factors, else None."""
    if not isinstance(u, Ansatz):
        return f"a {type(u).__name__} is no network with gates and a lift"
    if not isinstance(u.network, SeparableNetwork):
        return f"a {type(u.network).__name__} is no sum of products of functions of one axis"
    sizes = [feature.size for feature in u.embedding.axes]
    if u.network.ends != tuple(sum(sizes[: i + 1]) for i in range(len(sizes))):
        return "the network's factors do not take one axis each"
    return None


def factors(ansatz: Ansatz) -> tuple[Factor, ...]:
    """F_i with u_c(z) = lift_c(z) + sum_r prod_i F_i^(c, r)(z_i), each (1,) -> (fields, rank).

    Gates and the scale of each field are within them. Only where `obstacle_to_factors` is None.
    """
    return tuple(_factor(ansatz, axis) for axis in range(len(ansatz.axes)))


def _factor(ansatz: Ansatz, axis: int) -> Factor:
    network, features = ansatz.network, ansatz.embedding.axes[axis]
    assert isinstance(network, SeparableNetwork)

    def at(z: jax.Array) -> jax.Array:
        value = network.factor(axis, features(z[0]))
        scales = [c.scale if axis == 0 else 1.0 for c in ansatz.constraints]
        gates = [c.gates[axis] for c in ansatz.constraints]
        if any(gate is not None for gate in gates):
            one = jnp.ones_like(z[0])
            heights = [one if gate is None else gate(z[0]) for gate in gates]
            value = jnp.stack(heights)[:, None] * value
        if any(scale != 1 for scale in scales):
            value = jnp.asarray(scales, value.dtype)[:, None] * value
        return value

    return at


def lift_of(ansatz: Ansatz) -> Lift | None:
    """The lift of an ansatz, None where it is zero for all fields."""
    zero = all(constraint.lift.expression == 0 for constraint in ansatz.constraints)
    return None if zero else Lift.of(ansatz)
