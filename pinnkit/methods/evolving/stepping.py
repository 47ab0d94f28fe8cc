"""How the weights of a network in space are carried from one time to the next."""

from __future__ import annotations

import abc
import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.methods.evolving.rows import Batch, Limits, Places, Stage, minimise
from pinnkit.methods.evolving.space import Space

STEPS = 100
"""Steps, or stored times, where none are asked for."""
ITERATIONS = 60
"""Levenberg-Marquardt steps in one stage, at most."""
GOAL, ENOUGH = 1e-3, 0.3
"""Residuals, relative to the one at which a run fails, at which a stage ends in any case, and at
which it ends where little is gained."""
DAMPING = 1e-8
"""Damping of the first step in time, relative to the mean diagonal of the normal equations."""


class Moment(eqx.Module):
    """Where a march stands: weights (P,), those of one step before, and what the steps remember.

    `memory` is the damping, or the length of the next step in time.
    """

    weights: Array
    before: Array
    memory: Array


class Outcome(eqx.Module):
    """Root mean square of a step's residual (in sizes of the fields) at fresh places, and work."""

    residual: Array
    work: Array


class Stepping(eqx.Module):
    """One way of stepping; `dt` is the step, or the distance of stored times, None for T / 100.

    Raises `OptionError` for a step that is not positive.
    """

    dt: float | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if self.dt is not None and not (self.dt > 0 and math.isfinite(self.dt)):
            raise OptionError(
                f"{type(self).__name__}(dt={self.dt!r}) is no step in time. Give a positive number."
            )

    def steps(self, duration: float) -> int:
        """Number of equal steps, none longer than `dt`."""
        return STEPS if self.dt is None else max(1, math.ceil(duration / self.dt - 1e-9))

    @property
    def anonymous(self) -> Stepping:
        """The same without `dt`, which is no part of what is compiled."""
        return dataclasses.replace(self, dt=None)

    def refusal(self, soft: tuple[str, ...]) -> str | None:
        """Why conditions that stay soft cannot be kept, None if they can."""
        del soft
        return None

    @abc.abstractmethod
    def begin(self, weights: Array) -> Moment:
        """The moment before the first step."""

    @abc.abstractmethod
    def advance(
        self, space: Space, moment: Moment, t: Array, dt: Array, key: Array, tolerance: float
    ) -> tuple[Moment, Outcome]:
        """One step from t to t + dt; traced."""


class Implicit(Stepping):
    """theta' = argmin sum over places |residual of a classical integrator|^2.

    Chen et al., arXiv:2210.00124. Stage i of a diagonally implicit Runge-Kutta method asks for

        u_i - dt a_ii F(t_i, m u_i + (1 - m) u_n) = u_n + dt sum_j<i a_ij F_j

    where u_i is the network at t_n + c_i dt and the last stage is the new field. Each is a
    least-squares problem for the weights, solved by a few damped Gauss-Newton steps from the
    weights before, carried on in a straight line where that is nearer. Places are drawn anew in
    every step.
    """

    @property
    @abc.abstractmethod
    def table(self) -> tuple[tuple[float, ...], ...]:
        """Rows (a_i1, ..., a_ii) of the stages."""

    @property
    def share(self) -> float:
        """m: 1 where rates are taken at the stage itself, 1/2 for the midpoint."""
        return 1.0

    def begin(self, weights: Array) -> Moment:
        return Moment(weights, weights, jnp.full((), DAMPING, weights.dtype))

    def advance(
        self, space: Space, moment: Moment, t: Array, dt: Array, key: Array, tolerance: float
    ) -> tuple[Moment, Outcome]:
        trained, fresh = jax.random.split(key)
        points = jnp.concatenate(
            [space.draw(trained, space.count), space.draw(fresh, space.count // 2)]
        )
        points, order = space.at(points, t), len(self.table)
        lag = space.table(moment.weights, points)
        rows = jnp.asarray([row + (0.0,) * (order - len(row)) for row in self.table])
        share = jnp.full((), self.share, points.dtype)
        limits = Limits(ITERATIONS, GOAL * tolerance, ENOUGH * tolerance)

        def stage(carry: tuple, row: tuple) -> tuple:
            weights, damping, rates = carry
            index, a = row
            place = jnp.sum(a)
            known = a.at[index].set(0.0)
            target = lag[space.value] + dt * jnp.tensordot(known, rates, 1)
            own = space.at(points, t + place * dt)
            middle = space.at(points, t + share * place * dt)
            places, later = Places(own, middle, target, lag), t + place * dt
            whole = Batch(places, dt * a[index], share, later)
            batch = Batch(places.take(slice(space.count)), dt * a[index], share, later)
            problem = Stage(space)
            weights = _nearest(problem, moment, weights, place, batch)
            weights, damping, count = minimise(problem, weights, damping, batch, limits)
            left, rate = problem.equation(space.function(weights), whole.places, whole)
            left = jnp.sqrt(jnp.mean(left[space.count :] ** 2))
            return (weights, damping, rates.at[index].set(rate)), (left, count)

        rates = jnp.zeros((order, *lag[space.value].shape), points.dtype)
        (weights, damping, _), (left, count) = jax.lax.scan(
            stage, (moment.weights, moment.memory, rates), (jnp.arange(order), rows)
        )
        outcome = Outcome(jnp.max(left), jnp.sum(count))
        return Moment(weights, moment.weights, damping), outcome


def _nearest(problem: Stage, moment: Moment, weights: Array, place: Array, batch: Batch) -> Array:
    """The present weights, or those on the straight line from the step before: the better ones."""
    ahead = moment.weights + place * (moment.weights - moment.before)
    losses = [problem.loss(problem.space.function(w), batch)[0] for w in (weights, ahead)]
    return jnp.where(losses[1] < losses[0], ahead, weights)


class ImplicitEuler(Implicit):
    """First order; damps what it does not resolve."""

    @property
    def table(self) -> tuple[tuple[float, ...], ...]:
        return ((1.0,),)


class ImplicitMidpoint(Implicit):
    """Second order, u_1 = u_0 + dt F((u_0 + u_1) / 2): neither damps nor amplifies waves."""

    @property
    def table(self) -> tuple[tuple[float, ...], ...]:
        return ((1.0,),)

    @property
    def share(self) -> float:
        return 0.5


class ImplicitRungeKutta(Implicit):
    """Third order in three stages, L-stable (Alexander, SIAM J. Numer. Anal. 14, 1977, 1006)."""

    @property
    def table(self) -> tuple[tuple[float, ...], ...]:
        g = 0.4358665215084590  # the middle root of g^3 - 3 g^2 + 3 g / 2 = 1 / 6
        first, second = -1.5 * g**2 + 4 * g - 0.25, 1.5 * g**2 - 5 * g + 1.25
        return (g,), ((1 - g) / 2, g), (first, second, g)
