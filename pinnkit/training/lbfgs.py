"""Limited-memory BFGS."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.training.line_searched import Curvature, LineSearched, Step
from pinnkit.training.stage import whole


class Pairs(eqx.Module):
    """The last m steps s and changes of the gradient y (m, P), and rho = 1/(s.y) (m,).

    A ring: `next` is the row that the next pair takes. Rows not in use have rho = 0.
    """

    s: Array
    y: Array
    rho: Array
    next: Array

    def times(self, vector: Array, scale: Array) -> Array:
        """H v for the H that BFGS makes of `scale` I by these pairs, 4 m P operations.

        Two loops over the pairs (Nocedal & Wright 2006, algorithm 7.4).
        """
        count = self.rho.size
        # from the latest pair to the first
        order = (self.next - 1 - jnp.arange(count)) % count

        def down(q: Array, i: Array) -> tuple[Array, Array]:
            a = self.rho[i] * (self.s[i] @ q)
            return q - a * self.y[i], a

        def up(r: Array, at: tuple[Array, Array]) -> tuple[Array, None]:
            i, a = at
            return r + (a - self.rho[i] * (self.y[i] @ r)) * self.s[i], None

        q, found = jax.lax.scan(down, vector, order)
        return jax.lax.scan(up, scale * q, (order, found), reverse=True)[0]

    def taken(self, step: Step) -> "Pairs":
        """With the pair of a step in the place of the oldest, if it is sound."""
        i, good = self.next, step.sound
        put = lambda ring, row: ring.at[i].set(jnp.where(good, row, ring[i]))  # noqa: E731
        following = jnp.where(good, (i + 1) % self.rho.size, i)
        rho = put(self.rho, 1.0 / step.product)
        return Pairs(put(self.s, step.s), put(self.y, step.y), rho, following)


@dataclass(frozen=True)
class LBFGS(LineSearched):
    """L-BFGS with `history` pairs (Liu & Nocedal 1989), for networks too large for SSBFGS.

    H is what BFGS makes of (s.y/y.y) I by the last pairs; it takes 16 m P bytes. Line search,
    batches and failures as in `LineSearched`: if a search fails, the pairs are forgotten.
    """

    resample_every: int | None = 500
    refreeze_every: int | None = 500
    history: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        whole(self, history=self.history)

    def identity_matrix(self, x: Array) -> Pairs:
        rows = jnp.zeros((self.history, x.size), x.dtype)
        return Pairs(rows, rows, rows[:, 0], jnp.zeros((), jnp.int32))

    def updated(self, old: Curvature, step: Step, scale: Array) -> tuple[Pairs, Array, Array]:
        pairs = old.H.taken(step)
        return pairs, -pairs.times(step.gradient, scale), step.sound

    def mended(
        self, H: Pairs, direction: Array, scale: Array, gradient: Array, old: Curvature
    ) -> tuple[Pairs, Array, Array]:
        empty = eqx.tree_at(lambda pairs: pairs.rho, H, jnp.zeros_like(H.rho))
        return empty, -scale * gradient, jnp.asarray(True)
