"""Derivatives of residuals with respect to the parameters of a problem."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.derivatives.basis import SMALLEST_BATCH

Slopes = Callable[[Mapping, Mapping, Mapping], np.ndarray]


@functools.lru_cache(maxsize=128)
def parameter_slopes(fn: Callable[[Any, Any, Any], Any], names: tuple[str, ...]) -> Slopes:
    """Compile (values, z, params) -> d fn / d params[names], (N, r), at fixed term values.

    Forward mode, one tangent per parameter. Points are padded to the next power of two, so that
    few sizes are compiled.
    """

    @jax.jit
    def compiled(values: Any, z: Any, params: Any) -> Any:
        def of(chosen: Any) -> Any:
            given = {**params, **{name: chosen[i] for i, name in enumerate(names)}}
            return jnp.broadcast_to(fn(values, z, given), shape)

        shape = next(iter(z.values())).shape
        _, push = jax.linearize(of, jnp.stack([jnp.asarray(params[n], float) for n in names]))
        return jax.vmap(push)(jnp.eye(len(names)))

    def call(values: Mapping, z: Mapping, params: Mapping) -> np.ndarray:
        count = next(iter(z.values())).shape[0]
        padded = max(SMALLEST_BATCH, 1 << (count - 1).bit_length())

        def pad(array: np.ndarray) -> np.ndarray:
            return np.concatenate([array, np.full(padded - count, array[-1])])

        inputs = ({k: pad(v) for k, v in given.items()} for given in (values, z))
        return np.asarray(compiled(*inputs, dict(params))).T[:count]

    return call
