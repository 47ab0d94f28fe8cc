"""Causal weights: late times count only once earlier times are solved.

Wang, Sankaran & Perdikaris, Comput. Methods Appl. Mech. Engrg. 421 (2024) 116813, eqs. for w_i.
The authors' published code states that a patent application covers the causal training
algorithm; this implementation is written from the published equations alone. Whether it may be
used for a given purpose is for the user to judge; `PINN(causality=0)` does not use it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError


def slab_means(squares: Array, slab: Array, slabs: int) -> tuple[Array, Array]:
    """Mean of `squares` (N,) over the points of each time slab, and which slabs hold points.

    `slab` (N,) numbers each point's own slab, so the order of the points is irrelevant. An empty
    slab has mean zero. Returns (slabs,) floats and (slabs,) booleans.
    """
    zero = jnp.zeros(slabs, squares.dtype)
    count = zero.at[slab].add(1)
    total = zero.at[slab].add(squares)
    return total / jnp.maximum(count, 1), count > 0


def causal_weights(means: Array, epsilon: float | Array) -> Array:
    """w_i = exp(-epsilon sum_{k<i} L_k) for slab means L (slabs,); no gradient passes.

    w_0 = 1, and w does not increase with time.
    """
    # a shifted sum, as subtracting L_i from the full sum would let it in through rounding
    past = jnp.cumsum(jnp.concatenate([jnp.zeros(1, means.dtype), means[:-1]]))
    return jax.lax.stop_gradient(jnp.exp(-epsilon * past))


class TimeSlabs(eqx.Module):
    """Equal slabs of the time interval [start, end] and the strength epsilon of causality.

    epsilon = 0 gives equal weights. Raises `OptionError` for no slabs or a negative epsilon.
    """

    start: float = eqx.field(static=True)
    end: float = eqx.field(static=True)
    slabs: int = eqx.field(static=True, default=32)
    epsilon: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        if self.slabs < 1 or not self.epsilon >= 0:
            raise OptionError(
                f"Causal weights with slabs={self.slabs}, epsilon={self.epsilon} make no sense. "
                "Give at least one slab and an epsilon of zero or more."
            )

    def of(self, time: Array) -> Array:
        """Number of the slab of each time, (N,) -> (N,) integers."""
        position = (time - self.start) / (self.end - self.start) * self.slabs
        return jnp.clip(position.astype(jnp.int32), 0, self.slabs - 1)

    def weights(self, squares: Array, time: Array) -> Array:
        """Weights (slabs,) from summed squared residuals (N,) at their own times (N,)."""
        means, _ = slab_means(squares, self.of(time), self.slabs)
        return causal_weights(means, self.epsilon)

    def mean(self, squares: Array, time: Array, weights: Array) -> Array:
        """sum_i w_i L_i / (number of slabs that hold points): the weighted mean square."""
        means, held = slab_means(squares, self.of(time), self.slabs)
        return jnp.sum(weights * means) / jnp.maximum(jnp.sum(held), 1)
