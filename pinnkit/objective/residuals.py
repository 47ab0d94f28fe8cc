"""Sum of mean squared residuals of a system for a trial function at sampled points."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.compile.system import Residual, System
from pinnkit.geometry.sampling import child_seed
from pinnkit.objective.blocks import (
    Block,
    IntegralBlock,
    Places,
    block,
    integral_block,
    observed_block,
)
from pinnkit.objective.causal import TimeSlabs
from pinnkit.objective.sampling import residual_adaptive, window
from pinnkit.spec.condition import Kind
from pinnkit.training import Objective


class Trial(eqx.Module):
    """What is trained: a function of one point, (d,) -> (fields,), and unknown numbers by name."""

    function: Callable[[Array], Array]
    unknown: dict[str, Array]


class ResidualBatch(eqx.Module):
    """Places per block, and the causal weights (slabs,) if these are fixed."""

    places: tuple[Places, ...]
    causal: Array | None


class ResidualObjective(Objective):
    """sum_r weight_r mean(r^2 / scale_r^2) over the residuals of `equations` and `conditions`.

    Equations may carry causal weights over time slabs; their points are drawn from a pool with
    density ~ |r|/mean|r| + 1 for the share `adaptive`, evenly for the rest. Residuals of boundary
    and initial conditions, observations and integrals are those that the ansatz leaves soft.
    """

    equations: tuple[Block, ...]
    conditions: tuple[Block, ...]
    integrals: tuple[IntegralBlock, ...]
    parameters: tuple[tuple[str, float], ...] = eqx.field(static=True)
    weights: tuple[tuple[str, float], ...] = eqx.field(static=True)
    slabs: TimeSlabs | None
    time: int | None = eqx.field(static=True)
    adaptive: float = eqx.field(static=True, default=1.0)
    candidates: int = eqx.field(static=True, default=8)

    def sample(self, key: Array, params: Trial, step: Array) -> ResidualBatch:
        keys = jax.random.split(key, len(self.equations) + len(self.conditions))
        drawn = [self._draw(k, b, params) for k, b in zip(keys, self.equations, strict=False)]
        drawn += [
            b.pool.take(window(k, len(b.pool.points), b.count))
            for k, b in zip(keys[len(self.equations) :], self.conditions, strict=True)
        ]
        return ResidualBatch(tuple(drawn), None)

    def freeze(self, params: Trial, batch: ResidualBatch) -> ResidualBatch:
        if self.slabs is None:
            return batch
        return ResidualBatch(batch.places, self._causal(self._equations(params, batch), batch))

    def loss(self, params: Trial, batch: ResidualBatch) -> tuple[Array, dict[str, Array]]:
        found = self._equations(params, batch)
        squares = {name: jnp.mean(r**2) for block in found for name, r in block.items()}
        parts = dict(squares)
        if self.slabs is not None:
            causal = self._causal(found, batch) if batch.causal is None else batch.causal
            for values, places in zip(found, batch.places, strict=False):
                when = places.points[:, self.time]
                parts |= {n: self.slabs.mean(r**2, when, causal) for n, r in values.items()}
        rest = self._conditions(params, batch)
        squares |= rest
        parts |= rest
        return self._sum(parts), squares

    def score(self, params: Trial, batch: ResidualBatch) -> Array:
        """The loss without causal weights."""
        return self._sum(self.loss(params, batch)[1])

    def validation(self, key: Array, params: Trial) -> ResidualBatch:
        """Evenly spread places, whatever the residuals."""
        even = [
            b.pool.take(window(key, len(b.pool.points), b.count))
            for b in (*self.equations, *self.conditions)
        ]
        return ResidualBatch(tuple(even), None)

    def _sum(self, parts: Mapping[str, Array]) -> Array:
        weights = dict(self.weights)
        return sum((weights.get(n, 1.0) * part for n, part in parts.items()), jnp.zeros(()))

    def _values(self, params: Trial) -> dict[str, Any]:
        return {**dict(self.parameters), **params.unknown}

    def _equations(self, params: Trial, batch: ResidualBatch) -> list[dict[str, Array]]:
        known = self._values(params)
        return [
            block.values(params.function, known, places)
            for block, places in zip(self.equations, batch.places, strict=False)
        ]

    def _conditions(self, params: Trial, batch: ResidualBatch) -> dict[str, Array]:
        known = self._values(params)
        places = batch.places[len(self.equations) :]
        found: dict[str, Array] = {}
        for part, where in zip(self.conditions, places, strict=True):
            found |= part.values(params.function, known, where)
        for part in self.integrals:
            found |= part.values(params.function, known)
        return {name: jnp.mean(r**2) for name, r in found.items()}

    def _causal(self, found: list[dict[str, Array]], batch: ResidualBatch) -> Array:
        """Causal weights (slabs,) from the sum of all equations' squares."""
        assert self.slabs is not None
        squares = [sum(r**2 for r in values.values()) for values in found]
        times = [p.points[:, self.time] for p, _ in zip(batch.places, found, strict=False)]
        return self.slabs.weights(jnp.concatenate(squares), jnp.concatenate(times))

    def _draw(self, key: Array, part: Block, params: Trial) -> Places:
        """Places for one block of equations: adaptive share first, then the even share."""
        first, second, third = jax.random.split(key, 3)
        size = len(part.pool.points)
        chosen = int(round(self.adaptive * part.count))
        even = part.pool.take(window(first, size, part.count - chosen))
        if chosen == 0:
            return even
        offer = part.pool.take(window(second, size, min(size, self.candidates * chosen)))
        values = part.values(params.function, self._values(params), offer)
        residual = jnp.sqrt(jnp.stack([r**2 for r in values.values()]).sum(0))
        picked = offer.take(residual_adaptive(third, residual, chosen))
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), picked, even)


