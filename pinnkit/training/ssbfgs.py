"""Self-scaled BFGS."""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from pinnkit.training.quasi_newton import QuasiNewton


@dataclass(frozen=True)
class SSBFGS(QuasiNewton):
    """Self-scaled BFGS: BFGS on H/tau, tau = min(1, 1/b), that is phi = 1; see `QuasiNewton`."""

    def coefficients(self, h: Array, b: Array, size: int) -> tuple[Array, Array]:
        return jnp.minimum(1.0, 1.0 / b), jnp.ones_like(b)
