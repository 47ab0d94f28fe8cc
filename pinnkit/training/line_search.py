"""Line search for the strong Wolfe conditions, one evaluation in one compiled place."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array


class Edge(eqx.Module):
    """A trial point on the line: step length, value and slope there."""

    alpha: Array
    value: Array
    slope: Array


class Point(eqx.Module):
    """Everything known at a trial point."""

    edge: Edge
    gradient: Array
    squares: dict[str, Array]


class Search(eqx.Module):
    """State of the search; `low` is the best point so far that decreases enough, `high` the other
    end of the bracket (meaningful once `bracketed`), `point` the last trial."""

    trial: Array
    point: Point
    low: Point
    high: Edge
    bracketed: Array
    accepted: Array
    evaluations: Array


class WolfeSearch(eqx.Module):
    """phi(a) <= phi(0) + c1 a phi'(0)  and  |phi'(a)| <= c2 |phi'(0)|.

    Bracketing and cubic interpolation in the manner of Moré & Thuente (1994) and Nocedal & Wright
    (2006), algorithms 3.5 and 3.6. A trial with a non-finite value or gradient bounds the bracket
    and is never accepted.
    """

    c1: float = eqx.field(static=True, default=1e-4)
    c2: float = eqx.field(static=True, default=0.9)
    limit: int = eqx.field(static=True, default=20)

    def __call__(
        self,
        evaluate: Callable[[Array], tuple[tuple[Array, dict[str, Array]], Array]],
        x: Array,
        direction: Array,
        start: Point,
        first: Array,
        probe: Array,
    ) -> Search:
        """Search along x + a*direction from `start` (a = 0), first trial a = `first`.

        With `probe` the start itself is evaluated and nothing else: the result's `point` then
        holds value, gradient and mean squares at `x`.
        """
        zero = jnp.zeros_like(start.edge.alpha)
        begin = Search(
            trial=jnp.where(probe, zero, first),
            point=start,
            low=start,
            high=start.edge,
            bracketed=jnp.asarray(False),
            accepted=jnp.asarray(False),
            evaluations=jnp.zeros((), jnp.int32),
        )

        def body(search: Search) -> Search:
            (value, squares), gradient = evaluate(x + search.trial * direction)
            finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
            value = jnp.where(finite, value, jnp.inf)
            slope = jnp.where(finite, gradient @ direction, 0)
            point = Point(Edge(search.trial, value, slope), gradient, squares)
            new = self._judge(search, start.edge, point)
            return eqx.tree_at(lambda s: s.accepted, new, new.accepted | probe)

        def going(search: Search) -> Array:
            descent = probe | (start.edge.slope < 0)
            return descent & ~search.accepted & (search.evaluations < self.limit)

        return jax.lax.while_loop(going, body, begin)

    def _judge(self, search: Search, start: Edge, point: Point) -> Search:
        """Take one evaluated trial into account and choose the next."""
        edge, low, high = point.edge, search.low.edge, search.high
        enough = edge.value <= start.value + self.c1 * edge.alpha * start.slope
        worse = ~enough | ((edge.value >= low.value) & (low.alpha > 0))
        accepted = ~worse & (jnp.abs(edge.slope) <= -self.c2 * start.slope)
        ahead = jnp.where(search.bracketed, high.alpha - low.alpha, 1.0)
        turned = edge.slope * ahead >= 0
        pick = lambda condition, a, b: jax.tree.map(  # noqa: E731
            lambda p, q: jnp.where(condition, p, q), a, b
        )
        new_high = pick(worse, edge, pick(turned, low, high))
        new_low = pick(worse, search.low, point)
        bracketed = search.bracketed | worse | turned
        late = search.evaluations >= 8
        inside = _interpolate(new_low.edge, new_high, late)
        outside = edge.alpha * jnp.clip(_extrapolate(low, edge), 1.5, 5.0)
        return Search(
            trial=jnp.where(bracketed, inside, outside),
            point=point,
            low=new_low,
            high=new_high,
            bracketed=bracketed,
            accepted=accepted,
            evaluations=search.evaluations + 1,
        )


def _cubic(a: Edge, b: Edge) -> Array:
    """Minimiser of the cubic with the values and slopes of both points; may be non-finite."""
    width = b.alpha - a.alpha
    d1 = a.slope + b.slope - 3 * (b.value - a.value) / width
    d2 = jnp.sign(width) * jnp.sqrt(jnp.maximum(d1**2 - a.slope * b.slope, 0))
    return b.alpha - width * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2)


def _interpolate(low: Edge, high: Edge, bisect: Array) -> Array:
    """Next trial inside the bracket, a tenth of its width away from both ends."""
    width = high.alpha - low.alpha
    fraction = (_cubic(low, high) - low.alpha) / width
    usable = jnp.isfinite(fraction) & jnp.isfinite(high.value)
    fraction = jnp.where(usable, jnp.clip(fraction, 0.1, 0.9), 0.2)
    return low.alpha + width * jnp.where(bisect & usable, 0.5, fraction)


def _extrapolate(low: Edge, edge: Edge) -> Array:
    """Ratio of the next step length to the present one while no bracket is known."""
    ratio = _cubic(low, edge) / edge.alpha
    return jnp.where(jnp.isfinite(ratio) & (ratio > 1), ratio, 5.0)
