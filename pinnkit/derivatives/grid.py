"""Term values on tensor grids, and fields given on them evaluated at points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.derivatives.axes import Axis, FourierAxis, UniformAxis
from pinnkit.errors import OptionError

if TYPE_CHECKING:
    from pinnkit.compile.terms import DerivativePlan, Term

BATCH = 1024
"""Points whose windows are gathered at once."""
REFINED_SIZE = 20_000_000
"""Largest number of refined grid values that interpolation may hold."""


class GridProvider:
    """Derivatives of fields given on the tensor grid of `axes`, in the order of the system.

    Fields have the grid's shape as trailing dimensions; leading dimensions are batches.
    """

    def __init__(self, axes: Sequence[Axis]):
        self.axes = tuple(axes)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.n for axis in self.axes)

    def coordinates(self) -> dict[str, np.ndarray]:
        """Coordinates of the nodes by axis name, each of the grid's shape."""
        grids = np.meshgrid(*(axis.nodes for axis in self.axes), indexing="ij")
        return {axis.name: grid for axis, grid in zip(self.axes, grids, strict=True)}

    def weights(self) -> np.ndarray:
        """Quadrature weights of the nodes, of the grid's shape."""
        result = np.ones(())
        for axis in self.axes:
            result = np.multiply.outer(result, axis.weights)
        return result

    def terms(self, fields: Mapping[str, Array], plan: DerivativePlan) -> dict[Term, Array]:
        """Values of the plan's terms at the nodes, each of its field's shape.

        A mixed derivative continues from the one that lacks its last axis, so u_xy and u_xyy
        share u_x. Repeated derivatives along one axis are taken in one step.

        Raises `OptionError` for a field that is missing or not of the grid's shape.
        """
        found: dict[tuple[str, tuple[int, ...]], Array] = {}

        def value(field: str, orders: tuple[int, ...]) -> Array:
            if (field, orders) not in found:
                found[field, orders] = self._differentiate(value, fields, field, orders)
            return found[field, orders]

        return {term: value(term.field, term.orders) for term in plan.terms}

    def _differentiate(self, value, fields, field: str, orders: tuple[int, ...]) -> Array:
        last = max((i for i, n in enumerate(orders) if n), default=None)
        if last is None:
            return self._checked(field, fields)
        below = value(field, tuple(0 if i == last else n for i, n in enumerate(orders)))
        return self.axes[last].derivative(below, below.ndim - len(self.axes) + last, orders[last])

    def _checked(self, field: str, fields: Mapping[str, Array]) -> Array:
        if field not in fields:
            raise OptionError(
                f"Field '{field}' is not given, only {', '.join(fields)}. Pass its values."
            )
        values = jnp.asarray(fields[field])
        if values.shape[values.ndim - len(self.axes) :] != self.shape:
            raise OptionError(
                f"Field '{field}' has shape {values.shape}; the grid has {self.shape} as trailing "
                "dimensions. Transpose or resample the values."
            )
        return values


def refinement(axes: Sequence[Axis], components: int) -> int:
    """Factor by which spectral axes are refined before the local interpolation: 4, 2 or 1.

    With windows of 16 nodes, factor 4 leaves 6e-8 of the highest mode of the grid and 1e-12 of
    the modes of half its wavenumber.
    """
    spectral = sum(not isinstance(axis, UniformAxis) for axis in axes)
    size = components * math.prod(axis.n for axis in axes)
    return next((f for f in (4, 2) if size * f**spectral <= REFINED_SIZE), 1)


def interpolate(axes: Sequence[Axis], data: Array, points: Array) -> Array:
    """Values (N, c) at `points` (N, d) of fields `data` (c, n_1, …, n_d) on the tensor grid.

    Spectral axes are resampled on a finer grid of their kind (exact), from which polynomials
    through the 16 nearest nodes are taken; uniform axes use accuracy + 2 nodes. The result may
    be differentiated with respect to the points. Periodic axes wrap around.
    """
    factor = refinement(axes, data.shape[0])
    fine = data
    for i, axis in enumerate(axes):
        fine = axis.refined(fine, i + 1, factor)
    tables = [axis.windows(factor) for axis in axes]
    widths = tuple(table.width for table in tables)

    def at(point: Array) -> Array:
        located = [
            table.rows(_wrapped(axis, point[i]))
            for i, (axis, table) in enumerate(zip(axes, tables, strict=True))
        ]
        starts = (0, *(start for start, _ in located))
        block = jax.lax.dynamic_slice(fine, starts, (data.shape[0], *widths))
        for _, row in reversed(located):
            block = jnp.matmul(block, row, precision="highest")
        return block

    points = jnp.asarray(points, data.dtype)
    return jax.lax.map(at, points, batch_size=min(BATCH, max(1, points.shape[0])))


def _wrapped(axis: Axis, x: Array) -> Array:
    if not isinstance(axis, FourierAxis):
        return x
    return x - axis.length * jax.lax.stop_gradient(jnp.floor((x - axis.lo) / axis.length))
