"""Sum of mean squared residuals of a system for a trial function at sampled points."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.derivatives.channels import Table, mapped, summed
from pinnkit.nn.head import head
from pinnkit.objective.blocks import Block, IntegralBlock, Places
from pinnkit.objective.causal import NOTES, Ladder, TimeSlabs
from pinnkit.objective.grids import GridBlock
from pinnkit.objective.kernel import mean_diagonals
from pinnkit.objective.sampling import RAD, Sampling
from pinnkit.objective.weighting import Fixed, Measure, Weighting, Weights
from pinnkit.spec.condition import Kind
from pinnkit.training.objective import Objective, Rows

MAX_MEMORY = 2.0**30
"""Bytes that the intermediate results of a block's chunk may take by default."""


Equations: TypeAlias = Block | GridBlock


class Trial(eqx.Module):
    """What is trained: a function of one point, (d,) -> (fields,), and unknown numbers by name."""

    function: Callable[[Array], Array]
    unknown: dict[str, Array]


class ResidualBatch(eqx.Module):
    """Places per block with all their weights; a batch of zeros is none at all.

    `places` are `Places`, or `GridPlaces` for blocks on grids. `index` (N,) are those of each block
    of equations in its pool, `drawn` counts the draws up to this one, `weights` is the state of the
    weighting, and `causal` that of the causal weights, if there are any.
    """

    places: tuple[Any, ...]
    index: tuple[Array, ...]
    drawn: Array
    weights: Weights
    causal: Ladder | None = None


