"""Self-scaled BFGS whose inverse Hessian is kept as a product J J^T."""

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from pinnkit.training.evaluation import Unpack
from pinnkit.training.line_searched import Curvature, LineSearched, Step, require_dense
from pinnkit.training.stage import StageState, flat


class Root(eqx.Module):
    """J (P, P) with H = J J^T, and J^T g (P,) for the present gradient."""

    J: Array
    slopes: Array


@dataclass(frozen=True)
class FactoredSSBFGS(LineSearched):
    """The steps of `SSBFGS` from a factor of H, positive definite whatever the rounding.

    With s = x' - x = -alpha H g, y = g' - g, rho = 1/(y.s) and tau = min(1, 1/b) for
    b = -alpha (g.s) rho, the update of `QuasiNewton` for phi = 1 is a product:

        J' = (J - s u^T)/sqrt(tau),  u = rho J^T y + alpha rho sqrt(tau/b) J^T g

    (product form: Brodlie, Gourlay & Greenstadt, J. Inst. Maths Applics 11 (1973) 73). The factor
    resolves eigenvalues of H down to the square of rounding, where H itself becomes indefinite
    as the loss falls by many orders of magnitude. A step reads J twice more than `SSBFGS` reads H
    once. If a search fails, H becomes a multiple of the identity.

    J takes 8 P^2 bytes. Raises `MethodError` above `largest` parameters.
    """

    largest: int = 8000

    def init(self, x: Array, squares: dict[str, Array], unpack: Unpack = flat) -> StageState:
        require_dense(self, x.size, self.largest)
        return super().init(x, squares, unpack)

    def identity_matrix(self, x: Array) -> Root:
        return Root(jnp.eye(x.size, dtype=x.dtype), jnp.zeros_like(x))

    def updated(self, old: Curvature, step: Step, scale: Array) -> tuple[Root, Array, Array]:
        """New J and direction -J J^T g'; where the step is not sound J stays."""
        J, gradient, good = old.H.J, step.gradient, step.sound
        # a first update starts from (s.y/y.y) I: steps of length one fit from there on
        start = jnp.where(old.fresh & good, jnp.sqrt(scale / old.scale), 1.0)
        slopes = gradient @ J
        rho = 1.0 / step.product
        # H, and with it alpha in s = -alpha H g, changes at the start by its square
        alpha = step.alpha / start**2
        b = jnp.where(good, -alpha * (old.gradient @ step.s) * rho, 1.0)
        good = good & (b > 0)
        b = jnp.where(good, b, 1.0)
        tau = jnp.where(good & ~old.fresh, jnp.minimum(1.0, 1.0 / b), 1.0)
        u = rho * (slopes - old.H.slopes) + alpha * rho * jnp.sqrt(tau / b) * old.H.slopes
        u = jnp.where(good, start * u, 0.0)
        s = jnp.where(good, step.s, 0.0)
        root = jnp.sqrt(tau)
        new = (start * J - s[:, None] * u[None, :]) / root
        slopes = (start * slopes - u * (s @ gradient)) / root
        return Root(new, slopes), -(new @ slopes), good

    def mended(
        self, H: Root, direction: Array, scale: Array, gradient: Array, old: Curvature
    ) -> tuple[Root, Array, Array]:
        root = jnp.sqrt(scale)
        whole = Root(root * jnp.eye(gradient.size, dtype=gradient.dtype), root * gradient)
        return whole, -scale * gradient, jnp.asarray(True)
