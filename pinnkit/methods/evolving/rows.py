"""One implicit stage as a least-squares problem for the weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.ansatz import Ansatz
from pinnkit.methods.evolving.space import Space, Table
from pinnkit.training import LevenbergMarquardt
from pinnkit.training.evaluation import Evaluation
from pinnkit.training.objective import Objective, Rows

CONDITIONS = 10.0
"""Factor of the mean squares of conditions that the ansatz does not satisfy."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """When a least-squares problem is solved well enough.

    After `steps`, at the root mean square `goal`, or, once that is below `enough`, when a step
    lowers it to no less than `worthwhile` of what it was.
    """

    steps: int
    goal: float = 0.0
    enough: float = 0.0
    worthwhile: float = 0.9


class Places(eqx.Module):
    """Where the unknown is taken (N, d), where its rate, and what it is made of.

    `target` (N, c) and `lag`, the derivatives of the field at the beginning of the step.
    """

    own: Array
    middle: Array
    target: Array
    lag: Table

    def take(self, index: slice) -> Places:
        """Some of the places."""
        return jax.tree.map(lambda leaf: leaf[index], self)


class Batch(eqx.Module):
    """A stage u - h F(m u + (1 - m) lag) = target at time t; `share` is m."""

    places: Places
    h: Array
    share: Array
    t: Array


class Stage(Objective):
    """Mean square of the dimensionless residual of a stage, and of conditions ten times.

    Without rates, u = target alone: a fit.
    """

    space: Space
    rates: bool = eqx.field(static=True, default=True)

    def sample(self, key: Array, params: Any, step: Array, previous: Any = None) -> Any:
        """Stages are given their batches."""
        raise NotImplementedError

    def loss(self, params: Ansatz, batch: Batch) -> tuple[Array, dict[str, Array]]:
        found = self.residuals(params, batch)
        return found @ found, {}

    def rows(self, params: Ansatz, batch: Batch) -> tuple[Rows, ...]:
        del params
        places, fields = batch.places, len(self.space.sizes)
        count = places.target.size
        share = jnp.full((len(places.own), fields), count**-0.5)
        own = Rows(lambda f, place: self._equation(f, place, batch), places, share)
        return (own, *(self._edge(part, batch.t) for part in self.space.edges))

    def _equation(self, f: Ansatz, place: Places, batch: Batch) -> Array:
        """Residuals (c,) at one place."""
        one = jax.tree.map(lambda leaf: leaf[None], place)
        return self.equation(f, one, batch)[0][0]

    def equation(self, f: Ansatz, places: Places, batch: Batch) -> tuple[Array, Array]:
        """Residuals (N, c), and the rates that the stage stands for."""
        if not self.rates:
            values = jax.vmap(f)(places.own)
            return (values - places.target) / self.space.sizes[None, :], jnp.zeros_like(values)
        table = self.space.derivatives(f, places.own)
        mixed = {
            key: batch.share * value + (1 - batch.share) * places.lag[key]
            for key, value in table.items()
        }
        rate = self.space.rate(mixed, places.middle)
        left = table[self.space.value] - batch.h * rate - places.target
        return left / self.space.sizes[None, :], rate

    def _edge(self, part: Any, t: Array) -> Rows:
        places = self.space.edge_places(part, t)

        def function(f: Ansatz, place: Any) -> Array:
            one = jax.tree.map(lambda leaf: leaf[None], place)
            found = part.values(f, self.space.system.parameters, one)
            return jnp.concatenate(list(found.values()))

        share = jnp.full((len(places.points), len(part.names)), (CONDITIONS / part.size) ** 0.5)
        return Rows(function, places, share)


def minimise(
    stage: Stage, weights: Array, damping: Array, batch: Batch, limits: Limits
) -> tuple[Array, Array, Array]:
    """Levenberg-Marquardt from `weights` (P,): new weights, damping, and the number of steps."""
    algorithm = LevenbergMarquardt()
    evaluate = Evaluation(stage, stage.space.function)
    state = algorithm.init(weights, {})
    state = eqx.tree_at(lambda s: s.memory.value, state, damping)
    first = evaluate.loss(weights, batch)[0]

    def step(carry: tuple) -> tuple:
        state, loss, count, _ = carry
        new, accepted = algorithm.step(evaluate, state, batch)
        gaining = (new.loss < limits.worthwhile**2 * loss) | (new.loss > limits.enough**2)
        going = accepted & gaining & (new.loss > limits.goal**2)
        return new, new.loss, count + 1, going

    start = (state.with_(loss=first), first, jnp.zeros((), jnp.int32), jnp.asarray(True))
    state, _, count, _ = jax.lax.while_loop(lambda c: c[3] & (c[2] < limits.steps), step, start)
    return state.x, state.memory.value, count
