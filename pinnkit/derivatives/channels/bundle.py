"""Values on their way through a network: all derivative channels of one array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.derivatives.channels.indices import Key


class Bundle:
    """Channels of an array by key, each of the array's shape. A missing channel is exactly zero.

    The value itself is `bundle.value`, under the key `bundle.zero`.
    """

    def __init__(self, zero: Key, channels: Mapping[Key, Array]):
        self.zero, self.channels = zero, dict(channels)

    @property
    def value(self) -> Array:
        """The undifferentiated array."""
        return self.channels[self.zero]

    @property
    def derivatives(self) -> dict[Key, Array]:
        """All channels but the value."""
        return {key: c for key, c in self.channels.items() if key != self.zero}

    def get(self, key: Key) -> Array | None:
        """The channel, or None where it is zero."""
        return self.channels.get(key)

    def map(self, fn: Callable[[Array], Array]) -> Value:
        """A linear function of the array applied to every channel."""
        return bundle(self.zero, {key: fn(c) for key, c in self.channels.items()})


Value: TypeAlias = Bundle | Any
"""A bundle, or an array that does not depend on the point."""


def bundle(zero: Key, channels: Mapping[Key, Array]) -> Value:
    """A bundle, or its value alone if all other channels are missing."""
    return Bundle(zero, channels) if len(channels) > 1 else channels[zero]


def value_of(value: Value) -> Any:
    """The undifferentiated array of a value."""
    return value.value if isinstance(value, Bundle) else value


def keys_of(values: Iterable[Value]) -> list[Key]:
    """Keys of all non-zero channels among values, the undifferentiated one first."""
    found: dict[Key, None] = {}
    for value in values:
        if isinstance(value, Bundle):
            found |= dict.fromkeys([value.zero, *value.channels])
    return list(found)


def zeros(like: Any) -> Array:
    """Zeros of the shape and type of an array or tracer."""
    aval = jax.typeof(like)
    return jnp.zeros(aval.shape, aval.dtype)


def scaled(coefficient: Any, array: Array) -> Array:
    """coefficient * array in the array's own precision, nothing done for a coefficient of one."""
    if isinstance(coefficient, (int, float)):
        return array if coefficient == 1 else float(coefficient) * array
    return jnp.asarray(coefficient, array.dtype) * array


def total(parts: Iterable[Array]) -> Array | None:
    """Sum of arrays, None if there are none."""
    result = None
    for part in parts:
        result = part if result is None else result + part
    return result
