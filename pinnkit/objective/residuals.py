"""Sum of mean squared residuals of a system for a trial function at sampled points."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.compile.system import Residual, System
from pinnkit.derivatives.channels import mapped, summed
from pinnkit.geometry.sampling import child_seed
from pinnkit.nn.head import head
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
from pinnkit.training.objective import Objective, Rows

MAX_MEMORY = 2.0**30
"""Bytes that the intermediate results of a block's chunk may take by default."""


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

    Points are treated in chunks that fit the cache and stay below `max_memory` bytes; the gradient
    of the loss is accumulated over these, so reverse mode goes through it once.

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
    max_memory: float = eqx.field(static=True, default=MAX_MEMORY)

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
        places = zip(self.equations, batch.places, strict=False)
        found = [self._mapped(part, params, where) for part, where in places]
        return ResidualBatch(batch.places, self._causal(found, batch))

    def loss(self, params: Trial, batch: ResidualBatch) -> tuple[Array, dict[str, Array]]:
        if batch.causal is None:
            # these weights have no gradient, so that a pass of their own keeps the chunks apart
            batch = self.freeze(_held(params), batch)
        weighted, squares = jnp.zeros(()), {}
        for index, part in enumerate(self._parts):
            share = self._share(index, batch)
            more, found = self._summed(part, params, batch.places[index], share)
            weighted, squares = weighted + more, squares | found
        rest = self._integrals(params)
        return weighted + self._sum(rest), squares | rest

    def _summed(
        self, part: Block, params: Trial, places: Places, share: Array
    ) -> tuple[Array, dict[str, Array]]:
        """sum over places of share * weight * r^2, and the mean squares, chunk by chunk."""
        arrays, static = eqx.partition(params, eqx.is_inexact_array)
        weights, count = dict(self.weights), len(places.points)

        def over(arrays: Trial, chunk: tuple[Places, Array], mask: Array) -> tuple[Array, Any]:
            trial = eqx.combine(arrays, static)
            values = part.values(trial.function, self._values(trial), chunk[0])
            squares = {name: mask * r**2 for name, r in values.items()}
            total = sum(weights.get(n, 1.0) * jnp.sum(chunk[1] * s) for n, s in squares.items())
            return jnp.asarray(total), {n: jnp.sum(s) / count for n, s in squares.items()}

        size = part.chunk(params.function, places, self.max_memory)
        return summed(over, arrays, (places, share), size)

    def _share(self, index: int, batch: ResidualBatch) -> Array:
        """Weights (N,) of the places of a part: means of squares are sums with these."""
        places = batch.places[index]
        zero = jnp.zeros_like(places.points[:, 0])
        causal = batch.causal
        if self.slabs is None or causal is None or index >= len(self.equations):
            return zero + 1 / len(zero)
        slabs, when = self.slabs, places.points[:, self.time]
        # the mean is linear in the squares, so that its gradient is each square's share
        return jax.grad(lambda squares: slabs.mean(squares, when, causal))(zero)

    def rows(self, params: Trial, batch: ResidualBatch) -> tuple[Rows, ...]:
        """The residuals with weights that make the sum of their squares the loss."""
        batch = self.freeze(params, batch) if batch.causal is None else batch
        weights = dict(self.weights)
        found = []
        for index, part in enumerate(self._parts):

            def at(trial: Trial, place: Places, part: Block = part) -> Array:
                one = jax.tree.map(lambda leaf: leaf[None], place)
                values = part.values(trial.function, self._values(trial), one)
                return jnp.concatenate(list(values.values()))

            share = self._share(index, batch)
            factor = jnp.asarray([weights.get(name, 1.0) for name in part.names])
            weight = jnp.sqrt(share[:, None] * factor[None, :])
            found.append(Rows(at, batch.places[index], weight))
        return (*found, *(self._integral_rows(part) for part in self.integrals))

    def _integral_rows(self, part: IntegralBlock) -> Rows:
        def whole(trial: Trial, _: Array) -> Array:
            (values,) = part.values(trial.function, self._values(trial)).values()
            return values

        weight = dict(self.weights).get(part.residual.name, 1.0) / part.value.size
        return Rows(whole, jnp.zeros(1), jnp.full((1, part.value.size), weight**0.5))

    def head(self, params: Trial) -> tuple[Array, ...]:
        """The last layer, if the trial function names one."""
        return head(params.function)

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

    def derivatives(self, params: Trial) -> str:
        """How the derivatives of each group of equations are taken, one line per group."""
        lines = []
        for part in self.equations:
            places = part.pool.take(jnp.arange(part.count))
            words = part.derivatives(params.function, places, self.max_memory)
            lines.append(f"{', '.join(part.names)}: {words}")
        return "\n".join(lines)

    def _sum(self, parts: Mapping[str, Array]) -> Array:
        weights = dict(self.weights)
        return sum((weights.get(n, 1.0) * part for n, part in parts.items()), jnp.zeros(()))

    def _values(self, params: Trial) -> dict[str, Any]:
        return {**dict(self.parameters), **params.unknown}

    @property
    def _parts(self) -> tuple[Block, ...]:
        return (*self.equations, *self.conditions)

    def _mapped(self, part: Block, params: Trial, places: Places) -> dict[str, Array]:
        """Residuals by name, each (N,), chunk by chunk; not for differentiation."""
        known = self._values(params)
        size = part.chunk(params.function, places, self.max_memory)
        return mapped(lambda piece: part.values(params.function, known, piece), places, size)

    def _integrals(self, params: Trial) -> dict[str, Array]:
        known = self._values(params)
        found: dict[str, Array] = {}
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
        values = self._mapped(part, params, offer)
        residual = jnp.sqrt(jnp.stack([r**2 for r in values.values()]).sum(0))
        picked = offer.take(residual_adaptive(third, residual, chosen))
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), picked, even)


def _held(params: Trial) -> Trial:
    """The parameters as constants of differentiation."""
    arrays, static = eqx.partition(params, eqx.is_inexact_array)
    return eqx.combine(jax.lax.stop_gradient(arrays), static)


def residual_objective(
    system: System,
    soft: Sequence[Residual],
    *,
    points: int,
    slabs: TimeSlabs | None = None,
    adaptive: float = 1.0,
    condition_weight: float = 10.0,
    quadrature: int = 16,
    max_memory: float = MAX_MEMORY,
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
        max_memory=max_memory,
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
