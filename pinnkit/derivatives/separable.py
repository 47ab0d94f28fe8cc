"""Derivatives of sums of products on tensor grids, from those of their factors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.derivatives.channels import Orders, propagate

Tables = tuple[Mapping[int, Array], ...]
Coefficients = Mapping[Orders, Any]


def factor_tables(
    factors: Sequence[Callable[[Array], Array]], axes: Sequence[Array], orders: Iterable[Orders]
) -> Tables:
    """d^k F_i at the nodes of axis i: k -> (..., n_i, fields, rank), for all k up to the highest.

    `factors` map (1,) to (fields, rank), `axes` are the nodes (..., n_i).
    """
    wanted = tuple(orders)
    found = []
    for i, (factor, nodes) in enumerate(zip(factors, axes, strict=True)):
        most = max(a[i] for a in wanted)
        own = propagate(factor, nodes.reshape(-1, 1), [(most,)])
        kept = {a[i] for a in wanted}
        found.append({k: own[(k,)].reshape(*nodes.shape, *own[(k,)].shape[1:]) for k in kept})
    return tuple(found)


def contracted(tables: Tables, field: int, coefficients: Coefficients) -> Array:
    """sum_a c_a d^a sum_r prod_i F_i on the grids (..., n_1, ..., n_d), for one field.

    What shares its derivative along the last axis is summed first, and all that remains is one
    product of matrices with (number of these) * rank inner terms.
    """
    own = [{k: table[..., field, :] for k, table in axis.items()} for axis in tables]
    extra = next(iter(own[0].values())).ndim - 2
    one: Any = lambda parts: _contracted(parts, coefficients)  # noqa: E731
    for _ in range(extra):
        one = jax.vmap(one)
    return one(own)


def _contracted(own: list[dict[int, Array]], coefficients: Coefficients) -> Array:
    groups = _by_last(coefficients)
    left = [_products(own[:-1], group) for group in groups.values()]
    right = [own[-1][k] for k in groups]
    a, b = jnp.concatenate(left, axis=1), jnp.concatenate(right, axis=1)
    return (a @ b.T).reshape([next(iter(axis.values())).shape[0] for axis in own])


def _products(tables: Sequence[Mapping[int, Array]], coefficients: Coefficients) -> Array:
    """sum_a c_a prod_i d^(a_i) F_i, not summed over the rank: (n_1 ... n_m, rank)."""
    if len(tables) == 1:
        return _sum(c * tables[0][k] for (k,), c in coefficients.items())
    parts = []
    for k, group in _by_last(coefficients).items():
        rest = _products(tables[:-1], group)
        parts.append(rest[:, None, :] * tables[-1][k][None, :, :])
    found = _sum(parts)
    return found.reshape(-1, found.shape[-1])


def _by_last(coefficients: Coefficients) -> dict[int, dict[Orders, Any]]:
    """Coefficients by the last entry of their multi-index, and then by the others."""
    groups: dict[int, dict[Orders, Any]] = {}
    for orders, c in coefficients.items():
        groups.setdefault(orders[-1], {})[orders[:-1]] = c
    return groups


def _sum(parts: Iterable[Array]) -> Array:
    first, *others = parts
    for part in others:
        first = first + part
    return first
