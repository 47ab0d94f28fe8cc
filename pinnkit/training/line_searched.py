"""What quasi-Newton stages share: a strong Wolfe search along -H g, and what follows a failure."""

from abc import abstractmethod
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


class Curvature(eqx.Module):
    """Memory of a quasi-Newton stage: inverse Hessian H, gradient and direction (P,), and flags.

    `H`: a matrix (P, P), or what stands for one. `scale`: the multiple of the identity that fits
    the last step. `change`: of the value in the last step. `stale`: value and gradient belong to
    an old batch. `fresh`: H is a multiple of the identity. `failures`: searches that failed in a
    row.
    """

    H: Any
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


class Step(eqx.Module):
    """A step s (P,) from the gradient g to `gradient` = g', and what it tells of the curvature.

    `alpha` is the step length, `sound`: there was a step, and s.y > 0 for y = g' - g, so that the
    pair may be used. `product` is s.y, or 1 where it is not sound.
    """

    s: Array
    y: Array
    alpha: Array
    gradient: Array
    product: Array
    sound: Array


@dataclass(frozen=True)
class LineSearched(Stage):
    """Steps x' = x - a H g with a strong Wolfe step length a, on log(loss) by default.

    The logarithm keeps the loss's descent directions and makes its scale irrelevant. The first
    trial is the a that would repeat the last decrease, at most 1 (Nocedal & Wright 2006, eq. 3.60).
    What is known of the curvature survives an exchange of the batch.

    If a search fails, `mended` tries to repair H; if H was a multiple of the identity already, a
    new batch is drawn, and then the stage ends.

    Raises `OptionError` for numbers of steps below one, and for `c1`, `c2` outside 0 < c1 < c2 < 1.
    """

    steps: int = 2000
    log_loss: bool = True
    resample_every: int | None = 200
    refreeze_every: int | None = 200
    c1: float = 1e-4
    c2: float = 0.9

    def __post_init__(self) -> None:
        whole(self, steps=self.steps, resample_every=self.resample_every)
        if not 0 < self.c1 < self.c2 < 1:
            raise OptionError(
                f"{self.name}(c1={self.c1}, c2={self.c2}) is no Wolfe pair. Choose 0 < c1 < c2 < 1."
            )

    @abstractmethod
    def identity_matrix(self, x: Array) -> Any:
        """H = I at the start."""

    @abstractmethod
    def updated(self, old: Curvature, step: Step, scale: Array) -> tuple[Any, Array, Array]:
        """H, the direction -H g' and whether H took the step in; the old H if it is not sound."""

    @abstractmethod
    def mended(
        self, H: Any, direction: Array, scale: Array, gradient: Array, old: Curvature
    ) -> tuple[Any, Array, Array]:
        """H and direction after a failed search, and whether H is a multiple of the identity."""

    def init(self, x: Array, squares: dict[str, Array], unpack: Unpack = flat) -> StageState:
        zero, none = jnp.zeros((), x.dtype), jnp.zeros((), jnp.int32)
        memory = Curvature(
            H=self.identity_matrix(x),
            value=zero,
            gradient=jnp.zeros_like(x),
            direction=jnp.zeros_like(x),
            scale=zero + 1,
            change=zero - 1,
            stale=jnp.asarray(True),
            fresh=jnp.asarray(True),
            failures=none,
            evaluations=none,
            resets=none,
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
        new, moved = self._advance(state, search)
        loss = jnp.exp(new.memory.value) if self.log_loss else new.memory.value
        return new.with_(loss=loss), moved

    def _advance(self, state: StageState, search: Search) -> tuple[StageState, Array]:
        """Take the point found (or reset), update H, and set the next direction."""
        old: Curvature = state.memory
        fall_back = ~search.accepted & (search.low.edge.alpha > 0)
        point: Point = _choose(fall_back, search.low, search.point)
        moved = ~old.stale & (search.accepted | fall_back)
        failed = ~old.stale & ~moved
        lost = old.stale & ~jnp.isfinite(search.point.edge.value)
        gradient = jnp.where(failed, old.gradient, point.gradient)
        alpha = jnp.where(moved, point.edge.alpha, 0.0)
        step, scale = _step(old, alpha, gradient, moved)
        H, direction, used = self.updated(old, step, scale)
        H, direction, fresh = jax.lax.cond(
            failed,
            lambda: self.mended(H, direction, scale, gradient, old),
            lambda: (H, direction, old.fresh & ~used),
        )
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
            fresh=fresh,
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


def require_dense(stage: Stage, size: int, largest: int) -> None:
    """`MethodError` for more parameters than a dense matrix is meant for."""
    if size > largest:
        raise MethodError(
            f"{stage.name} keeps a dense matrix of {size} x {size} numbers for {size} "
            f"parameters (limit {largest}). Use LBFGS or Adam, or a smaller network."
        )


def _step(old: Curvature, alpha: Array, gradient: Array, moved: Array) -> tuple[Step, Array]:
    """The step taken and s.y/y.y, which fits the curvature along it (else the old scale)."""
    s, y = alpha * old.direction, gradient - old.gradient
    product = s @ y
    sound = moved & (product > 1e-15 * jnp.linalg.norm(s) * jnp.linalg.norm(y))
    scale = jnp.where(sound, product / jnp.where(sound, y @ y, 1.0), old.scale)
    return Step(s, y, alpha, gradient, jnp.where(sound, product, 1.0), sound), scale


def _choose(condition: Array, a: Any, b: Any) -> Any:
    return jax.tree.map(lambda p, q: jnp.where(condition, p, q), a, b)
