"""Equations on tensor grids, where sums of products are evaluated by their factors."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.ansatz.factors import factors, lift_of, obstacle_to_factors
from pinnkit.derivatives.channels import Orders, mapped, points_per_chunk, propagate
from pinnkit.derivatives.separable import contracted, factor_tables
from pinnkit.errors import OptionError
from pinnkit.objective.blocks import Block, Field, Places
from pinnkit.objective.sampling import Grid


class GridPlaces(eqx.Module):
    """Places of tensor grids with nodes (grids, n_i) on each axis, the last axis running fastest.

    `known`: derivatives (N, fields) of the lift, by multi-index; None where it is zero.
    """

    axes: tuple[Array, ...]
    known: dict[Orders, Array] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of grids and numbers of nodes per axis."""
        return len(self.axes[0]), *(nodes.shape[1] for nodes in self.axes)

    @property
    def points(self) -> Array:
        """All places, (N, d)."""
        along = [jnp.broadcast_to(nodes, self.shape).ravel() for nodes in self.spread]
        return jnp.stack(along, axis=1)

    @property
    def spread(self) -> list[Array]:
        """Nodes on axis i as (grids, 1, ..., n_i, ..., 1)."""
        count = range(len(self.axes))
        return [
            nodes.reshape(len(nodes), *(nodes.shape[1] if i == j else 1 for j in count))
            for i, nodes in enumerate(self.axes)
        ]


class GridBlock(eqx.Module):
    """Residuals of a `Block` on tensor grids, `shape` (grids, n_1, ..., n_d), instead of its pool.

    Stands in for a block of equations; the trial function must have factors, or `OptionError`.
    """

    block: Block
    sampling: Grid = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the residuals."""
        return self.block.names

    @property
    def scales(self) -> tuple[float, ...]:
        """What the residuals are divided by."""
        return self.block.scales

    @property
    def count(self) -> int:
        """Number of places."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Number of places to draw from: those of one draw."""
        return self.count

    def even(self, key: Array) -> Array:
        """All places."""
        del key
        return jnp.arange(self.count)

    def placed(self, u: Field, index: Array, key: Array) -> GridPlaces:
        """New grids, with what is known of u there. `index` are all places, as always."""
        del index
        _require_factors(u)
        domain = self.block.system.domain
        keys = jax.random.split(key, len(domain.axes))
        axes = tuple(
            self.sampling.along(k, self.shape[0], n, *domain.bounds[axis])
            for k, n, axis in zip(keys, self.shape[1:], domain.axes, strict=True)
        )
        return GridPlaces(axes, self._known(u, GridPlaces(axes).points))

    def _known(self, u: Any, points: Array) -> dict[Orders, Array] | None:
        lift, needed = lift_of(u), self.block.scheme.needed
        if lift is None:
            return None

        def at(piece: Array) -> dict[Orders, Array]:
            found = propagate(lift, piece, needed)
            return {a: found[a] for a in needed}

        return mapped(at, points, points_per_chunk(lift, points, len(needed), math.inf))

    def values(self, u: Field, params: dict[str, Any], places: GridPlaces) -> dict[str, Array]:
        """Dimensionless residuals by name, each (N,)."""
        _require_factors(u)
        block, known, shape = self.block, places.known or {}, places.shape
        scheme = block.scheme
        tables = factor_tables(factors(u), places.axes, scheme.needed)  # type: ignore[arg-type]
        operators, made = scheme.numbers(params), {}

        def pick(part: Orders | int, field: int) -> Array:
            if (part, field) not in made:
                parts = operators[part] if isinstance(part, int) else {part: 1.0}
                value = contracted(tables, field, parts)
                for orders in [a for a in parts if a in known]:
                    value = value + parts[orders] * known[orders][:, field].reshape(shape)
                made[part, field] = value
            return made[part, field]

        z = dict(zip(block.system.axes, places.spread, strict=True))
        found = scheme.combined(pick, z, params)
        return {
            name: jnp.ravel(jnp.broadcast_to(value, shape)) / scale
            for name, value, scale in zip(self.names, found, block.scales, strict=True)
        }

    def both(
        self, u: Field, params: dict[str, Any], places: GridPlaces
    ) -> tuple[dict[str, Array], Array]:
        """`values`, and all fields (N, c)."""
        return self.values(u, params, places), self.fields(u, places)

    def fields(self, u: Field, places: GridPlaces) -> Array:
        """All fields (N, c), from the factors."""
        value = (0,) * len(places.axes)
        tables = factor_tables(factors(u), places.axes, (value,))  # type: ignore[arg-type]
        count = len(self.block.system.fields)
        found = [jnp.ravel(contracted(tables, i, {value: 1.0})) for i in range(count)]
        whole = jnp.stack(found, axis=1)
        return whole if places.known is None else whole + places.known.get(value, 0.0)

    def pointwise(self, places: GridPlaces) -> tuple[Block, Places]:
        """The same residuals place by place."""
        return self.block, Places(places.points)

    def since(self, places: GridPlaces, axis: int | None) -> Array:
        """Coordinates (N,) along an axis."""
        assert axis is not None
        return jnp.ravel(jnp.broadcast_to(places.spread[axis], places.shape))

    def chunk(self, u: Field, places: GridPlaces, max_memory: float) -> int:
        """All places at a time, as the factors are what takes time."""
        del u, max_memory
        return math.prod(places.shape)

    def derivatives(self, u: Field, max_memory: float) -> str:
        """How the derivatives are taken, in words."""
        del u, max_memory
        number, grid = self.shape[0], " x ".join(map(str, self.shape[1:]))
        return f"{self.block.scheme.describe()}, from factors on {number} grids of {grid}"


def _require_factors(u: Field) -> None:
    reason = obstacle_to_factors(u)
    if reason is not None:
        raise OptionError(
            f"Grid() needs a sum of products of functions of one axis, but {reason}. "
            "Use network=Separable(), or another sampling."
        )
