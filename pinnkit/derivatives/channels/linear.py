"""Linear primitives: every channel goes through the operation by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array

from pinnkit.derivatives.channels.bundle import (
    Bundle,
    Value,
    bundle,
    keys_of,
    value_of,
    zeros,
)

Bind = Callable[..., Any]


def apply(bind: Bind, args: Sequence[Value], slots: Sequence[int]) -> list[Value]:
    """All results of `bind(*arrays)`, linear in the operands `slots` together.

    `bind` returns a list. The other operands are constant.
    """
    (zero, *others) = keys_of(args)
    results = [{zero: r} for r in bind(*map(value_of, args))]
    for key in others:
        found = bind(*(_channel(a, key) if i in slots else a for i, a in enumerate(args)))
        for channels, result in zip(results, found, strict=True):
            channels[key] = result
    return [bundle(zero, channels) for channels in results]


def _channel(value: Value, key: Any) -> Any:
    channel = value.get(key) if isinstance(value, Bundle) else None
    return zeros(value_of(value)) if channel is None else channel


def add(a: Value, b: Value, shape: tuple[int, ...], sign: int = 1) -> Value:
    """a + b or a - b; a constant touches the value alone."""
    (zero, *others) = keys_of((a, b))
    combine = jnp.add if sign > 0 else jnp.subtract
    found = {zero: combine(value_of(a), value_of(b))}
    for key in others:
        left, right = (v.get(key) if isinstance(v, Bundle) else None for v in (a, b))
        if left is None:
            assert right is not None
            channel = right if sign > 0 else -right
        else:
            channel = left if right is None else combine(left, right)
        found[key] = jnp.broadcast_to(channel, shape)
    return Bundle(zero, found)


def select(predicate: Any, cases: Sequence[Value], bind: Bind) -> Value:
    """select_n with a predicate that is constant between its jumps."""
    slots = range(1, len(cases) + 1)
    return apply(bind, (predicate, *cases), slots)[0]


def larger(a: Value, b: Value, shape: tuple[int, ...], sign: int) -> Value:
    """max (sign 1) or min (sign -1): the channels of the operand taken, their mean at ties."""
    (zero, *others) = keys_of((a, b))
    left, right = value_of(a), value_of(b)
    value = jnp.maximum(left, right) if sign > 0 else jnp.minimum(left, right)
    share = 0.5 * (1.0 + sign * jnp.sign(left - right)).astype(value.dtype)
    found = {zero: value}
    for key in others:
        parts = []
        for operand, weight in ((a, share), (b, 1.0 - share)):
            channel = operand.get(key) if isinstance(operand, Bundle) else None
            if channel is not None:
                parts.append(weight * channel)
        found[key] = jnp.broadcast_to(sum(parts[1:], start=parts[0]), shape)
    return Bundle(zero, found)


def extremum(a: Bundle, axes: tuple[int, ...], sign: int) -> Value:
    """reduce_max or reduce_min: channels where the extremum is taken, their mean at ties."""
    value = jnp.max(a.value, axes) if sign > 0 else jnp.min(a.value, axes)
    taken = (a.value == jnp.expand_dims(value, axes)).astype(a.value.dtype)
    weight = taken / jnp.sum(taken, axes, keepdims=True)
    found: dict[Any, Array] = {a.zero: value}
    found |= {key: jnp.sum(weight * c, axes) for key, c in a.derivatives.items()}
    return Bundle(a.zero, found)
