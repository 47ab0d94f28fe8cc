"""Self-scaled quasi-Newton methods with a dense inverse Hessian."""

from abc import abstractmethod
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.training.evaluation import Unpack
from pinnkit.training.line_searched import Curvature, LineSearched, Step, require_dense
from pinnkit.training.stage import StageState, flat


@dataclass(frozen=True)
class QuasiNewton(LineSearched):
    """Self-scaled Broyden family; line search, batches and failures as in `LineSearched`.

    With s = x' - x, y = g' - g, rho = 1/(y.s), h = rho y.H y and b = -alpha (g.s) rho:

        H' = (H - H y y^T H/(y.H y) + phi (y.H y) v v^T)/tau + rho s s^T,  v = rho s - H y/(y.H y)

    where `coefficients` gives tau and phi (Urbán, Stefanou & Pons, J. Comput. Phys. 523 (2025)
    113656, after Al-Baali). H is often too large after the loss has fallen by orders of magnitude,
    so that the first trial step of `LineSearched` saves one to three evaluations a step.

    If a search fails, H is made positive definite again from its eigenvalues, cut off at rounding;
    if that search fails too, H becomes a multiple of the identity.

    H takes 8 P^2 bytes. Raises `MethodError` above `largest` parameters.
    """

    largest: int = 8000

    @abstractmethod
    def coefficients(self, h: Array, b: Array, size: int) -> tuple[Array, Array]:
        """tau and phi of the update for `size` parameters; h, b > 0 and h b >= 1."""

    def init(self, x: Array, squares: dict[str, Array], unpack: Unpack = flat) -> StageState:
        require_dense(self, x.size, self.largest)
        return super().init(x, squares, unpack)

    def identity_matrix(self, x: Array) -> Array:
        return jnp.eye(x.size, dtype=x.dtype)

    def updated(self, old: Curvature, step: Step, scale: Array) -> tuple[Array, Array, Array]:
        """New H and direction -H'g', H being read once for H g' and once for the update.

        H y = H g' - H g = H g' + d since d = -H g; and H' g' follows from the factors of the
        update.
        """
        s, y, gradient = step.s, step.y, step.gradient
        # a first update starts from (s.y/y.y) I: steps of length one fit from there on
        start = jnp.where(old.fresh & step.sound, scale / old.scale, 1.0)
        Hg = start * (old.H @ gradient)
        Hy = Hg + start * old.direction
        q = y @ Hy
        good = step.sound & (q > 0)
        one = lambda value: jnp.where(good, value, 1.0)  # noqa: E731
        zero = lambda vector: jnp.where(good, vector, 0.0)  # noqa: E731
        rho = 1.0 / one(step.product)
        b, h = -step.alpha * (old.gradient @ s) * rho, q * rho
        tau, phi = self.coefficients(one(h), one(b), s.size)
        tau, phi = jnp.where(old.fresh, 1.0, tau), jnp.where(old.fresh, 1.0, phi)
        w = zero(Hy / jnp.sqrt(one(q)))
        v = zero(jnp.sqrt(one(q)) * (rho * s) - w)
        r = zero(jnp.sqrt(rho) * s)
        H = (start * old.H - _outer(w) + phi * _outer(v)) / tau + _outer(r)
        direction = (Hg - w * (w @ gradient) + phi * v * (v @ gradient)) / tau + r * (r @ gradient)
        return H, -direction, good

    def mended(
        self, H: Array, direction: Array, scale: Array, gradient: Array, old: Curvature
    ) -> tuple[Array, Array, Array]:
        def positive() -> tuple[Array, Array, Array]:
            values, vectors = jnp.linalg.eigh(H)
            floor = jnp.finfo(H.dtype).eps * jnp.max(jnp.abs(values))
            mended = (vectors * jnp.maximum(values, floor)[None, :]) @ vectors.T
            return mended, -mended @ gradient, jnp.asarray(False)

        def multiple() -> tuple[Array, Array, Array]:
            whole = scale * jnp.eye(gradient.size, dtype=H.dtype)
            return whole, -scale * gradient, jnp.asarray(True)

        return jax.lax.cond(old.fresh | (old.failures > 0), multiple, positive)


def _outer(vector: Array) -> Array:
    return vector[:, None] * vector[None, :]
