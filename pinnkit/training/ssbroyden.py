"""Self-scaled Broyden."""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array

from pinnkit.training.quasi_newton import QuasiNewton


@dataclass(frozen=True)
class SSBroyden(QuasiNewton):
    """Self-scaled Broyden, the second variant of Urbán, Stefanou & Pons (2025); see `QuasiNewton`.

    With a = h b - 1 and r = min(1, h (1 - sqrt(a/(1 + a)))):

        theta = max((r - 1)/a, min(1/r, (1 - b)/b)),       sigma = 1 + theta a,
        phi = (1 - theta)/sigma,                           s = sigma**(1/(1 - P)),
        tau = min(p s, sigma) if theta <= 0 else p min(s, 1/theta),    p = min(1, 1/b).

    theta = 0 is BFGS and theta = 1 is DFP; where a vanishes to rounding SSBFGS is taken.
    """

    def coefficients(self, h: Array, b: Array, size: int) -> tuple[Array, Array]:
        a = h * b - 1
        usable = a > 1e-12
        a = jnp.where(usable, a, 1.0)
        r = jnp.minimum(1.0, h * (1 - jnp.sqrt(a / (1 + a))))
        theta = jnp.maximum((r - 1) / a, jnp.minimum(1 / r, (1 - b) / b))
        sigma = 1 + theta * a
        spread = sigma ** (1 / (1 - max(size, 2)))
        p = jnp.minimum(1.0, 1.0 / b)
        # the second alternative is not taken for theta <= 0
        beyond = p * jnp.minimum(spread, 1 / jnp.where(theta > 0, theta, 1.0))
        tau = jnp.where(theta <= 0, jnp.minimum(p * spread, sigma), beyond)
        phi = (1 - theta) / sigma
        usable = usable & (r > 0) & (sigma > 0) & jnp.isfinite(tau) & (tau > 0)
        return jnp.where(usable, tau, p), jnp.where(usable, phi, 1.0)
