"""Time marching: one small network after another, each for a window in time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from pinnkit.ansatz import (
    Ansatz,
    Enforcement,
    Lift,
    Windows,
    build_ansatz,
    opening,
    time_orders,
    window_part,
)
from pinnkit.ansatz.enforce import Architecture
from pinnkit.compile.system import System
from pinnkit.geometry import Box
from pinnkit.methods.base import Progress, Run
from pinnkit.methods.budget import defects
from pinnkit.methods.closing import Closing
from pinnkit.methods.finished import Window
from pinnkit.methods.held_out import certificate, held_out
from pinnkit.objective import ResidualObjective, Trial
from pinnkit.objective.blocks import Block
from pinnkit.objective.causal import NOTES
from pinnkit.objective.past import Past, after, placed
from pinnkit.spec.condition import Kind
from pinnkit.training import FitResult, Look, Stage, fit, prepare, undecided
from pinnkit.training.checkpoint import Kept, kept
from pinnkit.training.program import Program

PROBE, LARGE = 1000, 0.3
"""A window whose root mean square residual is larger than this after so many steps is halved."""
PATIENCE = 2000
"""So is one that has not come to the tolerance that is asked for after so many."""
MOST = 64
"""Windows into which automatic halving divides the time at most."""
TOO_LONG = "not resolved after"
"""How the reason begins why a window is halved."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a PINN makes and trains what one window needs.

    `objective(system, enforcement, weights)`; `stages(ansatz, seconds)`; `unresolved`: root mean
    square of residuals above which a window counts as not resolved; `tolerance`: that at which it
    is good enough (`Closing`); `warm`: whether windows begin with the weights of the one before.
    """

    architecture: Architecture
    harmonics: int
    objective: Callable[[System, Enforcement, int], ResidualObjective]
    stages: Callable[[Ansatz, float | None], tuple[Stage, ...]]
    identity: str
    unresolved: float
    tolerance: float | None = None
    warm: bool = False


def obstacle(system: System) -> str | None:
    """Why windows in time do not apply, else None."""
    if system.time is None or not any(time_orders(system)):
        return "no equation has a time derivative"
    if not isinstance(system.domain, Box):
        return "the domain is no box"
    values = {condition.name: condition.value for condition in system.problem.conditions}
    for residual in system.conditions:
        if residual.kind is Kind.OBSERVED:
            return f"'{residual.name}' may span several windows"
        if residual.kind is Kind.INTEGRAL and system.time in map(
            str, values[residual.name].free_symbols
        ):
            return f"'{residual.name}' has a value that changes with time"
        if "final" in residual.regions:
            return f"'{residual.name}' is given at the end of time"
    return None


def blocks(objective: ResidualObjective) -> list[Block]:
    """Everything that has places: equations, conditions, and the nodes of integrals."""
    parts = [b for b in (*objective.equations, *objective.conditions) if isinstance(b, Block)]
    return parts + [part.nodes for part in objective.integrals]


@dataclasses.dataclass(frozen=True)
class TooLong:
    """The reason to end a fit that a shorter window would serve better, None where it may go on.

    Its residuals are still large after `PROBE` steps, or above the tolerance after `PATIENCE`.
    """

    tolerance: float | None

    def __call__(self, look: Look) -> str | None:
        size, wanted = look.score**0.5, self.tolerance or math.inf
        if look.step >= PROBE and not size < LARGE:
            return f"{TOO_LONG} {PROBE} steps"
        if look.step >= PATIENCE and not size <= wanted:
            return f"{TOO_LONG} {PATIENCE} steps"
        return None


def sizes(losses: dict[str, float]) -> dict[str, float]:
    """What is reported: root mean squares for mean squares, and the state of causal weights."""
    return {name: v if name in NOTES else v**0.5 for name, v in losses.items()}


class March:
    """Mutable bookkeeping of one run through the windows.

    The function after k windows is `Windows`. Only the part of the present window is trained; lift
    and earlier parts are tabulated at the pool's places, so that a step costs as much in the last
    window as in the first, and one compiled program serves all windows of one length.
    """

    def __init__(
        self, recipe: Recipe, system: System, enforcement: Enforcement, run: Run, keys: jax.Array
    ) -> None:
        self.recipe, self.system, self.enforcement, self.run = recipe, system, enforcement, run
        assert system.time is not None
        self.build, self.hold, self.training = keys
        self.time, self.orders = system.axes.index(system.time), time_orders(system)
        self.begin, self.end = system.domain.bounds[system.time]
        whole = build_ansatz(
            enforcement, recipe.architecture, harmonics=recipe.harmonics, key=self.build
        )
        self.lift = Lift.of(whole)
        self.exact_start = opening(enforcement)
        self.done: list[Window] = []
        self.programs: dict[bool, Program] = {}
        self.bases: dict[tuple[bool, float], ResidualObjective] = {}
        self.pasts: dict[tuple[bool, float], tuple[int, list[Past]]] = {}
        self.length = 0.0

    # -- the windows

    def go(self, count: int, halving: bool) -> tuple[str, bool]:
        """March in `count` windows, or more where `halving` is allowed; why it ended, if all done.

        A run whose checkpoint holds finished windows goes on with the next.
        """
        self.length = (self.end - self.begin) / count
        fresh = not self._resumed()
        reason, finished = "", True
        while self.left and finished:
            result = self._window(halving and self.count < MOST, fresh)
            fresh = True
            if result.status.startswith(TOO_LONG):
                self.length /= 2
                continue
            interrupted = result.status.startswith("interrupted")
            resolved = max(self.done[-1].held_out.values(), default=0.0) < self.recipe.unresolved
            # what follows a wrong state is wrong as well
            reason, finished = result.status, resolved and not interrupted
        if self.left:
            reason += f"; of use up to {self.system.time} = {self.done[-1].start:.4g}"
        return reason, not self.left

    @property
    def reached(self) -> float:
        """End of the last finished window."""
        return self.done[-1].start + self.done[-1].length if self.done else self.begin

    @property
    def left(self) -> int:
        """Windows of the present length that are still to come."""
        return round((self.end - self.reached) / self.length)

    @property
    def count(self) -> int:
        """Windows in all, if the rest has the present length."""
        return len(self.done) + self.left

    def _window(self, halving: bool, fresh: bool) -> FitResult:
        index, first = len(self.done), not self.done and not self.exact_start
        objective = self._objective(first)
        part = self._part(first)
        if self.recipe.warm and self.done and len(self.done[-1].part):
            part = _with_weights(part, self.done[-1].part)
        trial = Trial(part, {})
        stages = self.recipe.stages(part, self.run.seconds)
        key = jax.random.fold_in(self.training, index)
        label = f"window {index + 1} of {self.count}"
        if first not in self.programs or not self.programs[first].fits(objective, trial):
            self.programs[first] = Program(objective, trial)
            # compiling must not take the share of the first window, on which all others stand
            prepare(objective, trial, stages, self.programs[first], key)
        seconds = None if self.run.seconds is None else max(self.run.remaining, 1e-3) / self.left
        result = fit(
            objective,
            trial,
            stages,
            key=key,
            seconds=seconds,
            report=lambda stage, step, of, losses, _: self.run.report(
                Progress(
                    f"{stage}, {label}",
                    step,
                    of,
                    sizes(losses),
                    self.run.elapsed,
                )
            ),
            interrupted=self.run.interrupted,
            checkpoint=self.run.checkpoint,
            fingerprint=f"{self.recipe.identity} from {self.reached} to {self.length}",
            give_up=TooLong(self.recipe.tolerance) if halving else undecided,
            done=Closing(objective, self._held(), self.recipe.tolerance),
            program=self.programs[first],
            resume=not fresh,
            kept=self._kept(),
        )
        if not result.status.startswith(TOO_LONG):
            self._close(objective, result)
        return result

    def _close(self, objective: ResidualObjective, result: FitResult) -> None:
        held = held_out(objective, result.params, self._held())
        part = np.asarray(ravel_pytree(eqx.filter(result.params, eqx.is_inexact_array))[0])
        self.done.append(
            Window(
                self.reached,
                self.length,
                part,
                result.history,
                held,
                result.score,
                result.status,
                certificate(objective, result, self._held()),
                defects(self.system, objective.scales, held, self.length),
            )
        )

    def _held(self) -> jax.Array:
        """Key of the places at which the present window is judged."""
        return jax.random.fold_in(self.hold, len(self.done))

    # -- what is trained, and on what

    def _part(self, first: bool) -> Ansatz:
        """The part of a window with its initial weights."""
        return window_part(
            self.enforcement,
            self.recipe.architecture,
            gated=not first,
            harmonics=self.recipe.harmonics,
            key=self.build,
        )

    def _objective(self, first: bool) -> ResidualObjective:
        """The objective of the next window, earlier parts tabulated."""
        base = self._base(first)
        here = [
            placed(b, past, self.lift, *self._place(self.reached, self.length), self.time)
            for b, past in zip(blocks(base), self._pasts(base, first), strict=True)
        ]
        count, soft = len(base.equations), len(base.equations) + len(base.conditions)
        integrals = [
            dataclasses.replace(part, nodes=nodes)
            for part, nodes in zip(base.integrals, here[soft:], strict=True)
        ]
        return dataclasses.replace(
            base,
            equations=tuple(here[:count]),
            conditions=tuple(here[count:soft]),
            integrals=tuple(integrals),
        )

    def _base(self, first: bool) -> ResidualObjective:
        """The objective of the first window of this length; the same object for equal windows."""
        if (first, self.length) not in self.bases:
            self.bases[first, self.length] = self._made(first)
        return self.bases[first, self.length]

    def _made(self, first: bool) -> ResidualObjective:
        system, name = self.system, self.system.time
        assert isinstance(system.domain, Box) and name is not None
        box = Box(
            time=name, **{**system.domain.bounds, name: (self.begin, self.begin + self.length)}
        )
        soft = self.enforcement.soft
        if not first:
            soft = tuple(r for r in soft if r.kind is not Kind.INITIAL)
        local = dataclasses.replace(self.enforcement, system=system.on(box), soft=soft)
        size = len(ravel_pytree(eqx.filter(self._part(first), eqx.is_inexact_array))[0])
        return self.recipe.objective(local.system, local, size)

    def _pasts(self, base: ResidualObjective, first: bool) -> list[Past]:
        """What all finished windows leave at the places of `base`, from where it was last known."""
        parts = blocks(base)
        known, pasts = self.pasts.get((first, self.length), (0, []))
        pasts = pasts or [Past.nothing(block, self.time, self.orders) for block in parts]
        for index, window in list(enumerate(self.done))[known:]:
            place, part = self._place(window.start, window.length), self._trained(index)
            for i, block in enumerate(parts):
                # only the frame matters here, as the tables are those of the end of the window
                own = placed(block, pasts[i], self.lift, *place, self.time)
                pasts[i] = after(pasts[i], own, part, place[1], self.time, self.orders)
        self.pasts[first, self.length] = len(self.done), pasts
        return pasts

    def _place(self, start: float, length: float) -> tuple[Any, Any, Any]:
        bounds = jnp.asarray(self.begin), jnp.asarray(self.end)
        return jnp.asarray(start), jnp.asarray(length), bounds

    def _trained(self, index: int) -> Ansatz:
        first = index == 0 and not self.exact_start
        return _with_weights(self._part(first), self.done[index].part)

    # -- results

    def function(self) -> Windows:
        """What is known so far."""
        return Windows(
            self.lift,
            tuple(self._trained(i) for i in range(len(self.done))),
            tuple(w.start for w in self.done),
            tuple(w.length for w in self.done),
            (self.begin, self.end),
            self.orders,
            self.time,
        )

    # -- checkpoints

    def _kept(self) -> Kept:
        """The finished windows, for the checkpoint of the next."""
        return Kept(
            {"length": self.length, "windows": [w.notes() for w in self.done]},
            {f"{i:03d}": w.part for i, w in enumerate(self.done)},
        )

    def _resumed(self) -> bool:
        """Take up the finished windows of a checkpoint; whether there was one of a march."""
        path = self.run.checkpoint
        if path is None or not Path(path).exists():
            return False
        stored = kept(Path(path))
        if stored is None:
            return False
        self.length = stored.notes["length"]
        for index, facts in enumerate(stored.notes["windows"]):
            self.done.append(Window.of(facts, stored.arrays[f"{index:03d}"]))
        return True


def marching(checkpoint: Path | None) -> bool:
    """Whether a checkpoint is that of a march."""
    return checkpoint is not None and Path(checkpoint).exists() and kept(checkpoint) is not None


def _with_weights(part: Ansatz, weights: np.ndarray) -> Ansatz:
    arrays, static = eqx.partition(part, eqx.is_inexact_array)
    _, unravel = ravel_pytree(arrays)
    return eqx.combine(unravel(jnp.asarray(weights)), static)
