"""Elementwise functions: their derivatives of every order, and Faa di Bruno's formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array, lax

from pinnkit.derivatives.channels.bundle import Bundle, Value, bundle, scaled, total
from pinnkit.derivatives.channels.indices import Channels, Key

Derivatives: TypeAlias = tuple[Array, Any, Sequence[Any]]
"""Value y, common factor s and q_1..q_n, with f^(k)(z) = s q_k; all arrays or Python floats."""
Rule: TypeAlias = Callable[[Array, int], Derivatives]


def compose(channels: Channels, z: Bundle, rule: Rule) -> Value:
    """All channels of f(z) from those of z."""
    sums = {key: _block_sums(channels, z, key) for key in channels.keys[1:]}
    sums = {key: blocks for key, blocks in sums.items() if blocks}
    order = max((max(blocks) for blocks in sums.values()), default=0)
    value, common, derivatives = rule(z.value, order)
    found: dict[Key, Array] = {z.zero: value}
    for key, blocks in sums.items():
        parts = [
            scaled(derivatives[k - 1], part)
            if isinstance(derivatives[k - 1], float)
            else derivatives[k - 1] * part
            for k, part in blocks.items()
            if not _is_zero(derivatives[k - 1])
        ]
        channel = total(parts)
        if channel is not None:
            found[key] = channel if common is None else common * channel
    return bundle(z.zero, found)


def _is_zero(number: Any) -> bool:
    return isinstance(number, float) and number == 0.0


def _block_sums(channels: Channels, z: Bundle, key: Key) -> dict[int, Array]:
    """By number of blocks: the sum over partitions of the products of channels."""
    found: dict[int, list[Array]] = {}
    for coefficient, blocks in channels.compositions[key]:
        factors = [z.get(block) for block in blocks]
        if all(factor is not None for factor in factors):
            product = math.prod(factors[1:], start=factors[0])  # type: ignore[arg-type]
            found.setdefault(len(blocks), []).append(scaled(coefficient, product))
    return {k: part for k, parts in found.items() if (part := total(parts)) is not None}


def nested(function: Callable[[Array], Array]) -> Rule:
    """Derivatives of any elementwise function by nested forward mode with unit tangents."""

    def rule(z: Array, order: int) -> Derivatives:
        derivatives, at = [], function
        for _ in range(order):
            at = _slope(at)
            derivatives.append(at(z))
        return function(z), None, derivatives

    return rule


def _slope(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda z: jax.jvp(function, (z,), (jnp.ones_like(z),))[1]


def _polynomial(coefficients: Sequence[float], y: Array, square: Array) -> Any:
    """Horner's scheme; even and odd polynomials are evaluated in y^2."""
    used = [k for k, c in enumerate(coefficients) if c]
    if not used:
        return 0.0
    odd = used[0] % 2 == 1 and all(k % 2 == 1 for k in used)
    if not odd and any(k % 2 == 1 for k in used):
        return _horner(coefficients, y)
    result = _horner(coefficients[int(odd) :: 2], square)
    return result * y if odd else result


