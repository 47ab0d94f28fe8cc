"""Mean diagonals of the tangent kernel of weighted residuals."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.training.objective import Rows

TOGETHER = 64
"""Places whose gradients are held at a time."""


def mean_diagonals(parts: Sequence[Rows], params: Any, places: int) -> Array:
    """sum over places of weight^2 |d r / d params|^2 for every residual of every part, (R,).

    With weights N^(-1/2) this is the mean of the kernel's diagonal. At most `places` of a part,
    evenly spaced, are taken and stand for all of them. The values of a part with a single place
    (an integral over space, say, at all its times) are one residual.
    """
    return jnp.concatenate([_of(part, params, places) for part in parts])


def _of(part: Rows, params: Any, places: int) -> Array:
    arrays, static = eqx.partition(params, eqx.is_inexact_array)
    count, width = part.weights.shape
    few = min(count, places)
    chosen = jnp.arange(few) * count // few

    def at(place: Any) -> Array:
        values, pull = jax.vjp(lambda a: part.function(eqx.combine(a, static), place), arrays)
        rows = jax.vmap(lambda e: pull(e)[0])(jnp.eye(width, dtype=values.dtype))
        squares = [jnp.sum(leaf**2, range(1, leaf.ndim)) for leaf in jax.tree.leaves(rows)]
        return jnp.sum(jnp.stack(squares), axis=0)

    where = jax.tree.map(lambda leaf: leaf[chosen], part.places)
    found = jax.lax.map(at, where, batch_size=min(few, TOGETHER))
    total = count / few * jnp.sum(part.weights[chosen] ** 2 * found, axis=0)
    return jnp.sum(total, keepdims=True) if count == 1 else total
