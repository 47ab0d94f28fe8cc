"""Least squares for the coefficients of all experts at once, and derivatives of the solution.

    w* = argmin  1/2 sum_k |r_k(w_k)|^2 + 1/2 |S w - s|^2 + 1/2 a |w - w0|^2

r_k (M,) are the residuals of expert k, nonlinear in its own n coefficients; the rows S of the
seams join experts and are linear. Without seams all experts are solved on their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.methods.constraint.joining import in_line, joined, squared, squared_in_line

FIRST_DAMPING, LEAST_DAMPING, LARGEST_DAMPING = 1e-6, 1e-15, 1e12


class Rows(Protocol):
    """Residuals of K experts as functions of their coefficients (K, n)."""

    def residual(self, w: Array) -> Array:
        """(K, M)."""
        ...

    def jacobian(self, w: Array) -> tuple[Array, Array]:
        """Residuals (K, M) and their derivatives (K, M, n)."""
        ...

    def seams(self) -> tuple[Array, Array] | None:
        """S (Ms, K n) and s (Ms,), or None where experts are on their own."""
        ...

    @property
    def in_line(self) -> bool:
        """Whether seams join each expert to the next one only, in this order, with equally many
        rows each."""
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
    of its sum of squares. A linear problem takes one step.
    """
    joined = rows.seams() is not None
    groups = 1 if joined else len(start)

    def cost(w: Array) -> Array:
        each = _squares(rows, w, start, shrink)
        if not joined:
            return each
        return rows.alike(_whole, each, rows.seams(), w)

    def going(state: _State) -> Array:
        return (state.step < steps) & ~jnp.all(state.settled)

    def step(state: _State) -> _State:
        triangle = factor(rows, state.w, start, shrink)
        change, promised = rows.alike(damped, triangle, state.damping)
        trial = state.w + change.reshape(state.w.shape)
        found = cost(trial)
        better = (found <= state.cost) & ~state.settled
        small = promised <= tolerance * state.cost
        gained = state.cost - found
        stuck = state.damping >= LARGEST_DAMPING
        settled = state.settled | small | stuck | (better & (gained <= tolerance * state.cost))
        keep = jnp.broadcast_to(better[:, None], (groups, state.w.size // groups))
        return _State(
            jnp.where(keep.reshape(state.w.shape), trial, state.w),
            jnp.where(better, found, state.cost),
            jnp.clip(state.damping * jnp.where(better, 0.1, 10.0), LEAST_DAMPING, LARGEST_DAMPING),
            settled,
            state.step + 1,
        )

    kind = start.dtype
    begin = _State(
        start,
        cost(start),
        jnp.full(groups, FIRST_DAMPING, kind),
        jnp.zeros(groups, bool),
        jnp.zeros((), int),
    )
    last = jax.lax.while_loop(going, step, begin)
    return Fit(last.w, last.settled, last.step)


def factor(rows: Rows, w: Array, start: Array, shrink: float) -> Array:
    """[R, Q^T r] (G, m, n + 1) of every group, so that |J d + r|^2 = |R d + Q^T r|^2 + constant.

    Experts are reduced one by one before the seams join them, which then costs little.
    """
    reduced = rows.each(lambda rows, w, start: _reduced(rows, w, start, shrink), w, start)
    seams = rows.seams()
    if seams is None:
        return reduced
    return rows.alike(in_line if rows.in_line else joined, reduced, seams, w)


def _whole(each: Array, seams: tuple[Array, Array], w: Array) -> Array:
    """The sum of squares (1,) of all experts and of the seams."""
    matrix, side = seams
    return (jnp.sum(each) + jnp.sum((matrix @ w.ravel() - side) ** 2))[None]


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


def damped(triangle: Array, damping: Array) -> tuple[Array, Array]:
    """Steps (G, n) that minimise |R d + c|^2 + damping |D d|^2, D the column norms of R, and how
    much each lowers |R d + c|^2."""
    matrix, right = triangle[..., :-1], triangle[..., -1]
    norms = jnp.linalg.norm(matrix, axis=1)
    norms = jnp.where(norms > 0, norms, 1.0)
    scaled = matrix / norms[:, None, :]
    count = scaled.shape[-1]
    more = jnp.sqrt(damping)[:, None, None] * jnp.eye(count, dtype=matrix.dtype)[None]
    rows = jnp.concatenate(
        [
            jnp.concatenate([scaled, right[..., None]], axis=2),
            jnp.concatenate([more, jnp.zeros((len(more), count, 1), matrix.dtype)], axis=2),
        ],
        axis=1,
    )
    reduced = jnp.linalg.qr(rows, mode="r")
    solution = jax.scipy.linalg.solve_triangular(
        reduced[:, :count, :count], -reduced[:, :count, count:], lower=False
    )[..., 0]
    left = jnp.einsum("gij,gj->gi", scaled, solution) + right
    return solution / norms, jnp.sum(right**2, axis=1) - jnp.sum(left**2, axis=1)


def attached(build: Callable[[], Rows], w: Array, start: Array, shrink: float, full: bool) -> Array:
    """The solution w as a differentiable function of everything that `build`'s rows depend on.

    With F(w, theta) = 0 the gradient of the sum of squares, dw / dtheta = -(dF/dw)^-1 dF/dtheta.
    The value returned is w after one more step of Newton's method, where that lowers the gradient.
    `full`: dF/dw with second derivatives of the residuals; else
    J^T J alone (Gauss and Newton), which is exact where residuals are zero or linear.
    """
    w, start = jax.lax.stop_gradient((w, start))

    def gradient(rows: Rows, at: Array) -> Array:
        own, seams = _slope(rows, at, start, shrink), rows.seams()
        if seams is None:
            return own
        return own + (seams[0].T @ (seams[0] @ at.ravel() - seams[1])).reshape(at.shape)

    rows = build()
    fixed = jax.lax.stop_gradient(rows)
    normal = jax.lax.stop_gradient((_newton if full else _gauss_newton)(fixed, w, start, shrink))
    groups, count, _ = normal.shape
    scale = jnp.sqrt(jnp.maximum(jnp.abs(jnp.einsum("gii->gi", normal)), jnp.finfo(w.dtype).tiny))
    balanced = normal / scale[:, :, None] / scale[:, None, :]

    def step(force: Array) -> Array:
        sides = force.reshape(groups, count) / scale
        return (jnp.linalg.solve(balanced, sides[..., None])[..., 0] / scale).reshape(w.shape)

    # sums of squares tell coefficients to half the digits, their gradient tells all
    before = gradient(fixed, w)
    better = w - step(before)
    sizes = [
        jnp.linalg.norm(force.reshape(groups, count) / scale, axis=1)
        for force in (gradient(fixed, better), before)
    ]
    nearer = jnp.broadcast_to((sizes[0] < sizes[1])[:, None], (groups, count)).reshape(w.shape)
    w = jax.lax.stop_gradient(jnp.where(nearer, better, w))
    force = gradient(rows, w)
    return w - step(force - jax.lax.stop_gradient(force))


def _slope(rows: Rows, w: Array, start: Array, shrink: float) -> Array:
    """Half the gradient (K, n) of the sums of squares, without those of the seams."""
    return jax.grad(lambda at: jnp.sum(_squares(rows, at, start, shrink)) / 2)(w)


def _gauss_newton(rows: Rows, w: Array, start: Array, shrink: float) -> Array:
    """J^T J (G, n, n) of every group."""
    matrix = factor(rows, w, start, shrink)[..., :-1]
    return jnp.einsum("gki,gkj->gij", matrix, matrix)


def _newton(rows: Rows, w: Array, start: Array, shrink: float) -> Array:
    """Half the second derivatives (G, n, n) of the sum of squares of every group.

    Those of an expert's own rows need as many directions as it has coefficients, however many
    experts there are: none of them depends on another.
    """

    def own(rows: Rows, w: Array, start: Array) -> Array:
        experts, count = w.shape
        directions = jnp.eye(count, dtype=w.dtype)[:, None]
        _, push = jax.linearize(lambda at: _slope(rows, at, start, shrink), w)
        columns = jax.vmap(push)(jnp.broadcast_to(directions, (count, experts, count)))
        return jnp.moveaxis(columns, 0, -1)

    blocks, seams = rows.each(own, w, start), rows.seams()
    if seams is None:
        return blocks
    return rows.alike(squared_in_line if rows.in_line else squared, blocks, seams)
