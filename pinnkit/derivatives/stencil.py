"""Finite-difference derivatives of any order and accuracy along any axis of a grid."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.errors import OptionError


@lru_cache(maxsize=512)
def _weights(offsets: tuple[float, ...], order: int) -> np.ndarray:
    table = np.zeros((order + 1, len(offsets)))
    table[0, 0] = 1.0
    product = 1.0
    for i in range(1, len(offsets)):
        top = min(i, order)
        previous = table[:, i - 1].copy()
        reach = 1.0
        for j in range(i):
            gap = offsets[i] - offsets[j]
            reach *= gap
            column = table[:, j].copy()
            table[0, j] = offsets[i] * column[0] / gap
            for k in range(1, top + 1):
                table[k, j] = (offsets[i] * column[k] - k * column[k - 1]) / gap
        ratio = product / reach
        table[0, i] = -ratio * offsets[i - 1] * previous[0]
        for k in range(1, top + 1):
            table[k, i] = ratio * (k * previous[k - 1] - offsets[i - 1] * previous[k])
        product = reach
    return table[order]


def weights(offsets: tuple[float, ...], order: int) -> np.ndarray:
    """Weights w with sum_j w_j f(offsets_j) = f^(order)(0), exact for degree < len(offsets).

    The recursion builds the derivatives of the Lagrange polynomials node by node (Fornberg,
    Math. Comp. 51, 1988, 699-706). Offsets are in units of the spacing h; the caller divides
    by h**order.

    Raises `OptionError` if there are not more nodes than the order.
    """
    if order < 0 or len(offsets) <= order:
        raise OptionError(
            f"A derivative of order {order} needs at least {order + 1} nodes, got {len(offsets)}. "
            "Add nodes to the stencil."
        )
    return _weights(tuple(float(offset) for offset in offsets), order)


def half_width(order: int, accuracy: int) -> int:
    """Nodes on either side of the centre of the symmetric stencil."""
    return (order + accuracy - 1) // 2


def minimum_points(order: int, accuracy: int, periodic: bool = False) -> int:
    """Least number of grid points along the axis for this derivative and accuracy."""
    central = 2 * half_width(order, accuracy) + 1
    return central if periodic else max(central, order + accuracy)


@lru_cache(maxsize=512)
def _closures(order: int, accuracy: int) -> tuple[np.ndarray, np.ndarray]:
    """One-sided rows for the first and last nodes, each (half_width, order + accuracy)."""
    half, width = half_width(order, accuracy), order + accuracy
    offsets = np.arange(width, dtype=float)
    left = np.array([_weights(tuple(offsets - i), order) for i in range(half)])
    return left, (-1.0) ** order * left[::-1, ::-1]


def derivative(
    values: Array,
    axis: int,
    order: int,
    spacing: float,
    accuracy: int = 4,
    periodic: bool = False,
) -> Array:
    """d^order(values)/dx^order along `axis` of a uniform grid, error O(spacing**accuracy).

    Symmetric stencils inside, one-sided closures of `order + accuracy` nodes (the same formal
    accuracy) at the ends, or wrap-around if `periodic` (the end node is then not repeated).
    `values` has any shape; the result has the same shape.

    Raises `OptionError` if accuracy is not a positive even number or the axis is too short.
    """
    if accuracy < 2 or accuracy % 2:
        raise OptionError(f"accuracy={accuracy} is not possible. Choose an even number from 2 on.")
    if order == 0:
        return values
    size, least = values.shape[axis], minimum_points(order, accuracy, periodic)
    if size < least:
        raise OptionError(
            f"Axis {axis} has {size} points; a derivative of order {order} with accuracy "
            f"{accuracy} needs {least}. Refine the grid or lower the accuracy."
        )
    half = half_width(order, accuracy)
    centre = weights(tuple(range(-half, half + 1)), order)
    moved = jnp.moveaxis(values, axis, -1)
    if periodic:
        inner = sum(w * jnp.roll(moved, half - k, -1) for k, w in enumerate(centre) if w != 0)
    else:
        stop = size - 2 * half
        inner = sum(w * moved[..., k : k + stop] for k, w in enumerate(centre) if w != 0)
        left, right = (jnp.asarray(rows, values.dtype) for rows in _closures(order, accuracy))
        width = order + accuracy
        inner = jnp.concatenate(
            [_apply(left, moved[..., :width]), inner, _apply(right, moved[..., -width:])], axis=-1
        )
    return jnp.moveaxis(jnp.asarray(inner) / spacing**order, -1, axis)


def _apply(rows: Array, window: Array) -> Array:
    return jnp.einsum("ij,...j->...i", rows, window, precision=jax.lax.Precision.HIGHEST)
