"""Self-scaled quasi-Newton methods with the inverse Hessian kept over changes of the batch."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import MethodError, OptionError
from pinnkit.training.evaluation import Evaluation, Unpack
from pinnkit.training.line_search import Edge, Point, Search, WolfeSearch
from pinnkit.training.stage import (
    CONVERGED,
    NONFINITE,
    RUNNING,
    STALLED,
    Stage,
    StageState,
    blank,
    flat,
    whole,
)

Rule = Callable[[Array, Array, int], tuple[Array, Array]]


class Curvature(eqx.Module):
    """Memory of the quasi-Newton stage: H (P, P), gradient and direction (P,), and flags.

    `change`: of the value in the last step. `stale`: value and gradient belong to an old batch.
    `fresh`: H is a multiple of the identity. `failures`: searches that failed in a row.
    """

    H: Array
    value: Array
    gradient: Array
    direction: Array
    scale: Array
    change: Array
    stale: Array
    fresh: Array
    failures: Array
    evaluations: Array
    resets: Array


@dataclass(frozen=True)
class QuasiNewton(Stage):
    """Self-scaled Broyden family with a strong Wolfe line search, on log(loss) by default.

    With s = x' - x, y = g' - g, rho = 1/(y.s), h = rho y.H y and b = -alpha (g.s) rho:

        H' = (H - H y y^T H/(y.H y) + phi (y.H y) v v^T)/tau + rho s s^T,  v = rho s - H y/(y.H y)

    where `coefficients` gives tau and phi (Urbán, Stefanou & Pons, J. Comput. Phys. 523 (2025)
    113656, after Al-Baali). The logarithm keeps the loss's descent directions and makes its scale
    irrelevant. The first trial step is the one that would repeat the last decrease, at most 1
    (Nocedal & Wright 2006, eq. 3.60): H is often too large after the loss has fallen by orders of
    magnitude, and this saves one to three evaluations a step. H survives an exchange of the batch.

    If a search fails, H is made positive definite again from its eigenvalues, cut off at rounding;
    if that search fails too, H becomes a multiple of the identity; if steepest descent fails a new
    batch is drawn, and then the stage ends.

    H takes 8 P^2 bytes. Raises `MethodError` above `largest` parameters, `OptionError` for
    `c1`, `c2` outside 0 < c1 < c2 < 1.
    """

    steps: int = 2000
    log_loss: bool = True
    resample_every: int | None = 200
    refreeze_every: int | None = 200
    c1: float = 1e-4
    c2: float = 0.9
    largest: int = 8000

    def __post_init__(self) -> None:
        whole(self, steps=self.steps, resample_every=self.resample_every)
        if not 0 < self.c1 < self.c2 < 1:
            raise OptionError(
                f"{self.name}(c1={self.c1}, c2={self.c2}) is no Wolfe pair. Choose 0 < c1 < c2 < 1."
            )

    @abstractmethod
    def coefficients(self, h: Array, b: Array, size: int) -> tuple[Array, Array]:
        """tau and phi of the update for `size` parameters; h, b > 0 and h b >= 1."""

    def init(self, x: Array, squares: dict[str, Array], unpack: Unpack = flat) -> StageState:
        if x.size > self.largest:
            raise MethodError(
                f"{self.name} keeps a dense matrix of {x.size} x {x.size} numbers for {x.size} "
                f"parameters (limit {self.largest}). Use LBFGS or Adam, or a smaller network."
            )
        zero = jnp.zeros((), x.dtype)
        memory = Curvature(
            H=jnp.eye(x.size, dtype=x.dtype),
            value=zero,
            gradient=jnp.zeros_like(x),
            direction=jnp.zeros_like(x),
            scale=zero + 1,
            change=zero - 1,
            stale=jnp.asarray(True),
            fresh=jnp.asarray(True),
            failures=jnp.zeros((), jnp.int32),
            evaluations=jnp.zeros((), jnp.int32),
            resets=jnp.zeros((), jnp.int32),
        )
        return blank(x, squares, memory)

    def renew(self, state: StageState, due: Array) -> StageState:
        memory = eqx.tree_at(lambda m: m.stale, state.memory, state.memory.stale | due)
        return state.with_(memory=memory, code=jnp.where(due, RUNNING, state.code))

    def step(
        self, evaluate: Evaluation, state: StageState, batch: Any
    ) -> tuple[StageState, Array | bool]:
        old: Curvature = state.memory
        slope = old.gradient @ old.direction
        start = Point(Edge(jnp.zeros_like(slope), old.value, slope), old.gradient, state.squares)
        steepest = jnp.minimum(1.0, 1.0 / jnp.linalg.norm(old.direction))
        guess = jnp.clip(2.02 * old.change / slope, 1e-3, 1.0)
        first = jnp.where(old.fresh, steepest, guess).astype(slope.dtype)

        def along(x: Array) -> tuple[tuple[Array, dict[str, Array]], Array]:
            (loss, squares), gradient = evaluate(x, batch)
            if not self.log_loss:
                return (loss, squares), gradient
            return (jnp.log(loss), squares), gradient / loss

        wolfe = WolfeSearch(self.c1, self.c2)
        search = wolfe(along, state.x, old.direction, start, first, old.stale)
        new, moved = _advance(self.coefficients, state, search)
        loss = jnp.exp(new.memory.value) if self.log_loss else new.memory.value
        return new.with_(loss=loss), moved


def _advance(rule: Rule, state: StageState, search: Search) -> tuple[StageState, Array]:
    """Take the point found (or reset), update H, and set the next direction."""
    old: Curvature = state.memory
    fall_back = ~search.accepted & (search.low.edge.alpha > 0)
    point: Point = _choose(fall_back, search.low, search.point)
    moved = ~old.stale & (search.accepted | fall_back)
    failed = ~old.stale & ~moved
    lost = old.stale & ~jnp.isfinite(search.point.edge.value)
    gradient = jnp.where(failed, old.gradient, point.gradient)
    alpha = jnp.where(moved, point.edge.alpha, 0.0)
    H, direction, scale, updated = _update(rule, old, alpha, gradient, moved)
    H, direction, fresh = _mended(H, direction, scale, gradient, old, failed)
    code = jnp.where(failed & old.fresh, STALLED, state.code)
    code = jnp.where(jnp.all(gradient == 0), CONVERGED, code)
    memory = Curvature(
        H=H,
        value=jnp.where(failed, old.value, point.edge.value),
        gradient=gradient,
        direction=direction,
        scale=scale,
        change=jnp.where(moved, point.edge.value - old.value, old.change),
        stale=jnp.asarray(False),
        fresh=jnp.where(failed, fresh, old.fresh & ~updated),
        failures=jnp.where(failed, old.failures + 1, jnp.where(moved, 0, old.failures)),
        evaluations=old.evaluations + search.evaluations,
        resets=old.resets + failed,
    )
    new = state.with_(
        x=state.x + alpha * old.direction,
        squares=_choose(failed, state.squares, point.squares),
        code=jnp.where(lost, NONFINITE, code).astype(jnp.int32),
        memory=memory,
    )
    return new, moved


def _choose(condition: Array, a: Any, b: Any) -> Any:
    return jax.tree.map(lambda p, q: jnp.where(condition, p, q), a, b)


def _mended(
    H: Array, direction: Array, scale: Array, gradient: Array, old: Curvature, failed: Array
) -> tuple[Array, Array, Array]:
    """H and direction after a failed search, and whether H is a multiple of the identity."""

    def positive() -> tuple[Array, Array, Array]:
        values, vectors = jnp.linalg.eigh(H)
        floor = jnp.finfo(H.dtype).eps * jnp.max(jnp.abs(values))
        mended = (vectors * jnp.maximum(values, floor)[None, :]) @ vectors.T
        return mended, -mended @ gradient, jnp.asarray(False)

    def identity() -> tuple[Array, Array, Array]:
        return scale * jnp.eye(gradient.size, dtype=H.dtype), -scale * gradient, jnp.asarray(True)

    again = old.fresh | (old.failures > 0)
    mend = lambda: jax.lax.cond(again, identity, positive)  # noqa: E731
    return jax.lax.cond(failed, mend, lambda: (H, direction, jnp.asarray(False)))


def _update(
    rule: Rule, old: Curvature, alpha: Array, gradient: Array, moved: Array
) -> tuple[Array, Array, Array, Array]:
    """New H and direction -H'g', H being read once for H g' and once for the update.

    H y = H g' - H g = H g' + d since d = -H g; and H' g' follows from the factors of the update.
    """
    s, y = alpha * old.direction, gradient - old.gradient
    sy = s @ y
    sound = moved & (sy > 1e-15 * jnp.linalg.norm(s) * jnp.linalg.norm(y))
    scale = jnp.where(sound, sy / jnp.where(sound, y @ y, 1.0), old.scale)
    # a first update starts from (s.y/y.y) I: steps of length one fit from there on
    start = jnp.where(old.fresh & sound, scale / old.scale, 1.0)
    Hg = start * (old.H @ gradient)
    Hy = Hg + start * old.direction
    q = y @ Hy
    good = sound & (q > 0)
    one = lambda value: jnp.where(good, value, 1.0)  # noqa: E731
    zero = lambda vector: jnp.where(good, vector, 0.0)  # noqa: E731
    rho = 1.0 / one(sy)
    b, h = -alpha * (old.gradient @ s) * rho, q * rho
    tau, phi = rule(one(h), one(b), s.size)
    tau, phi = jnp.where(old.fresh, 1.0, tau), jnp.where(old.fresh, 1.0, phi)
    w = zero(Hy / jnp.sqrt(one(q)))
    v = zero(jnp.sqrt(one(q)) * (rho * s) - w)
    r = zero(jnp.sqrt(rho) * s)
    H = (start * old.H - _outer(w) + phi * _outer(v)) / tau + _outer(r)
    direction = (Hg - w * (w @ gradient) + phi * v * (v @ gradient)) / tau + r * (r @ gradient)
    return H, -direction, scale, good


def _outer(vector: Array) -> Array:
    return vector[:, None] * vector[None, :]
