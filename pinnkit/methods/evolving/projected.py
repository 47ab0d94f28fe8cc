"""Rates of the weights by projection, integrated with adaptive steps."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.methods.evolving.space import Space
from pinnkit.methods.evolving.stepping import Moment, Outcome, Stepping
from pinnkit.training.linear_models import ParameterSpace, lower_gram

MOST_STEPS = 400
"""Steps of the integrator between two stored times."""


class Projected(Stepping):
    """theta' = argmin sum over places |J theta' + df/dt - F(f)|^2 + ridge c |theta'|^2.

    J is the derivative of the field in the weights, df/dt that of the lift, c the mean of the
    diagonal of J^T J: the time-dependent variational principle, or neural Galerkin scheme (Bruna,
    Peherstorfer and Vanden-Eijnden, arXiv:2203.01360). The weights are integrated by Tsitouras'
    method of fifth order with adaptive steps; places are drawn anew for each stored time. Explicit:
    diffusion on fine scales takes many steps.

    - `dt`: distance of the stored times; None for T / 100.
    - `rtol`: relative error of a step in the weights, `ridge` the relative regularisation.

    Raises `OptionError` for options out of range.
    """

    rtol: float = eqx.field(static=True, default=1e-5)
    ridge: float = eqx.field(static=True, default=1e-9)

    def __check_init__(self) -> None:
        # Equinox calls this for every class of the hierarchy: that of `dt` is the base class's
        if not (0 < self.rtol < 1 and 0 < self.ridge < 1):
            raise OptionError(
                f"Projected(rtol={self.rtol}, ridge={self.ridge}) is out of range. "
                "Give numbers between 0 and 1."
            )

    def refusal(self, soft: tuple[str, ...]) -> str | None:
        if not soft:
            return None
        return (
            f"Projected keeps only conditions that an ansatz in space satisfies exactly, which "
            f"{', '.join(soft)} is not (choose ImplicitRungeKutta)"
        )

    def begin(self, weights: Array) -> Moment:
        return Moment(weights, weights, jnp.zeros((), weights.dtype))

    def advance(
        self, space: Space, moment: Moment, t: Array, dt: Array, key: Array, tolerance: float
    ) -> tuple[Moment, Outcome]:
        # takes a second to import, which only this needs
        import diffrax

        del tolerance
        trained, fresh = jax.random.split(key)
        points = space.draw(trained, space.count)
        first = jnp.where(moment.memory > 0, jnp.minimum(moment.memory, dt), dt / 10)
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda s, w, points: self.rates(space, w, points, jnp.asarray(s))),
            diffrax.Tsit5(),
            t,
            t + dt,
            first,
            moment.weights,
            args=points,
            saveat=diffrax.SaveAt(t1=True),
            stepsize_controller=diffrax.PIDController(self.rtol, self.rtol),
            max_steps=MOST_STEPS,
            throw=False,
            adjoint=diffrax.ForwardMode(),
        )
        failed = solution.result != diffrax.RESULTS.successful
        assert solution.ys is not None
        weights = solution.ys[0]
        count = solution.stats["num_steps"]
        points, end = space.draw(fresh, space.count // 2), t + dt
        rate = self.rates(space, weights, space.draw(trained, space.count), end)
        left = projection(space, weights, rate, points, end)
        left = jnp.where(failed, jnp.inf, dt * jnp.sqrt(jnp.mean(left**2)))
        length = dt / jnp.maximum(solution.stats["num_accepted_steps"], 1)
        return Moment(weights, moment.weights, length), Outcome(left, count)

    def rates(self, space: Space, weights: Array, points: Array, t: Array) -> Array:
        """theta' (P,) at weights (P,), from places (N, d)."""
        points = space.at(points, t)
        wanted = (_wanted(space, weights, points) / space.sizes[None, :]).ravel()
        jacobian = jax.vmap(jax.jacrev(lambda w, z: space.function(w)(z)), (None, 0))
        table = jacobian(weights, points) / space.sizes[None, :, None]
        rows = table.reshape(-1, weights.size)
        model = ParameterSpace(-wanted, -(wanted @ rows), rows, lower_gram(rows))
        return model.step(self.ridge * model.scale)


def projection(space: Space, weights: Array, rate: Array, points: Array, t: Array) -> Array:
    """J theta' + df/dt - F(f) at points (N, d), in sizes of the fields, (N, c)."""
    points = space.at(points, t)
    values = lambda w: jax.vmap(space.function(w))(points)  # noqa: E731
    found = jax.jvp(values, (weights,), (rate,))[1]
    return (found - _wanted(space, weights, points)) / space.sizes[None, :]


def _wanted(space: Space, weights: Array, points: Array) -> Array:
    """F(f) - df/dt at fixed weights, (N, c)."""
    along = jnp.zeros_like(points).at[:, space.time].set(1.0)
    own = jax.vmap(space.function(weights))
    lifted = jax.jvp(own, (points,), (along,))[1]
    return space.rate(space.table(weights, points), points) - lifted
