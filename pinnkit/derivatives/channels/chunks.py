"""Points in chunks: sums over many points, and their gradient, with what fits in the cache."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

Params = Any
Function = Callable[[Any, Any, Array], tuple[Array, Any]]


def chunk_size(points: int, bytes_per_point: float, budget: float) -> int:
    """Points per chunk: as few chunks as keep each under `budget` bytes, all but the last equal."""
    chunks = max(1, math.ceil(points * bytes_per_point / budget))
    return math.ceil(points / min(chunks, points))


def mapped(function: Callable[[Any], Any], data: Any, size: int) -> Any:
    """function(data) for a function that treats every place by itself, chunk by chunk.

    `data` and the result are pytrees of arrays (N, ...).
    """
    count = _count(data)
    if size >= count:
        return function(data)
    pieces, _ = _split(data, size)
    found = jax.lax.map(function, pieces)
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:count], found)


def summed(
    function: Function, params: Params, data: Any, size: int, counted: Array | None = None
) -> tuple[Array, Any]:
    """sum over chunks of function(params, chunk, mask) -> (scalar, other sums).

    `data` is a pytree of arrays (N, ...), `chunk` holds `size` of its places and `mask` (size,)
    is zero for those that only fill up the last chunk, or are not `counted` (N,). With several
    chunks the gradient of the scalar in `params` is accumulated in the same pass as the value, so
    that no intermediate result outlives its chunk: reverse mode goes through once and nothing flows
    back to `data` or from the other sums; forward mode is refused. A single chunk is an ordinary
    call.
    """
    count = _count(data)
    if size >= count:
        return function(params, data, jnp.ones(count) if counted is None else counted)
    pieces, masks = _split(data, size)
    if counted is not None:
        masks = masks * _split(counted, size)[0]

    def accumulate(each: Callable[[Any, Array], Any], parts: tuple[Any, Array]) -> Any:
        first = jax.tree.map(lambda a: a[0], parts)
        shapes = jax.eval_shape(each, *first)
        start = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        add = lambda carry, part: (jax.tree.map(jnp.add, carry, each(*part)), None)  # noqa: E731
        return jax.lax.scan(add, start, parts)[0]

    @jax.custom_vjp
    def run(params: Params, parts: tuple[Any, Array]) -> tuple[Array, Any]:
        return accumulate(lambda chunk, mask: function(params, chunk, mask), parts)

    def forward(params: Params, parts: tuple[Any, Array]) -> tuple[tuple[Array, Any], Params]:
        both = jax.value_and_grad(function, has_aux=True)
        return accumulate(lambda chunk, mask: both(params, chunk, mask), parts)

    def backward(gradient: Params, cotangent: tuple[Array, Any]) -> tuple[Params, None]:
        return jax.tree.map(lambda g: (cotangent[0] * g).astype(g.dtype), gradient), None

    run.defvjp(forward, backward)
    return run(params, (pieces, masks))


def _count(data: Any) -> int:
    return jax.tree.leaves(data)[0].shape[0]


def _split(data: Any, size: int) -> tuple[Any, Array]:
    """Pieces (chunks, size, ...) with the last place repeated at the end, and their masks."""
    count = _count(data)
    chunks = -(-count // size)
    spare = chunks * size - count

    def cut(leaf: Array) -> Array:
        if spare:
            leaf = jnp.concatenate([leaf, jnp.repeat(leaf[-1:], spare, axis=0)])
        return leaf.reshape(chunks, size, *leaf.shape[1:])

    masks = (jnp.arange(chunks * size) < count).astype(jnp.result_type(float))
    return jax.tree.map(cut, data), masks.reshape(chunks, size)