class ResidualObjective(Objective):
    """sum_i w_i mean_p(c_p lambda_ip^2 r_ip^2 / scale_i^2) over `equations` and `conditions`.

    Points are treated in chunks that fit the cache and stay below `max_memory` bytes; the gradient
    of the loss is accumulated over these, so reverse mode goes through it once.

    The places of equations are drawn from their pools by `sampling`, evenly elsewhere. `weighting`
    gives w and lambda, `slabs` the causal weights c of the equations; all three are constants of
    differentiation. Residuals of boundary and initial conditions, observations and integrals are
    those that the ansatz leaves soft.
    """

    equations: tuple[Equations, ...]
    conditions: tuple[Block, ...]
    integrals: tuple[IntegralBlock, ...]
    parameters: tuple[tuple[str, float], ...] = eqx.field(static=True)
    slabs: TimeSlabs | None
    time: int | None = eqx.field(static=True)
    sampling: Sampling = eqx.field(static=True, default=RAD())
    weighting: Weighting = eqx.field(static=True, default=Fixed())
    max_memory: float = eqx.field(static=True, default=MAX_MEMORY)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the residuals, in the order of the weights w (R,)."""
        return tuple(name for part in (*self._parts, *self.integrals) for name in part.names)

    @property
    def scales(self) -> dict[str, float]:
        """What the equations' residuals were divided by, by name."""
        pairs = ((part.names, part.scales) for part in self.equations)
        return {n: s for names, scales in pairs for n, s in zip(names, scales, strict=True)}

    def sample(
        self, key: Array, params: Trial, step: Array, previous: ResidualBatch | None = None
    ) -> ResidualBatch:
        old = self._none() if previous is None else previous
        keys = jax.random.split(key, len(self._parts))
        found = []
        for k, part, before in zip(keys, self.equations, old.index, strict=False):
            sizes = partial(self._sizes, part, params)
            found.append(self.sampling.draw(k, part.size, before, old.drawn, sizes))
        pairs = zip(keys[len(found) :], self.conditions, strict=True)
        even = [part.even(k) for k, part in pairs]
        parts = zip(self._parts, (*found, *even), keys, strict=True)
        places = tuple(part.placed(params.function, index, k) for part, index, k in parts)
        kept = tuple(
            _kept(part.size, a, b, values)
            for part, a, b, values in zip(
                self.equations, old.index, found, old.weights.places, strict=False
            )
        )
        weights = Weights(old.weights.groups, old.weights.updates, kept)
        return ResidualBatch(
            places, tuple(found), old.drawn + 1, weights, self._carried(old.causal)
        )

    def _none(self) -> ResidualBatch:
        """What stands for the batch before the first."""
        index = tuple(jnp.zeros(part.count, int) for part in self.equations)
        shapes = tuple((part.count, len(part.names)) for part in self.equations)
        weights = self.weighting.start(len(self.names), shapes)
        return ResidualBatch((), index, jnp.zeros((), jnp.int32), weights)

    def _carried(self, old: Ladder | None) -> Ladder | None:
        """The rung of an older batch, on which nothing is measured."""
        begin = None if self.slabs is None else self.slabs.begin()
        return begin if old is None or begin is None else replace(old, weights=begin.weights)

    def freeze(self, params: Trial, batch: ResidualBatch) -> ResidualBatch:
        batch = self._with_causal(params, batch)
        weights = self.weighting.measured(batch.weights, self._measure(params, batch))
        return replace(batch, weights=weights)

    def follow(self, params: Trial, batch: ResidualBatch, step: Array) -> ResidualBatch:
        if self.slabs is not None:
            batch = self._with_causal(params, batch, step % self.slabs.rule.every == 0)
        measure = self._measure(params, batch)
        return replace(batch, weights=self.weighting.followed(batch.weights, measure, step))

    def notes(self, batch: ResidualBatch) -> dict[str, Array]:
        if self.slabs is None or batch.causal is None:
            return {}
        found = jnp.min(batch.causal.weights), self.slabs.epsilon(batch.causal)
        return dict(zip(NOTES, found, strict=True))

    def _with_causal(
        self, params: Trial, batch: ResidualBatch, check: bool | Array = True
    ) -> ResidualBatch:
        """The batch with causal weights as they are at `params`."""
        if self.slabs is None or batch.causal is None:
            return batch
        state = self.slabs.measured(batch.causal, self.past(params, batch), check)
        return replace(batch, causal=state)

    def past(self, params: Trial, batch: ResidualBatch) -> Array:
        """What each time slab waits for, (slabs,): its causal weight is exp(-epsilon past).

        The sum over earlier slabs of the mean of all equations' squares, with `Causal.initial` that
        of the weighted mean squares of soft initial conditions in addition.
        """
        assert self.slabs is not None
        squares, times = [], []
        for part, places in zip(self.equations, batch.places, strict=False):
            squares.append(sum(r**2 for r in self._mapped(part, params, places).values()))
            times.append(part.since(places, self.time))
        past = self.slabs.past(jnp.concatenate(squares), jnp.concatenate(times))
        return past + self._initial(params, batch) if self.slabs.rule.initial else past

    def _initial(self, params: Trial, batch: ResidualBatch) -> Array:
        """Sum of the weighted mean squares of soft initial conditions."""
        factors, total = dict(zip(self.names, self._factors(batch), strict=True)), jnp.zeros(())
        for part, places in zip(self.conditions, batch.places[len(self.equations) :], strict=True):
            names = [r.name for r in part.residuals if r.kind is Kind.INITIAL]
            values = self._mapped(part, params, places) if names else {}
            total += sum(factors[name] * jnp.mean(values[name] ** 2) for name in names)
        return total

    def _measure(self, params: Trial, batch: ResidualBatch) -> Measure:
        """Sizes of the residuals for the weighting; nothing is computed that is not asked for."""

        def residuals() -> tuple[Array, ...]:
            parts = zip(self.equations, batch.places, strict=False)
            found = [self._mapped(part, params, places) for part, places in parts]
            return tuple(jnp.abs(jnp.stack(list(f.values()), axis=1)) for f in found)

        return Measure(
            gradients=lambda weights: self._gradients(params, replace(batch, weights=weights)),
            kernel=lambda weights, places: mean_diagonals(
                self._rows(replace(batch, weights=weights), jnp.ones(len(self.names))),
                params,
                places,
            ),
            residuals=residuals,
        )

    def _gradients(self, params: Trial, batch: ResidualBatch) -> Array:
        """Norms (R,) of the gradients of the mean squares, weighted within but not by w."""
        found = []
        for index, part in enumerate(self._parts):
            share, places = self._share(index, batch), batch.places[index]

            def one(p: Trial, s: Array, part: Equations = part, places: Any = places) -> Array:
                return self._summed(part, p, places, s)[0]

            # one residual at a time through one compiled gradient
            only = jnp.eye(len(part.names))[:, None, :] * share[None]
            found.append(jax.lax.map(lambda s, one=one: _gradient_norm(one, params, s), only))
        for part in self.integrals:

            def mean(p: Trial, _: None, part: IntegralBlock = part) -> Array:
                (values,) = part.values(p.function, self._values(p)).values()
                return jnp.mean(values**2)

            found.append(_gradient_norm(mean, params, None)[None])
        return jnp.concatenate(found)

    def loss(self, params: Trial, batch: ResidualBatch) -> tuple[Array, dict[str, Array]]:
        factors, tables = self._split(self._factors(batch)), self._tables(params, batch)
        weighted, squares = jnp.zeros(()), {}
        for index, part in enumerate(self._parts):
            share = self._share(index, batch) * factors[index][None, :]
            more, found = self._summed(part, params, batch.places[index], share, tables.get(index))
            weighted, squares = weighted + more, squares | found
        rest = self._integrals(params)
        for (name, square), factor in zip(rest.items(), factors[len(self._parts) :], strict=True):
            weighted, squares = weighted + factor[0] * square, squares | {name: square}
        return weighted, squares

    def means(self, params: Trial, batch: ResidualBatch) -> dict[str, Array]:
        """Mean square of each residual, by name, without any weights."""
        found: dict[str, Array] = {}
        tables = self._tables(params, batch)
        for index, (part, places) in enumerate(zip(self._parts, batch.places, strict=True)):
            share = jnp.zeros((len(places.points), len(part.names)))
            found |= self._summed(part, params, places, share, tables.get(index))[1]
        return found | self._integrals(params)

    def _tables(self, params: Trial, batch: ResidualBatch) -> dict[int, Table]:
        """Tables of conditions, by number of the part, that one pass over all their points gives.

        Fewer and longer passes are quicker, and above all quicker to compile.
        """
        u, alike = params.function, defaultdict(list)
        for index, part in enumerate(self.conditions, len(self.equations)):
            if part.shareable is not None:
                alike[part.shareable].append(index)
        tables: dict[int, Table] = {}
        for members in alike.values():
            part = self.conditions[members[0] - len(self.equations)]
            points = [batch.places[index].points for index in members]
            whole = Places(jnp.concatenate(points))
            if len(members) == 1 or part.chunk(u, whole, self.max_memory) < len(whole.points):
                continue
            table = part.table(u, self._values(params), whole)
            ends = list(accumulate(len(p) for p in points))
            for index, p, end in zip(members, points, ends, strict=True):
                tables[index] = {key: rows[end - len(p) : end] for key, rows in table.items()}
        return tables

    def _summed(
        self,
        part: Equations,
        params: Trial,
        places: Any,
        share: Array,
        table: Table | None = None,
    ) -> tuple[Array, dict[str, Array]]:
        """sum over places of share (N, k) * r^2, and the mean squares, chunk by chunk.

        With the `table` of the trial function at the places these are one chunk.
        """
        arrays, static = eqx.partition(params, eqx.is_inexact_array)
        count, given = len(places.points), () if table is None else (table,)

        def over(arrays: Trial, chunk: tuple[Any, Array], mask: Array) -> tuple[Array, Any]:
            trial, where = eqx.combine(arrays, static), chunk[0]
            values = part.values(trial.function, self._values(trial), where, *given)
            squares = {name: mask * r**2 for name, r in values.items()}
            total = sum(jnp.sum(chunk[1][:, i] * s) for i, s in enumerate(squares.values()))
            return jnp.asarray(total), {n: jnp.sum(s) / count for n, s in squares.items()}

        size = part.chunk(params.function, places, self.max_memory)
        if size >= count:
            return over(arrays, (places, share), jnp.ones(count))
        return summed(over, arrays, (places, share), size)

    def _share(self, index: int, batch: ResidualBatch) -> Array:
        """Weights (N, k) of the places of a part: means of squares are sums with these."""
        places, width = batch.places[index], len(self._parts[index].names)
        zero = jnp.zeros_like(places.points[:, 0])
        share = zero + 1 / len(zero)
        if index < len(self.equations) and self.slabs is not None and batch.causal is not None:
            slabs, causal = self.slabs, batch.causal.weights
            when = self.equations[index].since(places, self.time)
            # the mean is linear in the squares, so that its gradient is each square's share
            share = jax.grad(lambda squares: slabs.mean(squares, when, causal))(zero)
        share = jnp.broadcast_to(share[:, None], (len(zero), width))
        if index < len(batch.weights.places):
            share = share * batch.weights.places[index] ** 2
        return jax.lax.stop_gradient(share)

    def _base(self) -> Array:
        """w (R,) of fixed weights."""
        equations = sum(len(part.names) for part in self.equations)
        factor = self.weighting.conditions
        return jnp.asarray([1.0] * equations + [factor] * (len(self.names) - equations))

    def _factors(self, batch: ResidualBatch) -> Array:
        """w (R,) of this batch."""
        return jax.lax.stop_gradient(batch.weights.factors(self._base()))

    def _split(self, values: Array) -> tuple[Array, ...]:
        """Values (R,) by part, conditions and integrals included."""
        found, start = [], 0
        for part in (*self._parts, *self.integrals):
            found.append(values[start : start + len(part.names)])
            start += len(part.names)
        return tuple(found)

    def rows(self, params: Trial, batch: ResidualBatch) -> tuple[Rows, ...]:
        """The residuals with weights that make the sum of their squares the loss."""
        return self._rows(batch, self._factors(batch))

    def _rows(self, batch: ResidualBatch, factors: Array) -> tuple[Rows, ...]:
        """Rows for the weights w = `factors` (R,), in the order of the parts."""
        found, parts = [], self._split(factors)
        for index, whole in enumerate(self._parts):
            part, places = whole.pointwise(batch.places[index])

            def at(trial: Trial, place: Places, part: Block = part) -> Array:
                one = jax.tree.map(lambda leaf: leaf[None], place)
                values = part.values(trial.function, self._values(trial), one)
                return jnp.concatenate(list(values.values()))

            weight = jnp.sqrt(self._share(index, batch) * parts[index][None, :])
            found.append(Rows(at, places, weight))
        integrals = zip(self.integrals, parts[len(self._parts) :], strict=True)
        return (*found, *(self._integral_rows(part, factor) for part, factor in integrals))

    def _integral_rows(self, part: IntegralBlock, factor: Array) -> Rows:
        def whole(trial: Trial, _: Array) -> Array:
            (values,) = part.values(trial.function, self._values(trial)).values()
            return values

        size = part.value.size
        weight = jnp.sqrt(jnp.broadcast_to(factor[None, :] / size, (1, size)))
        return Rows(whole, jnp.zeros(1), weight)

    def head(self, params: Trial) -> tuple[Array, ...]:
        """The last layer, if the trial function names one."""
        return head(params.function)

    def score(self, params: Trial, batch: ResidualBatch) -> Array:
        """The loss with weights as by `Fixed`, and without causal weights."""
        means = self.means(params, batch)
        weights = zip(self.names, self._base(), strict=True)
        return sum((weight * means[name] for name, weight in weights), jnp.zeros(()))

    def validation(self, key: Array, params: Trial) -> ResidualBatch:
        """Evenly spread places, whatever the residuals."""
        u = params.function
        places = tuple(part.placed(u, part.even(key), key) for part in self._parts)
        return ResidualBatch(places, (), jnp.zeros((), jnp.int32), Weights())

    def derivatives(self, params: Trial) -> str:
        """How the derivatives of each group of equations are taken, one line per group."""
        lines = []
        for part in self.equations:
            words = part.derivatives(params.function, self.max_memory)
            lines.append(f"{', '.join(part.names)}: {words}")
        return "\n".join(lines)

    def _values(self, params: Trial) -> dict[str, Any]:
        return {**dict(self.parameters), **params.unknown}

    @property
    def _parts(self) -> tuple[Equations, ...]:
        return (*self.equations, *self.conditions)

    def _mapped(self, part: Equations, params: Trial, places: Any) -> dict[str, Array]:
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

    def _sizes(self, part: Equations, params: Trial, index: Array) -> Array:
        """Root of the sum of the squared residuals at places of the pool, (n,) -> (n,)."""
        assert isinstance(part, Block)
        values = self._mapped(part, params, part.pool.take(index))
        return jnp.sqrt(jnp.stack([r**2 for r in values.values()]).sum(0))


def _kept(size: int, before: Array, after: Array, values: Array) -> Array:
    """Values (N, k) of the places `after`: those they had among the places `before`, or zero."""
    pool = jnp.zeros((size, values.shape[1]), values.dtype)
    return pool.at[before].max(values)[after]


def _gradient_norm(function: Callable[..., Array], params: Trial, data: Any) -> Array:
    """Euclidean norm of the gradient of function(params, data) in all trained numbers."""
    arrays, static = eqx.partition(params, eqx.is_inexact_array)
    slope = jax.grad(lambda a: function(eqx.combine(a, static), data))(arrays)
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(slope)))
