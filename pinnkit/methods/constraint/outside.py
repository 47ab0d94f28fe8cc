"""The layer's least squares as other libraries want them: one vector in, one vector out.

Libraries know nothing of the sizes of unknowns and residuals, so both are scaled: residuals by
their norm at the start, unknowns so that every column of the slopes has one and the same norm
there. Damping by the unit matrix then is Marquardt's by the columns' norms.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from pinnkit.methods.constraint.solve import Fit, Rows

Vector = Callable[[Array], Array]
Minimise = Callable[[Vector, Array], tuple[Array, Array, Array]]
"""(residual, start) -> unknowns, whether they are settled, and the steps taken."""


def fit_by(minimise: Minimise, column: float, rows: Rows, start: Array, shrink: float) -> Fit:
    """`solve.fit` by another's `minimise`: expert by expert, or all in one where seams join them.

    `column`: the norm that columns get, against which `minimise` damps. Rows that are not finite
    count as huge. Where the result is not finite, or worse than `start`, `start` comes back.
    """

    def one(rows: Rows, start: Array) -> Fit:
        return _one(minimise, column, rows, start, shrink)

    if rows.joint.joined:
        return one(rows, start)
    found = rows.one_by_one(one, start)
    return Fit(found.w[:, 0], found.settled[:, 0], jnp.max(found.steps))


def _one(minimise: Minimise, column: float, rows: Rows, start: Array, shrink: float) -> Fit:
    """The fit of one group (K, n): coefficients, settled (1,), steps ()."""
    begin = _residual(rows, start, start, shrink)
    size, norms = jnp.linalg.norm(begin), _norms(rows, start, shrink)
    size, norms = (jnp.where(a > 0, a, 1.0) for a in (size, norms))
    unit = column * size / norms
    # its sixth power, which jaxopt takes, is finite
    huge = jnp.finfo(start.dtype).max ** 0.125

    def at(z: Array) -> Array:
        return start + (unit * z).reshape(start.shape)

    def residual(z: Array) -> Array:
        whole = _residual(rows, at(z), start, shrink) / size
        return jnp.where(jnp.abs(whole) < huge, whole, huge)

    z, settled, steps = minimise(residual, jnp.zeros(start.size, start.dtype))
    w = at(z)
    left = _residual(rows, w, start, shrink)
    better = jnp.all(jnp.isfinite(w)) & (jnp.sum(left**2) <= jnp.sum(begin**2))
    return Fit(jnp.where(better, w, start), settled[None], steps)


def _residual(rows: Rows, w: Array, start: Array, shrink: float) -> Array:
    """Rows of the experts, of the distance from the start, and of the seams, as one vector."""
    own, toward = rows.residual(w).ravel(), jnp.sqrt(shrink) * (w - start).ravel()
    return jnp.concatenate([own, toward, rows.joint.residual(w)])


def _norms(rows: Rows, w: Array, shrink: float) -> Array:
    """Norms (K n,) of the columns of the derivatives, without what is not finite."""
    _, slopes = rows.jacobian(w)
    squares = jnp.sum(jnp.where(jnp.isfinite(slopes), slopes, 0.0) ** 2, axis=1) + shrink
    squares = (squares + rows.joint.squares(w)).ravel()
    return jnp.sqrt(jnp.where(jnp.isfinite(squares), squares, 1.0))
