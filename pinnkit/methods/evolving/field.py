"""The answer of an evolving network: its weights at many times, with fields in between."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from pinnkit.ansatz import Ansatz
from pinnkit.solution import Evaluator

STENCIL = 4
"""Times between which the field is interpolated: cubic, so that the steps' own order is kept."""
TOGETHER = 256
"""Points at a time, as each gathers the weights of its own times."""


class EvolvingField(Evaluator):
    """u(t, x) = sum_j l_j(t) f(t, x; w_j) over the nearest stored times, l_j Lagrange's cubics.

    `weights` (m, P) are those of the network at `times` (m,). What the ansatz f makes exact holds
    at all times, as the l_j sum to one. After the last time the values are NaN.
    """

    ansatz: Ansatz
    weights: Array
    times: Array
    time: int = eqx.field(static=True)

    def __call__(self, points: Array) -> Array:
        return jax.lax.map(self._at, points, batch_size=TOGETHER)

    def _at(self, z: Array) -> Array:
        t, count = z[self.time], min(STENCIL, len(self.times))
        start = jnp.searchsorted(self.times, t, side="right") - count // 2
        index = jnp.clip(start, 0, len(self.times) - count) + jnp.arange(count)
        values = jax.vmap(lambda w: with_weights(self.ansatz, w)(z))(self.weights[index])
        found = _lagrange(self.times[index], t) @ values
        slack = 1e-9 * jnp.abs(self.times[-1] - self.times[0])
        return jnp.where(t <= self.times[-1] + slack, found, jnp.nan)


def _lagrange(nodes: Array, t: Array) -> Array:
    """Lagrange's polynomials of the nodes (m,) at t, (m,)."""
    same = jnp.eye(len(nodes), dtype=bool)
    gaps = jnp.where(same, 1.0, nodes[:, None] - nodes[None, :])
    parts = jnp.where(same, 1.0, (t - nodes)[None, :] / gaps)
    return jnp.prod(parts, axis=1)


def weights_of(ansatz: Ansatz) -> Array:
    """All weights as one vector (P,)."""
    return ravel_pytree(eqx.filter(ansatz, eqx.is_inexact_array))[0]


def with_weights(ansatz: Ansatz, weights: Array) -> Ansatz:
    """The ansatz with other weights (P,)."""
    arrays, static = eqx.partition(ansatz, eqx.is_inexact_array)
    return eqx.combine(ravel_pytree(arrays)[1](weights), static)
