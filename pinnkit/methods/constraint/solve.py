"""Least squares for the coefficients of all experts at once, and derivatives of the solution.

    w* = argmin  1/2 sum_k |r_k(w_k)|^2 + 1/2 |S w|^2 + 1/2 a |w - w0|^2

r_k (M,) are the residuals of expert k, nonlinear in its own n coefficients; the rows S of the
seams join experts and are linear. Without seams all experts are solved on their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.methods.constraint.joining import Inverse, Joint

FIRST_DAMPING, LEAST_DAMPING, LARGEST_DAMPING = 1e-3, 1e-15, 1e12
"""With a first damping of 1e-6 the first step is nearly Newton's, which far from the solution led
to worse minima on trained networks (docs/hard_constraints.md)."""
TRUSTED = 0.9
"""Part of the promised gain above which damping falls a thousandfold, not tenfold."""


class Rows(Protocol):
    """Residuals of K experts as functions of their coefficients (K, n)."""

    def residual(self, w: Array) -> Array:
        """(K, M)."""
        ...

    def jacobian(self, w: Array) -> tuple[Array, Array]:
        """Residuals (K, M) and their derivatives (K, M, n)."""
        ...

    @property
    def joint(self) -> Joint:
        """How the experts hang together."""
        ...

    def each(self, function: Callable[..., Any], *more: Array) -> Any:
        """function(rows, *more) of rows without seams, for one that treats experts one by one."""
        ...

    def one_by_one(self, function: Callable[..., Any], *more: Array) -> Any:
        """function(rows, *more) for every expert as if it were the only one, side by side."""
        ...

    def alike(self, function: Callable[..., Any], *given: Any) -> Any:
        """function(*given), for what joins the experts."""
        ...


class Fit(NamedTuple):
    """Coefficients (K, n), whether each group of experts has settled, and the steps taken."""

    w: Array
    settled: Array
    steps: Array


class _State(NamedTuple):
    w: Array
    cost: Array
    damping: Array
    settled: Array
    step: Array


def fit(rows: Rows, start: Array, shrink: float, steps: int, tolerance: float) -> Fit:
    """Levenberg and Marquardt's method, each group of experts with a damping of its own.

    A group is one expert, or all of them where seams join them. Steps that do not lower the sum of
    squares, or lead to values that are not finite, are not taken and damped more; the result is
    finite if `start` is. A group has settled when a step promises or gains less than `tolerance`
    of its sum of squares. A linear problem takes three or four steps.
    """
    joint = rows.alike(lambda joint: joint.compressed(), rows.joint)

    def cost(w: Array) -> Array:
        return rows.alike(_whole, joint, _squares(rows, w, start, shrink), w)

    def triangles(rows: Rows, w: Array, start: Array) -> Array:
        return _reduced(rows, w, start, shrink)

    def going(state: _State) -> Array:
        return (state.step < steps) & ~jnp.all(state.settled)

    def step(state: _State) -> _State:
        reduced = rows.each(triangles, state.w, start)
        change, promised = rows.alike(_step, joint, reduced, state.w, state.damping)
        trial = state.w + change
        found = cost(trial)
        better = (found <= state.cost) & ~state.settled
        small = promised <= tolerance * state.cost
        gained = state.cost - found
        stuck = state.damping >= LARGEST_DAMPING
        settled = state.settled | small | stuck | (better & (gained <= tolerance * state.cost))
        factor = jnp.where(better, jnp.where(gained > TRUSTED * promised, 1e-3, 0.1), 10.0)
        return _State(
            _where(better, trial, state.w),
            jnp.where(better, found, state.cost),
            jnp.clip(state.damping * factor, LEAST_DAMPING, LARGEST_DAMPING),
            settled,
            state.step + 1,
        )

    first = cost(start)
    begin = _State(
        start,
        first,
        jnp.full_like(first, FIRST_DAMPING),
        jnp.zeros(first.shape, bool),
        jnp.zeros((), int),
    )
    last = jax.lax.while_loop(going, step, begin)
    return Fit(last.w, last.settled, last.step)


def _squares(rows: Rows, w: Array, start: Array, shrink: float) -> Array:
    """Sums of squares (K,) of every expert by itself."""

    def own(rows: Rows, w: Array, start: Array) -> Array:
        return jnp.sum(rows.residual(w) ** 2, axis=1) + shrink * jnp.sum((w - start) ** 2, axis=1)

    return rows.each(own, w, start)


def _reduced(rows: Rows, w: Array, start: Array, shrink: float) -> Array:
    """[R, Q^T r] (K, m, n + 1) of every expert by itself."""
    value, slopes = rows.jacobian(w)
    experts, _, count = slopes.shape
    whole = jnp.concatenate([slopes, value[..., None]], axis=2)
    own = jnp.sqrt(jnp.asarray(shrink, w.dtype))
    toward = jnp.concatenate(
        [
            jnp.broadcast_to(own * jnp.eye(count, dtype=w.dtype), (experts, count, count)),
            own * (w - start)[..., None],
        ],
        axis=2,
    )
    whole = jnp.concatenate([whole, toward], axis=1)
    # values that are not finite would spoil the other experts too
    whole = jnp.where(jnp.isfinite(whole), whole, 0.0)
    return jnp.linalg.qr(whole, mode="r")


def attached(build: Callable[[], Rows], w: Array, start: Array, shrink: float, full: bool) -> Array:
    """The solution w as a differentiable function of everything that `build`'s rows depend on.

    With F(w, theta) = 0 the gradient of the sum of squares, dw / dtheta = -(dF/dw)^-1 dF/dtheta.
    The value returned is w after one more step of Newton's method, where that lowers the gradient.
    `full`: dF/dw with second derivatives of the residuals; else
    J^T J alone (Gauss and Newton), which is exact where residuals are zero or linear.
    """
    w, start = jax.lax.stop_gradient((w, start))

    def second(rows: Rows, w: Array, start: Array) -> Array:
        return (_newton if full else _gauss_newton)(rows, w, start, shrink)

    def gradient(rows: Rows, at: Array) -> Array:
        return _slope(rows, at, start, shrink) + rows.joint.force(at)

    rows = build()
    fixed = jax.lax.stop_gradient(rows)
    blocks = fixed.each(second, w, start)
    inverse = jax.lax.stop_gradient(fixed.alike(_inverse, fixed.joint, blocks))

    def step(force: Array) -> Array:
        return fixed.alike(_applied, inverse, force)

    # sums of squares tell coefficients to half the digits, their gradient tells all
    before = gradient(fixed, w)
    better = w - step(before)
    sizes = [
        fixed.joint.grouped(jnp.sum((force / inverse.scale) ** 2, axis=1))
        for force in (gradient(fixed, better), before)
    ]
    w = jax.lax.stop_gradient(_where(sizes[0] < sizes[1], better, w))
    force = gradient(rows, w)
    return w - step(force - jax.lax.stop_gradient(force))


def _slope(rows: Rows, w: Array, start: Array, shrink: float) -> Array:
    """Half the gradient (K, n) of the sums of squares, without those of the seams."""
    return jax.grad(lambda at: jnp.sum(_squares(rows, at, start, shrink)) / 2)(w)


def _gauss_newton(rows: Rows, w: Array, start: Array, shrink: float) -> Array:
    """J^T J (K, n, n) of every expert by itself."""
    matrix = _reduced(rows, w, start, shrink)[..., :-1]
    return jnp.einsum("kmi,kmj->kij", matrix, matrix)


def _newton(rows: Rows, w: Array, start: Array, shrink: float) -> Array:
    """Half the second derivatives (K, n, n) of the sum of squares of every expert by itself.

    All experts at once, as none depends on another.
    """
    directions = jnp.eye(w.shape[1], dtype=w.dtype)[:, None]
    _, push = jax.linearize(lambda at: _slope(rows, at, start, shrink), w)
    columns = jax.vmap(push)(jnp.broadcast_to(directions, (w.shape[1], *w.shape)))
    return jnp.moveaxis(columns, 0, -1)


def _whole(joint: Joint, each: Array, w: Array) -> Array:
    """Sums of squares (G,) of the groups, from those of the experts (K,)."""
    return joint.grouped(each) + jnp.sum(joint.residual(w) ** 2)


def _step(joint: Joint, reduced: Array, w: Array, damping: Array) -> tuple[Array, Array]:
    return joint.step(reduced, w, damping)


def _inverse(joint: Joint, blocks: Array) -> Inverse:
    return joint.inverse(blocks)


def _applied(inverse: Inverse, force: Array) -> Array:
    return inverse(force)


def _where(which: Array, one: Array, other: Array) -> Array:
    """Coefficients (K, n) of the one for the groups of which it is true (G,), else of the other."""
    among = jnp.broadcast_to(which[:, None], (len(which), len(one) // len(which)))
    return jnp.where(among.reshape(-1, 1), one, other)
