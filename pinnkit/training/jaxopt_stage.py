"""Algorithms of jaxopt, by name; nothing else imports that package."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError
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

NAMES = ("BFGS", "GradientDescent", "LBFGS", "NonlinearCG")
DEFAULTS: dict[str, dict[str, Any]] = {
    "BFGS": {"linesearch": "hager-zhang"},
    "GradientDescent": {"acceleration": False},
    "LBFGS": {"linesearch": "zoom", "history_size": 20},
    "NonlinearCG": {"linesearch": "backtracking"},
}
"""Options of our choice: accelerated gradients are not monotone, and with the zoom search BFGS and
conjugate gradients stop early on Rosenbrock's function."""


@dataclass(frozen=True)
class Jaxopt(Stage):
    """The jaxopt algorithm `algorithm`: LBFGS, BFGS, NonlinearCG or GradientDescent.

    These are the ones of jaxopt that minimise smooth functions by value and gradient, so that they
    work inside a compiled loop. `options` are keyword arguments of the jaxopt class, as pairs:
    (("history_size", 50),). A new batch starts the algorithm anew. A step that does not lower the
    loss is not taken; after it a new batch is drawn, and then the stage ends. Their line searches
    hold the loss in several places, which takes longer to compile than `LBFGS`.

    Raises `OptionError` for an unknown algorithm (the message lists them) or option.
    """

    steps: int = 2000
    algorithm: str = "LBFGS"
    options: tuple[tuple[str, float | bool | str], ...] = ()
    resample_every: int | None = 500
    refreeze_every: int | None = 500

    def __post_init__(self) -> None:
        whole(self, steps=self.steps, resample_every=self.resample_every)
        if self.algorithm not in NAMES:
            raise OptionError(
                f"Jaxopt(algorithm={self.algorithm!r}) is unknown. "
                f"Choose one of {', '.join(NAMES)}."
            )
        try:
            self._solver(lambda x: ((x, {}), x))
        except TypeError as error:
            raise OptionError(
                f"Jaxopt({self.algorithm!r}) cannot take its options {self.options!r} ({error}). "
                "Give (name, value) pairs that the jaxopt class takes."
            ) from error

    @property
    def name(self) -> str:
        return f"jaxopt.{self.algorithm}"

    def _solver(self, evaluate: Callable[..., Any]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import jaxopt
        options = DEFAULTS[self.algorithm] | dict(self.options)
        made = getattr(jaxopt, self.algorithm)
        return made(
            evaluate, value_and_grad=True, has_aux=True, tol=0.0, jit=True, unroll=False, **options
        )

    def init(self, x: Array, squares: dict[str, Array], unpack: Unpack = flat) -> StageState:
        def blind(x: Array, batch: Any) -> tuple[tuple[Array, dict[str, Array]], Array]:
            return (jnp.zeros((), x.dtype), squares), x

        # the types of a state are only settled after a step
        def stepped(x: Array) -> Any:
            solver = self._solver(blind)
            return solver.update(x, solver.init_state(x, batch=None), batch=None)[1]

        shapes = jax.eval_shape(stepped, x)
        inner = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return blank(x, squares, (inner, jnp.asarray(True)))

    def step(
        self, evaluate: Evaluation, state: StageState, batch: Any
    ) -> tuple[StageState, Array | bool]:
        solver = self._solver(evaluate)
        inner, stale = state.memory

        def begin() -> tuple[Any, Array]:
            # what jaxopt calls auxiliary here is the gradient for some algorithms
            fresh = solver.init_state(state.x, batch=batch)._replace(aux=inner.aux)
            return _like(inner, fresh), evaluate.loss(state.x, batch)[0]

        inner, before = jax.lax.cond(stale, begin, lambda: (inner, state.loss))
        x, new = solver.update(state.x, inner, batch=batch)
        loss, squares = evaluate.loss(x, batch)
        finite = jnp.isfinite(loss) & jnp.all(jnp.isfinite(x))
        better = finite & (loss < before)
        code = jnp.where(better, state.code, STALLED)
        keep = lambda a, b: jax.tree.map(lambda p, q: jnp.where(better, p, q), a, b)  # noqa: E731
        return state.with_(
            x=jnp.where(better, x, state.x),
            loss=jnp.where(better, loss, before),
            squares=keep(squares, state.squares),
            code=jnp.where(jnp.isfinite(before), code, NONFINITE).astype(jnp.int32),
            memory=(keep(_like(inner, new), inner), jnp.asarray(False)),
        ), better

    def renew(self, state: StageState, due: Array) -> StageState:
        inner, stale = state.memory
        return state.with_(memory=(inner, stale | due), code=jnp.where(due, RUNNING, state.code))


def _like(template: Any, tree: Any) -> Any:
    """The leaves of `tree` with the types of `template`, so that a compiled loop can carry them."""
    return jax.tree.map(lambda t, v: jnp.asarray(v, t.dtype), template, tree)
