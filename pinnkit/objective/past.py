"""What earlier windows in time leave to a later one, tabulated at the places of its pool."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from pinnkit.derivatives.channels import Orders, mapped, propagate
from pinnkit.objective.blocks import Block, Field, Frame, Places

CHUNK = 1024


class Past(eqx.Module):
    """sum_i a_i(x) (t - t_k)^i / i! for a window that begins at t_k.

    `terms`: spatial multi-index -> derivatives of the a_i, (N, most time orders, fields).
    """

    terms: dict[Orders, Array]

    @classmethod
    def nothing(cls, block: Block, time: int, orders: tuple[int, ...]) -> Past:
        """That of the first window."""
        shape = len(block.pool.points), max(orders), len(orders)
        spatial = {_space(a, time) for a in block.scheme.needed}
        return cls({a: jnp.zeros(shape) for a in sorted(spatial)})


@eqx.filter_jit
def after(
    past: Past, block: Block, part: Field, length: Array, time: int, orders: tuple[int, ...]
) -> Past:
    """The past of the window that follows the one of `block`, whose `part` is trained."""
    assert block.frame is not None
    f = block.frame(part)
    end = block.frame.shift[time] + block.frame.anchor[time] + length
    points = block.pool.points.at[:, time].set(end)
    most = max(orders)
    wanted = [_at(a, time, i) for a in past.terms for i in range(most)]
    # a field of order m leaves its first m time derivatives
    left = jnp.asarray([[float(i < m) for m in orders] for i in range(most)])

    def tables(piece: Array) -> dict[Orders, Array]:
        found = propagate(f, piece, wanted)
        rows = {a: [found[_at(a, time, i)] for i in range(most)] for a in past.terms}
        return {a: jnp.stack(each, axis=1) for a, each in rows.items()}

    added = mapped(tables, points, CHUNK)
    moved = {a: _moved(table, length) for a, table in past.terms.items()}
    return Past({a: moved[a] + left[None] * added[a] for a in moved})


@eqx.filter_jit
def placed(
    block: Block,
    past: Past,
    lift: Field,
    start: Array,
    length: Array,
    bounds: tuple[Array, Array],
    time: int,
) -> Block:
    """The block of a first window as that of the window from `start`, with its past and lift.

    `bounds` are those of the whole time, as which the trained function sees the window.
    """
    begin, end = bounds
    zero = jnp.zeros(block.pool.points.shape[1])
    frame = Frame(
        zero.at[time].set(start - begin),
        zero.at[time].set(begin),
        (zero + 1).at[time].set(length / (end - begin)),
    )
    points = block.pool.points + frame.shift[None]
    needed = block.scheme.needed

    def tables(piece: tuple[Array, Past]) -> dict[Orders, Array]:
        where, own = piece
        found = propagate(lift, where, needed)
        since = (where[:, time] - start)[:, None, None]
        return {a: found[a] + _value(own.terms[_space(a, time)], since, a[time]) for a in needed}

    known = mapped(tables, (points, past), CHUNK)
    pool = Places(points, block.pool.normals, block.pool.data, known)
    return dataclasses.replace(block, pool=pool, frame=frame)


def _value(table: Array, since: Array, order: int) -> Array:
    """The time derivative of that order, from (N, m, fields) at times (N, 1, 1), as (N, fields)."""
    rows: Any = range(order, table.shape[1])
    parts = [table[:, i] * since[:, 0] ** (i - order) / math.factorial(i - order) for i in rows]
    return sum(parts, jnp.zeros_like(table[:, 0]))


def _moved(table: Array, length: Array) -> Array:
    """The coefficients about a time later by `length`."""
    since = jnp.broadcast_to(length, (len(table), 1, 1))
    return jnp.stack([_value(table, since, i) for i in range(table.shape[1])], axis=1)


def _space(orders: Orders, time: int) -> Orders:
    return _at(orders, time, 0)


def _at(orders: Orders, time: int, order: int) -> Orders:
    return (*orders[:time], order, *orders[time + 1 :])
