"""All derivative channels of a point function at many points, in one pass through its jaxpr."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.derivatives.channels.bundle import Bundle, zeros
from pinnkit.derivatives.channels.chunks import chunk_size
from pinnkit.derivatives.channels.indices import Channels, Collapsed, Key, Orders
from pinnkit.derivatives.channels.interpret import Interpreter

PointFunction = Callable[[Array], Array]
CACHE = 0.45e6
"""Bytes of one layer's channels in a chunk: about half of a core's cache, by measurement."""
FEWEST = 128
"""Points in a chunk below which products of wide layers slow down, by measurement."""


def propagate(
    f: PointFunction,
    points: Array,
    orders: Iterable[Orders],
    operators: Iterable[Collapsed] = (),
    *,
    stacked: bool | None = None,
) -> Mapping[Key, Array]:
    """Derivatives of f: (d,) -> (c,) at points (N, d), each (N, c), by key.

    The result holds every multi-index at or below those asked for (and those that the operators
    need), and each operator P = sum_a c_a d^a under itself. The jaxpr of the vectorised function is
    walked once and each equation handles all channels: linear maps channel by channel, functions
    of one number by Faa di Bruno's formula, products by Leibniz'. What has no rule is
    differentiated by nested `jvp`, for that equation alone (see `examine`). Seeds have the type of
    the points. Works under `jit`, `grad` and `vmap`, and equals nested differentiation to rounding.

    `stacked` multiplies all channels by a weight matrix at once, instead of one by one; by default
    one by one on CPUs, where that spares a copy, and at once elsewhere.
    """
    channels = Channels.of(points.shape[1], orders, operators)
    return _pass(f, points, channels, stacked)[0]


@dataclasses.dataclass(frozen=True)
class Account:
    """How a function is differentiated.

    `channels`: their number; `fallbacks`: names of the operations without a rule.
    """

    channels: int
    fallbacks: tuple[str, ...]

    def describe(self) -> str:
        """In words, for people."""
        words = f"{self.channels} channel{'s' * (self.channels > 1)}"
        if self.fallbacks:
            words += f", nested jvp for {', '.join(self.fallbacks)}"
        return words


def examine(
    f: PointFunction,
    points: Array | jax.ShapeDtypeStruct,
    orders: Iterable[Orders],
    operators: Iterable[Collapsed] = (),
) -> Account:
    """The account of `propagate` with the same arguments; nothing is computed."""
    channels = Channels.of(points.shape[1], orders, operators)
    few = jax.ShapeDtypeStruct((3, points.shape[1]), points.dtype)
    notes: list[tuple[str, ...]] = []
    jax.eval_shape(lambda z: notes.append(_pass(f, z, channels, None)[1]), few)
    fallbacks = tuple(dict.fromkeys(notes[0]))
    return Account(len(channels.keys), fallbacks)


def points_per_chunk(f: PointFunction, points: Array, channels: int, max_memory: float) -> int:
    """Places to propagate at a time, of (N, d) points.

    On CPUs the channels of the largest intermediate array stay in the cache, which is quicker than
    all points at once. Everywhere those of all intermediate arrays together, as reverse mode keeps
    them, stay below `max_memory` bytes.
    """
    few = jax.ShapeDtypeStruct((2, points.shape[1]), points.dtype)
    jaxpr = jax.make_jaxpr(jax.vmap(f))(few).jaxpr
    arrays: list[Any] = [few, *(v.aval for eqn in jaxpr.eqns for v in eqn.outvars)]
    sizes = [channels * a.size // 2 * a.dtype.itemsize for a in arrays]
    size = chunk_size(len(points), sum(sizes), max_memory)
    if jax.default_backend() == "cpu":
        size = min(size, chunk_size(len(points), min(max(sizes), CACHE / FEWEST), CACHE))
    return size


def _pass(
    f: PointFunction, points: Array, channels: Channels, stacked: bool | None
) -> tuple[dict[Key, Array], tuple[str, ...]]:
    if len(channels.keys) == 1:
        return {channels.value: jax.vmap(f)(points)}, ()
    if stacked is None:
        stacked = jax.default_backend() != "cpu"
    if points.shape[0] == 1:
        # products of vectors stay two-dimensional if the caller maps over single points
        found, fallbacks = _interpreted(f, points[0], channels, stacked)
        return {key: c[None] for key, c in found.items()}, fallbacks
    return _interpreted(jax.vmap(f), points, channels, stacked)


def _interpreted(
    f: PointFunction, points: Array, channels: Channels, stacked: bool
) -> tuple[dict[Key, Array], tuple[str, ...]]:
    closed = jax.make_jaxpr(f)(points)
    interpreter = Interpreter(channels, stacked)
    (result,) = interpreter.run(closed.jaxpr, closed.consts, [_seeds(channels, points)])
    if not isinstance(result, Bundle):
        result = Bundle(channels.value, {channels.value: result})
    empty = zeros(result.value)
    found = {key: result.channels.get(key, empty) for key in channels.keys}
    return found, tuple(interpreter.fallbacks)


def _seeds(channels: Channels, points: Array) -> Bundle:
    """Channels of the identity: the points, unit vectors for first orders, nothing above."""
    found: dict[Key, Array] = {channels.value: points}
    for key in channels.keys[1:]:
        first = key.coefficients if isinstance(key, Collapsed) else {key: 1.0}
        first = {orders: c for orders, c in first.items() if sum(orders) == 1}
        if first:
            row = jnp.zeros(points.shape[-1], points.dtype)
            for orders, c in first.items():
                row = row.at[orders.index(1)].add(jnp.asarray(c, points.dtype))
            found[key] = jnp.broadcast_to(row, points.shape)
    return Bundle(channels.value, found)
