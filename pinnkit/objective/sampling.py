"""Batches drawn inside compiled code from fixed pools of well-spread points."""

import jax
import jax.numpy as jnp
from jax import Array


def window(key: Array, size: int, count: int) -> Array:
    """Indices (count,) of a cyclic window at a random place of a pool of `size` points.

    A stretch of a low-discrepancy sequence is itself well spread.
    """
    start = jax.random.randint(key, (), 0, size)
    return (start + jnp.arange(count)) % size


def residual_adaptive(key: Array, residual: Array, count: int, offset: float = 1.0) -> Array:
    """Indices (count,) of candidates drawn without repetition, p ~ |r|/mean|r| + offset.

    Residual-based adaptive distribution (Wu, Zhu, Tan, Kartha & Lu, Comput. Methods Appl. Mech.
    Engrg. 403 (2023) 115671, with k = 1). The draw is the top `count` of log p + Gumbel noise,
    whose shapes do not depend on the residuals (N,). Non-finite residuals count as the largest.
    """
    size = jnp.abs(residual)
    largest = jnp.max(jnp.where(jnp.isfinite(size), size, 0))
    size = jnp.where(jnp.isfinite(size), size, largest)
    density = size / jnp.maximum(jnp.mean(size), jnp.finfo(size.dtype).tiny) + offset
    noise = jax.random.gumbel(key, size.shape, size.dtype)
    return jax.lax.top_k(jnp.log(density) + noise, count)[1]
