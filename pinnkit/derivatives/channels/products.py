"""Products and quotients by Leibniz' formula, and matrix products of all channels at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from pinnkit.derivatives.channels.bundle import (
    Bundle,
    Value,
    bundle,
    scaled,
    total,
    value_of,
)
from pinnkit.derivatives.channels.indices import Channels, Key

Bilinear = Callable[[Any, Any], Array]


def product(channels: Channels, a: Value, b: Value, multiply: Bilinear) -> Value:
    """All channels of a bilinear function of two values, at least one of them a bundle."""
    if not isinstance(b, Bundle):
        return a.map(lambda c: multiply(c, b))
    if not isinstance(a, Bundle):
        return b.map(lambda c: multiply(a, c))
    found: dict[Key, Array] = {}
    for key in channels.keys:
        parts = []
        for coefficient, left, right in channels.products[key]:
            p, q = a.get(left), b.get(right)
            if p is not None and q is not None:
                parts.append(scaled(coefficient, multiply(p, q)))
        channel = total(parts)
        if channel is not None:
            found[key] = channel
    return bundle(a.zero, found)


def quotient(channels: Channels, a: Value, b: Bundle) -> Value:
    """q = a / b from a = q b: q_k = (a_k - sum' c q_l b_r) / b_0, without the term in q_k."""
    zero, below = b.zero, b.value
    found: dict[Key, Array] = {zero: value_of(a) / below}
    for key in channels.keys[1:]:
        parts = []
        for coefficient, left, right in channels.products[key]:
            q, r = found.get(left), b.get(right)
            if left != key and q is not None and r is not None:
                parts.append(scaled(coefficient, q * r))
        above, less = a.get(key) if isinstance(a, Bundle) else None, total(parts)
        if above is not None and less is not None:
            found[key] = (above - less) / below
        elif above is not None:
            found[key] = jnp.broadcast_to(above / below, found[zero].shape)
        elif less is not None:
            found[key] = -less / below
    return bundle(zero, found)


def matrix_product(a: Value, b: Value, params: dict[str, Any], stacked: bool) -> Value:
    """dot_general of a bundle and a constant.

    The bundle always goes on the left, as XLA's kernels for CPUs want the long axis there; the
    transpose that follows cancels against the one in the network. `stacked` concatenates the
    channels along a free axis and multiplies once; otherwise there is one product per channel.
    """
    (left, right), (batch_left, batch_right) = params["dimension_numbers"]
    if isinstance(a, Bundle):
        numbers = (left, right), (batch_left, batch_right)
        return _multiplied(a, b, numbers, params, stacked)
    numbers = (right, left), (batch_right, batch_left)
    swapped = _multiplied(b, a, numbers, params, stacked)
    batch = len(batch_left)
    own = b.value.ndim - batch - len(right)
    other = jnp.ndim(a) - batch - len(left)
    order = (*range(batch), *range(batch + own, batch + own + other), *range(batch, batch + own))
    return swapped.map(lambda c: jnp.transpose(c, order))


def _multiplied(a: Bundle, b: Any, numbers: Any, params: dict[str, Any], stacked: bool) -> Bundle:
    (contracted, _), (batch, _) = numbers

    def multiply(c: Array) -> Array:
        return lax.dot_general(
            c,
            b,
            numbers,
            precision=params["precision"],
            preferred_element_type=params["preferred_element_type"],
        )

    free = [i for i in range(a.value.ndim) if i not in (*contracted, *batch)]
    if not stacked or not free:
        return a.map(multiply)  # type: ignore[return-value]
    parts = list(a.channels.values())
    result = multiply(jnp.concatenate(parts, free[0]))
    split = jnp.split(result, len(parts), len(batch))
    return Bundle(a.zero, dict(zip(a.channels, split, strict=True)))
