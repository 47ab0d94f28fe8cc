"""Evaluators of classical solutions: fields on a tensor grid, and closed forms."""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp

from pinnkit.compile.emit import Emitted
from pinnkit.derivatives import Axis, GridProvider, interpolate
from pinnkit.solution import Evaluator


class GridField(Evaluator):
    """Fields on the tensor grid of `grid`, evaluated anywhere in the box.

    `data` is (c, n_1, …, n_d), the grid's axes in the order of the system's; see
    `derivatives.interpolate` for how values between the nodes are found.
    """

    data: jax.Array
    grid: tuple[Axis, ...] = eqx.field(static=True)

    def __call__(self, points: jax.Array) -> jax.Array:
        return interpolate(self.grid, self.data, points)

    def derivative(self, orders: tuple[int, ...]) -> GridField:
        """The partial derivative of all fields, taken on the grid; `orders` by axis."""
        provider, data = GridProvider(self.grid), self.data
        for i, order in enumerate(orders):
            data = provider.axes[i].derivative(data, i + 1, order)
        return GridField(data, self.grid)


class ClosedForm(Evaluator):
    """Expressions of the coordinates, one per field; `axes` names the columns of the points."""

    expressions: tuple[Emitted, ...] = eqx.field(static=True)
    axes: tuple[str, ...] = eqx.field(static=True)
    parameters: Mapping[str, float]

    def __call__(self, points: jax.Array) -> jax.Array:
        z = {axis: points[:, i] for i, axis in enumerate(self.axes)}
        return jnp.stack([e({}, z, self.parameters) for e in self.expressions], axis=-1)
