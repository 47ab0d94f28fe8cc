"""Emulators: the step from one instant to the next, learned from trajectories."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import numpy as np

from pinnkit.compile import System
from pinnkit.data import Dataset
from pinnkit.derivatives import FourierAxis
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods.base import Method, Run
from pinnkit.methods.emulator.field import EmulatorField
from pinnkit.methods.emulator.measures import one_step_error, rolled_errors, valid_time
from pinnkit.methods.emulator.objective import Shelf, StepErrors
from pinnkit.methods.emulator.phases import Phase, fit_phases
from pinnkit.methods.emulator.stepper import Interleaved, Propagator, Scales, Stepper
from pinnkit.methods.emulator.trajectories import Facts, Layout, facts, layout, trajectories
from pinnkit.methods.family_of import family_of
from pinnkit.methods.generation import generate
from pinnkit.methods.neural_operator.losses import Loss, RelativeL2
from pinnkit.methods.neural_operator.method import check_data, readable
from pinnkit.nn.fno import FNO
from pinnkit.nn.initial import single
from pinnkit.solution import Solution, Status
from pinnkit.training import Adam, FitResult, OneCycle, Stage


class Emulator(Method):
    """Learn the step from one instant to the next, and solve by repeating it.

    For evolution families whose input function is the initial state, without explicit time. One
    step adds to the state a network's view of it, u_{n+1} = u_n + s N(u_n), all of known scale; a
    field whose mean over space never changes in the training data keeps it exactly. The solution
    takes the initial state, `solution(a=..., t=..., x=...)`.

    - `architecture`: one on grids: `FNO(...)`, `MgNO(...)`, also inside `NeuralStagger(...)`. If
      the equations depend on position (a forcing), it must know positions: `FNO(anchored=True)`.
    - `data`: a `Dataset` of trajectories (`pk.dataset`, `pk.read_dataset`), else `samples` are
      generated, as for `Operator`, with `resolution` intervals along each space axis and
      `frames` in time. A sixth of given data is set aside for validation and test together.
    - `after`: when frames begin; the state at this time counts as the initial one, so that chaotic
      systems start from their attractor. Of given data what comes earlier is dropped.
    - `history`: states that the network sees; before the first all are equal to it.
    - `unroll`: steps through which the error is followed in training; several numbers are phases
      of training one after another, the first of them with all `steps`, the others with a fifth.
      `pushforward`: only the last step counts, and its window is taken for data.
    - `noise`: added to the states in training, in units of their change in one step.
    - `steps`, `batch`, `learning_rate`, `stages`, `loss`: as for `Operator`; a batch counts
      stretches of `unroll` steps. Later phases begin at a fifth of the rate.

    The error estimate is the mean relative L2 error of roll-outs from test states over all stored
    instants; `stats` hold the error of one step, and the time for which roll-outs are valid.

    Raises OptionError for options out of range.
    """

    architecture: Any = eqx.field(default=FNO(), static=True)
    data: Dataset | None = eqx.field(default=None, static=True)
    samples: int = eqx.field(default=200, static=True)
    resolution: int | None = eqx.field(default=None, static=True)
    frames: int = eqx.field(default=32, static=True)
    after: float | None = eqx.field(default=None, static=True)
    history: int = eqx.field(default=1, static=True)
    unroll: int | tuple[int, ...] = eqx.field(default=1, static=True)
    pushforward: bool = eqx.field(default=False, static=True)
    noise: float = eqx.field(default=0.0, static=True)
    steps: int = eqx.field(default=3000, static=True)
    batch: int = eqx.field(default=32, static=True)
    learning_rate: float = eqx.field(default=2e-3, static=True)
    stages: tuple[Stage, ...] | None = eqx.field(default=None, static=True)
    loss: Loss = eqx.field(default=RelativeL2(), static=True)

    def __check_init__(self) -> None:
        least = {"samples": 10, "frames": 2, "steps": 1, "batch": 1, "history": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise OptionError(
                    f"Emulator({name}={getattr(self, name)}) is too small. Give at least {value}."
                )
        if not self.unrolls or min(self.unrolls) < 1:
            raise OptionError(
                f"Emulator(unroll={self.unroll}): a number of steps must be at least 1. Give 1, or "
                "a tuple such as (1, 4)."
            )
        if not (self.learning_rate > 0 and self.noise >= 0):
            raise OptionError(
                "Emulator: learning_rate must be positive and noise not negative. Change them."
            )
        if self.history > 1 and self.span > 1:
            raise OptionError(
                f"Emulator(history={self.history}): interleaved sequences see one state each. "
                "Give history=1, or NeuralStagger(time=1)."
            )
        if self.data is not None and len(self.data) < 10:
            raise OptionError(f"Emulator(data=...) has {len(self.data)} samples. Give at least 10.")

    @property
    def unrolls(self) -> tuple[int, ...]:
        """Steps of each phase of training."""
        return self.unroll if isinstance(self.unroll, tuple) else (self.unroll,)

    @property
    def span(self) -> int:
        """Instants by which one application advances."""
        return int(getattr(self.architecture, "time", 1))

    def supports(self, system: System) -> str | None:
        if system.time is None or system.traits.steady:
            return "it does not evolve in time"
        if not system.traits.autonomous:
            return "its equations change with time, while an emulator's step is always the same"
        try:
            if self.data is None:
                family_of(system, self.resolution, self.frames, after=self.after)
            else:
                check_data(system, self.data)
                layout(self.data.subset(slice(0, 10)), system.time)
        except (MethodError, OptionError) as error:
            return str(error).rstrip(".")
        return None

    def run(self, system: System, run: Run) -> Solution:
        learned = self.learn(system, run)
        return self.solution(system, run, learned)

    def learn(self, system: System, run: Run) -> Training:
        """Train on the data, or on those that are generated."""
        data_key, network_key, training_key = jax.random.split(run.key, 3)
        data, declared = self._data(system, run, data_key)
        data_s = run.elapsed
        held = max(len(data) // 12, 5)
        sets = data.split(len(data) - 2 * held, held, held)
        plan = layout(data, system.time)
        known = facts(sets[0], plan)
        self._require_length(data, plan)
        propagator = self._untrained(data, plan, known, network_key)
        train, held_out, test = (Shelf.of(*trajectories(part, plan)) for part in sets)
        result = fit_phases(
            self._phases(propagator, train, held_out, data),
            propagator.networks,
            key=training_key,
            run=run,
            fingerprint=f"{system.digest} {self.options!r}",
        )
        propagator = eqx.tree_at(lambda p: p.networks, propagator, result.params)
        start = np.asarray(sets[2].inputs[:1])[0] if declared is None else declared
        field = EmulatorField.of(propagator, plan, data.function, start, known.first, data.grid)
        return Training(field, train, held_out, test, result, data_s)

    def _data(self, system: System, run: Run, key: jax.Array) -> tuple[Dataset, np.ndarray | None]:
        """All trajectories, and the initial state of an ordinary problem."""
        if self.data is not None:
            return self.data if self.after is None else self.data.after(self.after), None
        family = family_of(system, self.resolution, self.frames, after=self.after)
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        made = {"digest": system.digest, "seed": seed}
        count = self.samples + 2 * max(self.samples // 10, 5)
        data, declared = generate(system, family, count, seed, made, run.report, run.interrupted)
        return data, declared if self.after is None else None

    def _require_length(self, data: Dataset, plan: Layout) -> None:
        stored = data.grid[plan.frame].n - 1
        needed = max(self.unrolls) * self.span + self.span - 1
        if stored < needed:
            raise OptionError(
                f"Emulator(unroll={self.unroll}) follows {needed} steps, but the data hold "
                f"{stored}. Unroll less, or give more frames."
            )

    def _untrained(self, data: Dataset, plan: Layout, known: Facts, key: jax.Array) -> Propagator:
        """A propagator with random weights, normalised by the training set."""
        shape = tuple(axis.n for axis in plan.space)
        carried, others = len(plan.carried), len(plan.diagnosed)
        words = data.boundary or tuple(
            "periodic" if isinstance(axis, FourierAxis) else "free" for axis in plan.space
        )

        def build(key: jax.Array, outputs: int) -> Any:
            network = self.architecture.build(
                self.history * carried, outputs, shape, words, key=key
            )
            return single(network)

        scales = Scales.of(known, plan.space)
        if self.span == 1:
            return Stepper(scales, eqx.filter_jit(build)(key, carried + others), self.history)
        first, onward = jax.random.split(key)
        stack = lambda key, n, c: eqx.filter_vmap(lambda k: build(k, c))(jax.random.split(key, n))  # noqa: E731
        networks = (
            stack(first, self.span - 1, carried),
            stack(onward, self.span, carried + others),
        )
        return Interleaved(scales, networks, self.span, self.span)

    def _phases(
        self, propagator: Propagator, train: Shelf, held: Shelf, data: Dataset
    ) -> list[Phase]:
        names = tuple(data.fields)
        found = []
        for k, unroll in enumerate(self.unrolls):
            objective = StepErrors(
                single(propagator),
                train,
                held,
                names,
                self.batch,
                unroll,
                self.pushforward,
                self.noise,
                self.loss,
            )
            steps = self.steps if k == 0 else max(self.steps // 5, 1)
            peak = self.learning_rate * (1 if k == 0 else 0.2)
            stages = self.stages or (Adam(steps, OneCycle(peak, steps), clip=1.0),)
            found.append(Phase(objective, stages, unroll))
        return found

    @property
    def options(self) -> dict[str, Any]:
        """All options by name, given data by where they come from."""
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        options["data"] = None if self.data is None else dict(self.data.provenance)
        return options

    def solution(self, system: System, run: Run, learned: Training) -> Solution:
        """What was learned, with its errors on the test set."""
        field, test = learned.field, learned.test
        instants = field.instants.nodes
        axis, duration = field.instants.name, instants[-1] - instants[0]
        one = one_step_error(single(field.propagator), test)
        errors = rolled_errors(single(field.propagator), test)
        valid = float(valid_time(errors, instants).mean())
        whole = float(errors[:, 1:].mean())
        result = learned.result
        stats = {
            "wall_s": run.elapsed,
            "data_s": learned.data_s,
            "training_s": result.stats["wall_s"],
            "compile_s": result.stats["compile_s"],
            "parameters": _count(field.propagator.networks),
            "validation error": result.score,
            "input function": field.name,
            "one-step error": one,
            "roll-out error": whole,
            "valid time": valid,
            "conserved means": ", ".join(_conserved(system, field)) or "none",
        }
        return Solution(
            system.problem,
            field,
            self.name,
            Status(
                bool(np.isfinite(one)),
                f"{result.status}; one step errs by {one:.1e} on test trajectories, roll-outs are "
                f"valid for {valid:.3g} of {duration:.3g} in {axis}",
                interrupted=result.status.startswith("interrupted"),
            ),
            history=readable(result.history),
            stats=stats,
            error_estimate=dict.fromkeys(system.fields, whole) if np.isfinite(whole) else None,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Training:
    """An emulator after training, and the trajectories that belong to it."""

    field: EmulatorField
    train: Shelf
    held: Shelf
    test: Shelf
    result: FitResult
    data_s: float


def _count(networks: Any) -> int:
    return sum(a.size for a in jax.tree.leaves(eqx.filter(networks, eqx.is_inexact_array)))


def _conserved(system: System, field: EmulatorField) -> list[str]:
    flags = field.propagator.scales.conserved
    return [system.fields[i] for i, yes in zip(field.carried, flags, strict=True) if yes]
