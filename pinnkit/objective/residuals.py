"""Sum of mean squared residuals of a system for a trial function at sampled points."""

from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit import devices
from pinnkit.derivatives.channels import Table, mapped, summed
from pinnkit.nn.head import head
from pinnkit.objective.batch import ResidualBatch, Trial, kept
from pinnkit.objective.blocks import Block, IntegralBlock
from pinnkit.objective.causal import NOTES, Ladder, TimeSlabs
from pinnkit.objective.grids import GridBlock
from pinnkit.objective.measuring import measure, rows
from pinnkit.objective.pseudo_time import Probe, Pull, Stepping, Steps
from pinnkit.objective.sampling import RAD, Sampling
from pinnkit.objective.tables import shared_tables
from pinnkit.objective.weighting import Fixed, Weighting, Weights
from pinnkit.spec.condition import Kind
from pinnkit.training.objective import Objective, Rows

MAX_MEMORY = 2.0**30
"""Bytes that the intermediate results of a block's chunk may take by default."""


Equations: TypeAlias = Block | GridBlock


class ResidualObjective(Objective):
    """sum_i w_i mean_p(c_p lambda_ip^2 r_ip^2 / scale_i^2) over `equations` and `conditions`.

    Points are treated in chunks that fit the cache and stay below `max_memory` bytes; the gradient
    of the loss is accumulated over these, so reverse mode goes through it once. Several devices
    share the points, but not those of a `Grid`.

    The places of equations are drawn from their pools by `sampling`, evenly elsewhere. `weighting`
    gives w and lambda, `slabs` the causal weights c of the equations, `stepping` what pseudo-time
    adds to their residuals; all of these are constants of differentiation. Residuals of boundary
    and initial conditions, observations and integrals are those that the ansatz leaves soft.
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
    stepping: Stepping | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the residuals, in the order of the weights w (R,)."""
        return tuple(name for part in (*self.parts, *self.integrals) for name in part.names)

    @property
    def scales(self) -> dict[str, float]:
        """What the equations' residuals were divided by, by name."""
        pairs = ((part.names, part.scales) for part in self.equations)
        return {n: s for names, scales in pairs for n, s in zip(names, scales, strict=True)}

    def sample(
        self, key: Array, params: Trial, step: Array, previous: ResidualBatch | None = None
    ) -> ResidualBatch:
        old = self._none() if previous is None else previous
        keys = jax.random.split(key, len(self.parts))
        found = []
        for k, part, before in zip(keys, self.equations, old.index, strict=False):
            sizes = partial(self._sizes, part, params)
            found.append(self.sampling.draw(k, part.size, before, old.drawn, sizes))
        pairs = zip(keys[len(found) :], self.conditions, strict=True)
        even = [part.even(k) for k, part in pairs]
        parts = zip(self.parts, (*found, *even), keys, strict=True)
        places = tuple(part.placed(params.function, index, k) for part, index, k in parts)
        own = tuple(
            kept(part.size, a, b, values)
            for part, a, b, values in zip(
                self.equations, old.index, found, old.weights.places, strict=False
            )
        )
        weights = Weights(old.weights.groups, old.weights.updates, own)
        drawn, causal = old.drawn + 1, self._carried(old.causal)
        return ResidualBatch(
            places, tuple(found), drawn, weights, causal, self._begun(old.steps, params)
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

    def _begun(self, old: Steps | None, params: Trial) -> Steps | None:
        """The state of pseudo-time of an older batch, or that before the first step."""
        if self.stepping is None or old is not None:
            return old
        return self.stepping.begin(params, tuple(part.count for part in self.equations))

    def freeze(self, params: Trial, batch: ResidualBatch) -> ResidualBatch:
        batch = self._with_causal(params, batch)
        if self.stepping is not None and batch.steps is not None:
            probes = partial(self.probes, batch=batch)
            batch = replace(batch, steps=self.stepping.held(batch.steps, params, probes))
        weights = self.weighting.measured(batch.weights, measure(self, params, batch))
        return replace(batch, weights=weights)

    def follow(self, params: Trial, batch: ResidualBatch, step: Array) -> ResidualBatch:
        if self.slabs is not None:
            batch = self._with_causal(params, batch, step % self.slabs.rule.every == 0)
        if self.stepping is not None and batch.steps is not None:
            probes, fields = partial(self.probes, batch=batch), partial(self._fields, batch=batch)
            steps = self.stepping.followed(batch.steps, params, probes, fields, step)
            batch = replace(batch, steps=steps)
        sizes = measure(self, params, batch)
        return replace(batch, weights=self.weighting.followed(batch.weights, sizes, step))

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

    def loss(self, params: Trial, batch: ResidualBatch) -> tuple[Array, dict[str, Array]]:
        factors, tables = self.split(self._factors(batch)), self._tables(params, batch)
        weighted, squares = jnp.zeros(()), {}
        for index, part in enumerate(self.parts):
            share = self.share(index, batch) * factors[index][None, :]
            places, pull = batch.places[index], self.pull(index, batch)
            more, found = self.summed(part, params, places, share, tables.get(index), pull)
            weighted, squares = weighted + more, squares | found
        rest = self._integrals(params)
        for (name, square), factor in zip(rest.items(), factors[len(self.parts) :], strict=True):
            weighted, squares = weighted + factor[0] * square, squares | {name: square}
        return weighted, squares

    def _tables(self, params: Trial, batch: ResidualBatch) -> dict[int, Table]:
        """Tables of conditions that share them, by number of the part.

        None with several devices, each of which has its own places of every condition.
        """
        if devices.count() > 1:
            return {}
        first, known = len(self.equations), self.known(params)
        places = batch.places[first:]
        found = shared_tables(self.conditions, places, params.function, known, self.max_memory)
        return {first + index: table for index, table in found.items()}

    def means(self, params: Trial, batch: ResidualBatch) -> dict[str, Array]:
        """Mean square of each residual, by name, without any weights."""
        found: dict[str, Array] = {}
        tables = self._tables(params, batch)
        for index, (part, places) in enumerate(zip(self.parts, batch.places, strict=True)):
            share = jnp.zeros((len(places.points), len(part.names)))
            found |= self.summed(part, params, places, share, tables.get(index))[1]
        return found | self._integrals(params)

    def pull(self, index: int, batch: ResidualBatch) -> Pull | None:
        """What pseudo-time adds to the residuals of a part."""
        if self.stepping is None or batch.steps is None or index >= len(self.equations):
            return None
        return self.stepping.pull(index, batch.steps)

    def summed(
        self,
        part: Equations,
        params: Trial,
        places: Any,
        share: Array,
        table: Table | None = None,
        pull: Pull | None = None,
    ) -> tuple[Array, dict[str, Array]]:
        """sum over places of share (N, k) * (r + pull)^2, and the mean r^2, chunk by chunk.

        With the `table` of the trial function at the places these are one chunk.
        """
        arrays, static = eqx.partition(params, eqx.is_inexact_array)
        count, given = len(places.points), () if table is None else (table,)

        def sums(whole: Any, data: Any, counted: Array | None = None) -> tuple[Array, Any]:
            arrays, static, part = whole

            def over(arrays: Trial, chunk: Any, mask: Array) -> tuple[Array, Any]:
                trial, (where, share, pull) = eqx.combine(arrays, static), chunk
                values, fields = part.both(trial.function, self.known(trial), where, *given)
                rows = values if pull is None else pull(values, fields)
                total = sum(jnp.sum(share[:, i] * mask * r**2) for i, r in enumerate(rows.values()))
                squares = {name: jnp.sum(mask * r**2) / count for name, r in values.items()}
                return jnp.asarray(total), squares

            function = eqx.combine(arrays, static).function
            size = part.chunk(function, data[0], self.max_memory)
            if size >= count and counted is None:  # the places of a grid have no rows of their own
                return over(arrays, data, jnp.ones(count))
            return summed(over, arrays, data, size, counted)

        return devices.total(sums, (arrays, static, part), (places, share, pull))

    def share(self, index: int, batch: ResidualBatch) -> Array:
        """Weights (N, k) of the places of a part: means of squares are sums with these."""
        places, width = batch.places[index], len(self.parts[index].names)
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

    def split(self, values: Array) -> tuple[Array, ...]:
        """Values (R,) by part, conditions and integrals included."""
        found, start = [], 0
        for part in (*self.parts, *self.integrals):
            found.append(values[start : start + len(part.names)])
            start += len(part.names)
        return tuple(found)

    def rows(self, params: Trial, batch: ResidualBatch) -> tuple[Rows, ...]:
        """The residuals with weights that make the sum of their squares the loss."""
        return rows(self, batch, self._factors(batch))

    def head(self, params: Trial) -> tuple[Array, ...]:
        """The last layer, if the trial function names one."""
        return head(params.function)

    def score(self, params: Trial, batch: ResidualBatch) -> Array:
        """The loss with weights as by `Fixed`, without causal weights and pseudo-time."""
        means = self.means(params, batch)
        weights = zip(self.names, self._base(), strict=True)
        return sum((weight * means[name] for name, weight in weights), jnp.zeros(()))

    def validation(self, key: Array, params: Trial) -> ResidualBatch:
        """Evenly spread places, whatever the residuals."""
        u = params.function
        places = tuple(part.placed(u, part.even(key), key) for part in self.parts)
        return ResidualBatch(places, (), jnp.zeros((), jnp.int32), Weights())

    def derivatives(self, params: Trial) -> str:
        """How the derivatives of each group of equations are taken, one line per group."""
        lines = []
        for part in self.equations:
            words = part.derivatives(params.function, self.max_memory)
            lines.append(f"{', '.join(part.names)}: {words}")
        return "\n".join(lines)

    def known(self, params: Trial) -> dict[str, Any]:
        """Parameters by name, the unknown ones among them."""
        return {**dict(self.parameters), **params.unknown}

    @property
    def parts(self) -> tuple[Equations, ...]:
        """Equations, then conditions at points."""
        return (*self.equations, *self.conditions)

    def _mapped(self, part: Equations, params: Trial, places: Any) -> dict[str, Array]:
        """Residuals by name, each (N,), chunk by chunk; not for differentiation."""
        return self._both(part, params, places)[0]

    def _both(self, part: Equations, params: Trial, places: Any) -> tuple[dict[str, Array], Array]:
        """Residuals by name, each (N,), and all fields (N, c), in the same way."""

        def both(whole: tuple[Trial, Equations], places: Any) -> tuple[dict[str, Array], Array]:
            trial, part = whole
            known = self.known(trial)
            size = part.chunk(trial.function, places, self.max_memory)
            return mapped(lambda piece: part.both(trial.function, known, piece), places, size)

        return devices.each(both, (params, part), places)

    def probes(self, params: Trial, batch: ResidualBatch) -> tuple[Probe, ...]:
        """Residuals (N, k) and all fields (N, c) of each group of equations."""
        parts = zip(self.equations, batch.places, strict=False)
        found = [self._both(part, params, places) for part, places in parts]
        return tuple((jnp.stack(list(r.values()), axis=1), fields) for r, fields in found)

    def _fields(self, params: Trial, batch: ResidualBatch) -> tuple[Array, ...]:
        """All fields (N, c) at the places of each group of equations."""

        def fields(whole: tuple[Trial, Equations], places: Any) -> Array:
            trial, part = whole
            return part.fields(trial.function, places)

        parts = zip(self.equations, batch.places, strict=False)
        return tuple(devices.each(fields, (params, part), places) for part, places in parts)

    def _integrals(self, params: Trial) -> dict[str, Array]:
        known = self.known(params)
        found: dict[str, Array] = {}
        for part in self.integrals:
            found |= part.values(params.function, known)
        return {name: jnp.mean(r**2) for name, r in found.items()}

    def _sizes(self, part: Equations, params: Trial, index: Array) -> Array:
        """Root of the sum of the squared residuals at places of the pool, (n,) -> (n,)."""
        assert isinstance(part, Block)
        values = self._mapped(part, params, part.pool.take(index))
        return jnp.sqrt(jnp.stack([r**2 for r in values.values()]).sum(0))
