"""What a step may ask of an objective, in the flattened parameters x."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.training.objective import Batch, Objective, Params, Rows

Unpack = Callable[[Array], Params]


@dataclass(frozen=True)
class Evaluation:
    """Loss, gradient and residuals of `objective` at x (P,); `unpack` makes the parameters of x."""

    objective: Objective
    unpack: Unpack

    def __call__(self, x: Array, batch: Batch) -> tuple[tuple[Array, dict[str, Array]], Array]:
        """((loss, mean squares), gradient), gradient (P,)."""
        return jax.value_and_grad(self.loss, has_aux=True)(x, batch)

    def loss(self, x: Array, batch: Batch) -> tuple[Array, dict[str, Array]]:
        """Loss and mean squares."""
        return self.objective.loss(self.unpack(x), batch)

    def residuals(self, x: Array, batch: Batch) -> Array:
        """r (m,) with |r|^2 = loss. Raises `MethodError` if the objective gives none."""
        return self.objective.residuals(self.unpack(x), batch)

    def jacobian(self, x: Array, batch: Batch) -> tuple[Array, Array]:
        """r (m,) and J = dr/dx (m, P).

        One reverse sweep per residual through the function of its own place alone, all places at
        once: the cost of the one gradient, times what it takes to write m P numbers.
        """
        parts = self.objective.rows(self.unpack(x), batch)
        found = [_jacobian(part, self.unpack, x) for part in parts]
        return jnp.concatenate([r for r, _ in found]), jnp.concatenate([j for _, j in found])


def _jacobian(part: Rows, unpack: Unpack, x: Array) -> tuple[Array, Array]:
    def at(place: object, weight: Array) -> tuple[Array, Array]:
        values, pull = jax.vjp(lambda v: part.function(unpack(v), place), x)
        basis = jnp.eye(values.size, dtype=values.dtype)
        rows = jax.vmap(lambda e: pull(e)[0])(basis * weight[None, :])
        return weight * values, rows

    values, rows = jax.vmap(at)(part.places, part.weights)
    return jnp.ravel(values), rows.reshape(-1, x.size)
