"""Fields on labels, evaluated at places."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.solution import Evaluator

MOST = 120
"""Steps of the safeguarded search: more than bisection alone takes to round-off."""


class LabelledField(Evaluator):
    """u(t, x) = U(t, xi) at the label xi of which x is the place,

        X(t, xi) = xi + drift (t - start) + D(t, xi) = x.

    `labelled` has the columns `columns` (those of U) and `displacement` (that of D); `time` is the
    column of t in points. X grows with xi until characteristics cross, so that the label is unique;
    on a periodic axis it is sought in one period. Labels are found to round-off, and derivatives of
    any order are those of the implicit function. After the time `until`, that of the crossing,
    values are NaN.
    """

    labelled: Evaluator
    columns: tuple[int, ...] = eqx.field(static=True)
    displacement: int = eqx.field(static=True)
    drift: float = eqx.field(static=True)
    start: float = eqx.field(static=True)
    until: float = eqx.field(static=True)
    time: int = eqx.field(static=True)
    bounds: tuple[float, float] = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)

    def __call__(self, points: Array) -> Array:
        t = points[:, self.time]
        found = self.labelled(self.at(t, labels(self, points)))
        chosen = jnp.stack([found[:, i] for i in self.columns], axis=-1)
        return jnp.where((t <= self.until)[:, None], chosen, jnp.nan)

    def at(self, t: Array, space: Array) -> Array:
        """Points (N, 2) in the order of the axes, from times and labels or places."""
        t, space = jnp.broadcast_arrays(t, space)
        return jnp.stack([t, space] if self.time == 0 else [space, t], axis=-1)

    def places(self, at: Array) -> Array:
        """X (N,) at times and labels (N, 2)."""
        moved = self.drift * (at[:, self.time] - self.start)
        return at[:, 1 - self.time] + moved + self.labelled(at)[:, self.displacement]

    def jacobian(self, at: Array) -> Array:
        """J = X_xi (N,) at times and labels (N, 2)."""
        along = jnp.zeros_like(at).at[:, 1 - self.time].set(1.0)
        return jax.jvp(self.places, (at,), (along,))[1]


@eqx.filter_custom_jvp
def labels(field: LabelledField, points: Array) -> Array:
    """Labels (N,) of times and places (N, 2), by Newton steps that stay within a bracket.

    A step that leaves the bracket, or is not half as long as the one before, is replaced by
    bisection (Press et al., Numerical Recipes, section 9.4). A label stays once its place is met
    but for rounding.
    """
    (low, high), t = field.bounds, points[:, field.time]
    first = field.places(field.at(t, jnp.asarray(low, t.dtype)))
    target = points[:, 1 - field.time]
    if field.periodic:
        target = target - (high - low) * jnp.floor((target - first) / (high - low))
    rounding = 2 * jnp.finfo(t.dtype).eps * max(abs(low), abs(high))

    def unfinished(state: tuple[Array, ...]) -> Array:
        *_, step, count = state
        return (count < MOST) & jnp.any(jnp.abs(step) > rounding)

    def refined(state: tuple[Array, ...]) -> tuple[Array, ...]:
        below, above, xi, step, count = state
        at = field.at(t, xi)
        gap = field.places(at) - target
        below, above = jnp.where(gap <= 0, xi, below), jnp.where(gap >= 0, xi, above)
        newton = -gap / field.jacobian(at)
        sound = (xi + newton >= below) & (xi + newton <= above)
        sound &= jnp.abs(newton) <= 0.5 * jnp.abs(step)
        following = jnp.where(sound, xi + newton, 0.5 * (below + above))
        met = jnp.abs(gap) <= rounding + 2 * jnp.finfo(t.dtype).eps * jnp.abs(target)
        following = jnp.where(met, xi, following)
        return below, above, following, following - xi, count + 1

    below, above = jnp.full_like(target, low), jnp.full_like(target, high)
    guess = jnp.clip(low + target - first, low, high)
    state = (below, above, guess, 2 * (above - below), jnp.array(0))
    return jax.lax.while_loop(unfinished, refined, state)[2]


@labels.def_jvp
def _labels_jvp(primals, tangents):
    """J dxi = dx - dX, where dX is the change of X at a fixed label."""
    field, points = primals
    of_field, of_points = tangents
    of_points = jnp.zeros_like(points) if of_points is None else of_points
    space = 1 - field.time
    xi = labels(field, points)
    at, still = field.at(points[:, field.time], xi), of_points.at[:, space].set(0.0)
    _, change = eqx.filter_jvp(LabelledField.places, (field, at), (of_field, still))
    return xi, (of_points[:, space] - change) / field.jacobian(at)
