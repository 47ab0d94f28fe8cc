"""Limited-memory BFGS through jaxopt; nothing else imports that package."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.training.evaluation import Evaluation, Unpack
from pinnkit.training.stage import (
    NONFINITE,
    RUNNING,
    STALLED,
    Stage,
    StageState,
    blank,
    flat,
    whole,
)


@dataclass(frozen=True)
class LBFGS(Stage):
    """L-BFGS with `history` pairs (Liu & Nocedal 1989), for networks too large for SSBFGS.

    A new batch empties the memory. Raises `OptionError` for numbers of steps below one.
    """

    steps: int = 2000
    history: int = 20
    resample_every: int | None = 500
    refreeze_every: int | None = 500

    def __post_init__(self) -> None:
        whole(self, steps=self.steps, resample_every=self.resample_every, history=self.history)

    def _solver(self, evaluate: Callable[..., Any]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import jaxopt
        return jaxopt.LBFGS(
            evaluate, value_and_grad=True, has_aux=True, history_size=self.history,
            linesearch="zoom", tol=0.0, jit=True, unroll=False,
        )  # fmt: skip

    def init(self, x: Array, squares: dict[str, Array], unpack: Unpack = flat) -> StageState:
        def blind(x: Array, batch: Any) -> tuple[tuple[Array, dict[str, Array]], Array]:
            return (jnp.zeros((), x.dtype), squares), x

        inner = jax.tree.map(jnp.asarray, self._solver(blind).init_state(x, batch=None))
        return blank(x, squares, (inner, jnp.asarray(True)))

    def step(
        self, evaluate: Evaluation, state: StageState, batch: Any
    ) -> tuple[StageState, Array | bool]:
        solver = self._solver(evaluate)
        inner, stale = state.memory
        inner = jax.lax.cond(
            stale,
            lambda: _like(inner, solver.init_state(state.x, batch=batch)),
            lambda: inner,
        )
        x, new = solver.update(state.x, inner, batch=batch)
        finite = jnp.isfinite(new.value) & jnp.all(jnp.isfinite(x))
        better = finite & (new.value < inner.value)
        code = jnp.where(finite, jnp.where(better, state.code, STALLED), NONFINITE)
        keep = lambda a, b: jax.tree.map(lambda p, q: jnp.where(better, p, q), a, b)  # noqa: E731
        new = keep(_like(inner, new), inner)
        return state.with_(
            x=jnp.where(better, x, state.x),
            loss=new.value,
            squares=new.aux,
            code=code.astype(jnp.int32),
            memory=(new, jnp.asarray(False)),
        ), better

    def renew(self, state: StageState, due: Array) -> StageState:
        inner, stale = state.memory
        return state.with_(memory=(inner, stale | due), code=jnp.where(due, RUNNING, state.code))


def _like(template: Any, tree: Any) -> Any:
    """The leaves of `tree` with the types of `template`, so that a compiled loop can carry them."""
    return jax.tree.map(lambda t, v: jnp.asarray(v, t.dtype), template, tree)
