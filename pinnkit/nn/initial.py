"""Initial weights, and checks of sizes, shared by the architectures."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError


def glorot(key: Array, n_in: int, n_out: int) -> Array:
    """(n_in, n_out), each entry N(0, 2/(n_in + n_out)): Glorot & Bengio (2010), eq. 16.

    The array has the default float type of the surrounding precision scope.
    """
    return (
        jax.random.normal(key, (n_in, n_out), jnp.result_type(float))
        * (2.0 / (n_in + n_out)) ** 0.5
    )


def dense(key: Array, sizes: Sequence[int]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Weights and zero biases of layers between consecutive `sizes`."""
    keys = jax.random.split(key, len(sizes) - 1)
    pairs = tuple(pairwise(sizes))
    weights = tuple(glorot(k, *pair) for k, pair in zip(keys, pairs, strict=True))
    return weights, tuple(jnp.zeros(n, jnp.result_type(float)) for _, n in pairs)


def first_layer(key: Array, n_in: int, n_out: int, frequency: float) -> tuple[Array, Array]:
    """Weights (n_in, n_out) ~ N(0, frequency^2 / n_in) and biases (n_out,) as large, uniform.

    For inputs that span [-1, 1]: units begin with about `frequency` radians across half the domain,
    and bend at places all over it. Glorot's weights without biases begin nearly linear instead.
    """
    first, second = jax.random.split(key)
    size, kind = frequency / n_in**0.5, jnp.result_type(float)
    weights = size * jax.random.normal(first, (n_in, n_out), kind)
    return weights, jax.random.uniform(second, (n_out,), kind, -size, size)


def require_sizes(architecture: Any, *names: str) -> None:
    """Raise `OptionError` unless these attributes are whole numbers of at least 1."""
    for name in names:
        value = getattr(architecture, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise OptionError(
                f"{type(architecture).__name__}({name}={value!r}) is not a size. "
                "Give a whole number of at least 1."
            )


def require_positive(architecture: Any, *names: str) -> None:
    """Raise `OptionError` unless these attributes are positive numbers."""
    for name in names:
        value = getattr(architecture, name)
        if not value > 0:
            raise OptionError(
                f"{type(architecture).__name__}({name}={value!r}) must be positive. "
                "Give a number above zero."
            )
