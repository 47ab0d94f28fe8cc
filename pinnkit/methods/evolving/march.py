"""Bookkeeping of a march in time: initial fit, steps, budget, interruption, exact resume."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.methods.base import Progress, Run
from pinnkit.methods.evolving.rows import Batch, Limits, Places, Stage, minimise
from pinnkit.methods.evolving.space import Space
from pinnkit.methods.evolving.stepping import DAMPING, Moment, Outcome, Stepping
from pinnkit.training import checkpoint as files

SAVE_SECONDS = 60.0
STARTS, START_STEPS, PATIENCE = 60, 10, 6
"""Draws of places in the initial fit, Levenberg-Marquardt steps for each, and draws without gain
after which it ends."""


class March:
    """Mutable bookkeeping of one run.

    `rows` holds (residual, work, seconds) for every time reached, the initial one first.
    """

    def __init__(
        self, space: Space, stepping: Stepping, tolerance: float, run: Run, fingerprint: str
    ) -> None:
        self.space, self.stepping, self.tolerance, self.run = space, stepping, tolerance, run
        self.fingerprint = fingerprint
        begin, end = space.bounds
        self.times = np.linspace(begin, end, stepping.steps(end - begin) + 1)
        self.moment: Moment | None = None
        self.stored: list[np.ndarray] = []
        self.rows: list[tuple[float, float, float]] = []
        self.before = 0.0
        self.saved = time.monotonic()

    # -- the march

    def go(self, weights: Array) -> tuple[str, bool]:
        """From the initial values to the last time; why it ended, and whether it was sound."""
        if not self._resumed(weights):
            self._begin(weights)
        while len(self.stored) < len(self.times):
            reason = self._stop()
            if reason is None and not self.rows[-1][0] <= self.tolerance:
                reason = self._unresolved()
            if reason is not None:
                self._save()
                return f"{reason}; of use up to {self._name} = {self.reached:.4g}", False
            self._step()
            if time.monotonic() - self.saved > SAVE_SECONDS:
                self._save()
        self._save()
        if not self.rows[-1][0] <= self.tolerance:
            return f"{self._unresolved()}; of use up to {self._name} = {self.reached:.4g}", False
        return f"all {len(self.times) - 1} steps done", True

    def _step(self) -> None:
        index = len(self.stored)
        t, dt = self.times[index - 1], self.times[index] - self.times[index - 1]
        key = jax.random.fold_in(self.run.key, index)
        assert self.moment is not None
        moment, outcome = _advance(
            self.stepping.anonymous,
            self.space,
            self.moment,
            jnp.asarray(t),
            jnp.asarray(dt),
            key,
            self.tolerance,
        )
        self._keep(moment, outcome)
        self._report(type(self.stepping).__name__, index, len(self.times) - 1)

    def _begin(self, weights: Array) -> None:
        """Fit the initial values, until that is spent, or there is a reason to stop."""
        key = jax.random.fold_in(self.run.key, 0)
        damping, best = jnp.full((), 1e-3, weights.dtype), (math.inf, weights)
        work = vain = 0
        for draw in range(STARTS):
            if draw and self._stop() is not None:
                break
            weights, damping, left, count = _fitted(
                self.space, weights, damping, jax.random.fold_in(key, draw)
            )
            work += int(count)
            vain = 0 if float(left) < 0.9 * best[0] else vain + 1
            best = min(best, (float(left), weights), key=lambda pair: pair[0])
            losses = {"initial values": float(left)}
            self.run.report(
                Progress("initial fit", work, STARTS * START_STEPS, losses, self.run.elapsed)
            )
            if vain >= PATIENCE:
                break
        outcome = Outcome(jnp.asarray(best[0]), jnp.asarray(work))
        self._keep(self.stepping.begin(best[1]), outcome)

    def _keep(self, moment: Moment, outcome: Outcome) -> None:
        self.moment = moment
        self.stored.append(np.asarray(moment.weights))
        self.rows.append((float(outcome.residual), float(outcome.work), self.elapsed))

    def _stop(self) -> str | None:
        if self.run.interrupted():
            return "interrupted"
        if self.run.remaining <= 0:
            return f"time budget of {self.run.seconds:.3g} s used up"
        return None

    def _unresolved(self) -> str:
        what = "the initial values" if len(self.rows) == 1 else "the last step"
        return (
            f"{what} left a residual of {self.rows[-1][0]:.1e}, above {self.tolerance:.1e}: "
            "take a larger network, more points or shorter steps"
        )

    def _report(self, stage: str, step: int, of: int) -> None:
        losses = {"residual": self.rows[-1][0]}
        self.run.report(Progress(stage, step, of, losses, self.run.elapsed))

    # -- what is known

    @property
    def _name(self) -> str:
        return self.space.system.time or ""

    @property
    def sound(self) -> int:
        """Number of times whose fields are of use."""
        return sum(residual <= self.tolerance for residual, _, _ in self.rows)

    @property
    def reached(self) -> float:
        """The last time of use."""
        return float(self.times[max(self.sound, 1) - 1])

    @property
    def elapsed(self) -> float:
        """Seconds of this run and those that it continues."""
        return self.before + self.run.elapsed

    def history(self) -> dict[str, np.ndarray]:
        """One row per time, the initial one first."""
        residual, work, seconds = np.array(self.rows, float).reshape(-1, 3).T
        return {
            "step": np.arange(len(self.rows)),
            "wall_s": seconds,
            self._name: self.times[: len(self.rows)],
            "residual": residual,
            "work": work,
        }

    # -- checkpoints

    def _save(self) -> None:
        if self.run.checkpoint is None or self.moment is None:
            return
        count = len(self.stored)
        facts = {
            "index": 0,
            "step": count - 1,
            "recorded": count - 1,
            "rows": self.rows,
            "elapsed": self.elapsed,
        }
        tree = self.moment, np.stack(self.stored)
        files.save(Path(self.run.checkpoint), tree, facts, self.fingerprint)
        self.saved = time.monotonic()

    def _resumed(self, weights: Array) -> bool:
        """Take up a checkpoint; whether there was one."""
        path = self.run.checkpoint
        if path is None or not Path(path).exists():
            return False
        facts = files.facts(Path(path), self.fingerprint)
        count = facts["step"] + 1
        stack = jax.ShapeDtypeStruct((count, weights.size), weights.dtype)
        template = eqx.filter_eval_shape(self.stepping.begin, weights)
        self.moment, stored = files.load(Path(path), (template, stack))
        self.stored = list(np.asarray(stored))
        self.rows = [tuple(row) for row in facts["rows"]]
        self.before = facts["elapsed"]
        self._report("resumed", count - 1, len(self.times) - 1)
        return True


@eqx.filter_jit
def _advance(stepping: Stepping, *arguments: Any) -> tuple[Moment, Outcome]:
    """A step in time; what is compiled serves all runs with the same equations and sizes."""
    return stepping.advance(*arguments)


@eqx.filter_jit
def _fitted(space: Space, weights: Array, damping: Array, key: Array) -> tuple[Array, ...]:
    """Some steps towards the initial values: weights, damping, held-out residual, steps."""
    trained, fresh = jax.random.split(key)
    start, stage = jnp.asarray(space.bounds[0]), Stage(space, rates=False)

    def batch(points: Array) -> Batch:
        points, none = space.at(points, start), jnp.zeros(())
        return Batch(Places(points, points, space.start(points), {}), none, none, start)

    own = batch(space.draw(trained, space.count))
    weights, damping, count = minimise(stage, weights, damping, own, Limits(START_STEPS))
    other = batch(space.draw(fresh, space.count // 2))
    left, _ = stage.equation(space.function(weights), other.places, other)
    # a batch that is spent leaves no damping to go on with
    return weights, jnp.maximum(damping, DAMPING**2), jnp.sqrt(jnp.mean(left**2)), count
