"""Damped Gauss-Newton steps: one rule for damping and acceptance, whatever solves the equations."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.training.evaluation import Evaluation, Unpack
from pinnkit.training.linear_models import LinearModel
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

TRIALS = 16
"""Dampings tried in one step before the batch counts as spent."""


class Damping(eqx.Module):
    """Memory: the damping, the factor of its next increase, and counts of evaluations."""

    value: Array
    growth: Array
    evaluations: Array
    rejected: Array


class Trial(eqx.Module):
    """State of the search for a damping whose step lowers the loss."""

    x: Array
    loss: Array
    squares: dict[str, Array]
    damping: Damping
    accepted: Array
    count: Array


@dataclass(frozen=True)
class Damped(Stage):
    """Gauss-Newton steps d of min |r + J d|^2 + lambda c |d|^2 for the loss |r|^2.

    c is the mean of the diagonal of J^T J, so that lambda (at first `damping`) has no units. With
    the gain ratio rho = (decrease of the loss)/(decrease of |r + J d|^2) a step is accepted if the
    new loss is finite and rho > 0, and then (Nielsen 1999; Madsen, Nielsen & Tingleff 2004, 3.2)

        lambda' = lambda max(shrink, 1 - (2 rho - 1)^3);

    otherwise lambda grows 2, 4, 8, ... times until a step is accepted. lambda = 0 is allowed at
    the start: undamped steps are taken while they succeed. If 16 dampings fail a new batch is
    drawn, and then the stage ends. Steps fit one batch far, so batches are exchanged often.

    Raises `OptionError` for a negative `damping` or a `shrink` outside (0, 1], and `MethodError`
    for an objective without residuals.
    """

    steps: int = 500
    damping: float = 1e-3
    shrink: float = 0.2
    resample_every: int | None = 5
    refreeze_every: int | None = 5

    def __post_init__(self) -> None:
        whole(self, steps=self.steps, resample_every=self.resample_every)
        if not (self.damping >= 0 and 0 < self.shrink <= 1):
            raise OptionError(
                f"{self.name}(damping={self.damping}, shrink={self.shrink}) damps nothing. "
                "Choose damping >= 0 and 0 < shrink <= 1."
            )

    @abstractmethod
    def model(self, evaluate: Evaluation, x: Array, batch: Any) -> LinearModel:
        """The residuals linearised at x."""

    def init(self, x: Array, squares: dict[str, Array], unpack: Unpack = flat) -> StageState:
        none = jnp.zeros((), jnp.int32)
        start = jnp.full((), self.damping, x.dtype)
        return blank(x, squares, Damping(start, jnp.full_like(start, 2), none, none))

    def renew(self, state: StageState, due: Array) -> StageState:
        return state.with_(code=jnp.where(due, RUNNING, state.code))

    def step(
        self, evaluate: Evaluation, state: StageState, batch: Any
    ) -> tuple[StageState, Array | bool]:
        model = self.model(evaluate, state.x, batch)
        loss = model.residuals @ model.residuals
        never = jnp.asarray(False)
        none = jnp.zeros((), jnp.int32)
        begin = Trial(state.x, loss, state.squares, state.memory, never, none)
        usable = jnp.isfinite(loss) & jnp.all(jnp.isfinite(model.gradient))
        end = jax.lax.while_loop(
            lambda trial: usable & ~trial.accepted & (trial.count < TRIALS),
            lambda trial: self._try(evaluate, model, trial, state.x, loss, batch),
            begin,
        )
        # dampings that grew in vain would rob the next batch of its steps
        kept = eqx.tree_at(
            lambda d: (d.value, d.growth), end.damping, (state.memory.value, state.memory.growth)
        )
        memory = jax.tree.map(lambda p, q: jnp.where(end.accepted, p, q), end.damping, kept)
        code = jnp.where(end.accepted, state.code, STALLED)
        code = jnp.where(jnp.all(model.gradient == 0), CONVERGED, code)
        code = jnp.where(usable, code, NONFINITE).astype(jnp.int32)
        new = state.with_(x=end.x, loss=end.loss, squares=end.squares, code=code, memory=memory)
        return new, end.accepted

    def _try(
        self,
        evaluate: Evaluation,
        model: LinearModel,
        trial: Trial,
        x: Array,
        loss: Array,
        batch: Any,
    ) -> Trial:
        old = trial.damping
        step = model.step(old.value * model.scale)
        new_loss, squares = evaluate.loss(x + step, batch)
        gain = (loss - new_loss) / model.decrease(step)
        accepted = jnp.isfinite(new_loss) & (new_loss < loss) & (gain > 0)
        fall = jnp.maximum(self.shrink, 1 - (2 * gain - 1) ** 3)
        least = jnp.finfo(x.dtype).eps
        damping = Damping(
            value=jnp.where(accepted, old.value * fall, jnp.maximum(old.value * old.growth, least)),
            growth=jnp.where(accepted, 2.0, 2 * old.growth),
            evaluations=old.evaluations + 1,
            rejected=old.rejected + ~accepted,
        )
        choose = lambda a, b: jax.tree.map(lambda p, q: jnp.where(accepted, p, q), a, b)  # noqa: E731
        return Trial(
            x=jnp.where(accepted, x + step, x),
            loss=choose(new_loss, trial.loss),
            squares=choose(squares, trial.squares),
            damping=damping,
            accepted=accepted,
            count=trial.count + 1,
        )
