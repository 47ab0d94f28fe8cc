"""What has no rule of its own: exact channels of any differentiable function by nested jvp."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.derivatives.channels.bundle import Bundle, Value, bundle, keys_of, scaled, value_of
from pinnkit.derivatives.channels.indices import Channels, Collapsed, Key, Orders

Function = Callable[..., list[Any]]


def by_curves(channels: Channels, function: Function, args: Sequence[Value]) -> list[Value]:
    """All channels of `function(*arrays) -> list of arrays`.

    Along the surface z(s) = sum_b z_b s^b / b! in s of shape (d,) the derivatives of f(z(s)) at
    s = 0 are those of the composition. For a collapsed operator P = sum_a c_a d^a these give the
    terms in which z_P does not appear, and f'(z_0) z_P is added.
    """
    zero = keys_of(args)[0]
    assert isinstance(zero, tuple)
    values = function(*map(value_of, args))
    smooth = [i for i, v in enumerate(values) if jnp.issubdtype(v.dtype, jnp.inexact)]
    found: list[dict[Key, Array]] = [{zero: v} for v in values]
    for key in channels.keys[1:]:
        pushed = _channel(lambda *a: [function(*a)[i] for i in smooth], args, key)
        for i, channel in zip(smooth, pushed or [], strict=pushed is not None):
            found[i][key] = channel
    return [bundle(zero, f) for f in found]


def _channel(function: Function, args: Sequence[Value], key: Key) -> list[Array] | None:
    """One channel of every result, None if it is zero."""
    if not isinstance(key, Collapsed):
        return _derivative(function, args, key, inclusive=True)
    result = _pushed(function, args, key)
    for orders, c in key.coefficients.items():
        if sum(orders) > 1:
            part = [scaled(c, p) for p in _derivative(function, args, orders, inclusive=False)]
            result = part if result is None else [r + p for r, p in zip(result, part, strict=True)]
    return result


def _pushed(function: Function, args: Sequence[Value], key: Key) -> list[Array] | None:
    """f'(z_0) z_key, None if z_key is zero."""
    fixed = list(map(value_of, args))
    tangents = [a.get(key) if isinstance(a, Bundle) else None for a in args]
    moving = {i: t for i, t in enumerate(tangents) if t is not None}
    if not moving:
        return None

    def of(chosen: list[Array]) -> list[Array]:
        table = dict(zip(moving, chosen, strict=True))
        return function(*(table.get(i, a) for i, a in enumerate(fixed)))

    return jax.jvp(of, ([fixed[i] for i in moving],), (list(moving.values()),))[1]


def _derivative(
    function: Function, args: Sequence[Value], orders: Orders, inclusive: bool
) -> list[Array]:
    """d^orders of f(z(s)) at s = 0; `inclusive` keeps the channel `orders` itself in z(s)."""

    def along(s: Array) -> list[Array]:
        return function(*(_surface(a, s, orders, inclusive) for a in args))

    at: Callable[[Array], list[Array]] = along
    for axis, repeated in enumerate(orders):
        for _ in range(repeated):
            at = _directional(at, axis)
    dtype = next(a.value.dtype for a in args if isinstance(a, Bundle))
    return at(jnp.zeros(len(orders), jnp.finfo(dtype).dtype))


def _directional(at: Callable[[Array], list[Array]], axis: int) -> Callable[[Array], list[Array]]:
    return lambda s: jax.jvp(at, (s,), (jnp.zeros_like(s).at[axis].set(1),))[1]


def _surface(value: Value, s: Array, orders: Orders, inclusive: bool) -> Any:
    if not isinstance(value, Bundle):
        return value
    result = value.value
    for key, channel in value.derivatives.items():
        if isinstance(key, Collapsed) or any(k > n for k, n in zip(key, orders, strict=True)):
            continue
        if inclusive or key != orders:
            result = result + _monomial(s, key) * channel
    return result


def _monomial(s: Array, orders: Orders) -> Any:
    """s^b / b! by products alone, which differentiate cleanly at zero."""
    result: Any = 1.0
    for axis, repeated in enumerate(orders):
        for k in range(repeated):
            result = result * s[axis] / (k + 1)
    return result