def _horner(coefficients: Sequence[float], y: Array) -> Any:
    result: Any = float(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = result * y
        result = result + float(c) if c else result
    return result


def _times(p: Sequence[float], q: Sequence[float]) -> list[float]:
    result = [0.0] * (len(p) + len(q) - 1)
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            result[i + j] += a * b
    return result


def _slope_of(p: Sequence[float]) -> list[float]:
    return [k * c for k, c in enumerate(p)][1:] or [0.0]


def autonomous(function: Callable[[Array], Array], slope: Sequence[float]) -> Rule:
    """Functions with y' = p(y) for a polynomial p, as tanh (1 - y^2) and logistic (y - y^2).

    f^(k) = p(y) q_k(y) with q_1 = 1 and q_{k+1} = p' q_k + p q_k'.
    """

    def rule(z: Array, order: int) -> Derivatives:
        y = function(z)
        square = y * y
        polynomials = [[1.0]]
        for _ in range(order - 1):
            q = polynomials[-1]
            first, second = _times(_slope_of(slope), q), _times(slope, _slope_of(q))
            width = max(len(first), len(second))
            first, second = (p + [0.0] * (width - len(p)) for p in (first, second))
            polynomials.append([a + b for a, b in zip(first, second, strict=True)])
        common = 1.0 - square if slope == TANH else y - square
        return y, common, [_polynomial(q, y, square) for q in polynomials]

    return rule


TANH, LOGISTIC = (1.0, 0.0, -1.0), (0.0, 1.0, -1.0)


def _sine(z: Array, order: int) -> Derivatives:
    s, c = jnp.sin(z), jnp.cos(z)
    return s, None, [(c, -s, -c, s)[k % 4] for k in range(order)]


def _cosine(z: Array, order: int) -> Derivatives:
    s, c = jnp.sin(z), jnp.cos(z)
    return c, None, [(-s, -c, s, c)[k % 4] for k in range(order)]


def _exponential(z: Array, order: int) -> Derivatives:
    y = jnp.exp(z)
    return y, y, [1.0] * order


def _shifted_exponential(z: Array, order: int) -> Derivatives:
    return jnp.expm1(z), jnp.exp(z), [1.0] * order


def _hyperbolic_sine(z: Array, order: int) -> Derivatives:
    s, c = jnp.sinh(z), jnp.cosh(z)
    return s, None, [(c, s)[k % 2] for k in range(order)]


def _hyperbolic_cosine(z: Array, order: int) -> Derivatives:
    s, c = jnp.sinh(z), jnp.cosh(z)
    return c, None, [(s, c)[k % 2] for k in range(order)]


def _logarithm(function: Callable[[Array], Array], shift: float) -> Rule:
    """f' = 1/(z + shift), f^(k) = (-1)^(k-1) (k-1)! (z + shift)^-k."""

    def rule(z: Array, order: int) -> Derivatives:
        r = 1.0 / (z + shift if shift else z)
        powers = [r]
        for k in range(1, order):
            powers.append(powers[-1] * r * (-float(k)))
        return function(z), None, powers[:order]

    return rule


def _root(function: Callable[[Array], Array], power: float) -> Rule:
    """z^p for p = 1/2, -1/2: f^(k) = y p (p-1) .. (p-k+1) / z^k."""

    def rule(z: Array, order: int) -> Derivatives:
        y, r = function(z), 1.0 / z
        found, last = [], 1.0
        for k in range(order):
            last = last * (power - k) * r
            found.append(last)
        return y, y, found

    return rule


def whole_power(n: int) -> Rule:
    """z^n for an integer n; derivatives above a positive n vanish."""

    def rule(z: Array, order: int) -> Derivatives:
        found: list[Any] = []
        factor = 1.0
        for k in range(order):
            factor *= n - k
            m = n - k - 1
            found.append(factor * lax.integer_pow(z, m) if factor and m else factor)
        return lax.integer_pow(z, n), None, found

    return rule


def real_power(exponent: Any) -> Rule:
    """z^p for a constant p, an array or number; a vanishing factor wins over a pole at z = 0."""

    def rule(z: Array, order: int) -> Derivatives:
        p = jnp.asarray(exponent, z.dtype)
        found, factor = [], jnp.ones_like(p)
        for k in range(order):
            factor = factor * (p - k)
            gone = factor == 0
            power = jnp.power(z, jnp.where(gone, 1, p - k - 1))
            found.append(jnp.where(gone, 0, factor * power))
        return jnp.power(z, p), None, found

    return rule


def reciprocal(numerator: Any) -> Rule:
    """c / z for a constant c: f^(k) = y (-1)^k k! / z^k."""

    def rule(z: Array, order: int) -> Derivatives:
        y, r = numerator / z, 1.0 / z
        found, last = [], 1.0
        for k in range(order):
            last = last * (-float(k + 1)) * r
            found.append(last)
        return y, y, found

    return rule


def _error_function(z: Array, order: int) -> Derivatives:
    """erf^(k) = (2/sqrt pi) exp(-z^2) (-1)^(k-1) H_{k-1}(z), Hermite's polynomials."""
    polynomials = [[1.0]]
    for _ in range(order - 1):
        q = polynomials[-1]
        first, second = _times([0.0, -2.0], q), _slope_of(q)
        second = second + [0.0] * (len(first) - len(second))
        polynomials.append([a + b for a, b in zip(first, second, strict=True)])
    square = z * z
    common = (2.0 / math.sqrt(math.pi)) * jnp.exp(-square)
    return lax.erf(z), common, [_polynomial(q, z, square) for q in polynomials]


def _absolute(z: Array, order: int) -> Derivatives:
    return jnp.abs(z), None, [jnp.sign(z), *[0.0] * (order - 1)]


TABLE: Mapping[str, Rule] = {
    "tanh": autonomous(jnp.tanh, TANH),
    "logistic": autonomous(lax.logistic, LOGISTIC),
    "sin": _sine,
    "cos": _cosine,
    "exp": _exponential,
    "expm1": _shifted_exponential,
    "sinh": _hyperbolic_sine,
    "cosh": _hyperbolic_cosine,
    "log": _logarithm(jnp.log, 0.0),
    "log1p": _logarithm(jnp.log1p, 1.0),
    "sqrt": _root(jnp.sqrt, 0.5),
    "rsqrt": _root(lax.rsqrt, -0.5),
    "square": whole_power(2),
    "erf": _error_function,
    "abs": _absolute,
}
"""Functions with derivatives in closed form."""