def residual_objective(
    system: System,
    soft: Sequence[Residual],
    *,
    points: int,
    slabs: TimeSlabs | None = None,
    adaptive: float = 1.0,
    condition_weight: float = 10.0,
    quadrature: int = 16,
    seed: int = 0,
) -> ResidualObjective:
    """Objective for a system of which the residuals `soft` are not enforced by the ansatz.

    `points` are drawn for the equations in every batch, a quarter as many for each group of soft
    conditions, whose mean squares count `condition_weight` times.
    """
    made = _blocks(system, soft, points, seed)
    conditions = [b for (equation, _), b in made.items() if not equation]
    conditions += [observed_block(system, r) for r in soft if r.kind is Kind.OBSERVED]
    return ResidualObjective(
        equations=tuple(b for (equation, _), b in made.items() if equation),
        conditions=tuple(conditions),
        integrals=tuple(
            integral_block(system, r, quadrature) for r in soft if r.kind is Kind.INTEGRAL
        ),
        parameters=tuple(system.parameters.items()),
        weights=tuple((residual.name, condition_weight) for residual in soft),
        slabs=slabs,
        time=None if system.time is None else system.axes.index(system.time),
        adaptive=adaptive,
    )


Group = tuple[bool, tuple[str, ...]]


def _blocks(system: System, soft: Sequence[Residual], points: int, seed: int) -> dict[Group, Block]:
    """One block per set of regions, equations apart from conditions."""
    groups: dict[Group, list[Residual]] = {}
    for residual in (*system.equations, *soft):
        if residual.kind in (Kind.EQUATION, Kind.BOUNDARY, Kind.INITIAL):
            group = (residual.kind is Kind.EQUATION, residual.regions)
            groups.setdefault(group, []).append(residual)
    made: dict[Group, Block] = {}
    for index, (group, members) in enumerate(groups.items()):
        count = points if group[0] else max(points // 4, 64)
        made[group] = block(system, members, count, 16 * count, child_seed(seed, index))
    return made
