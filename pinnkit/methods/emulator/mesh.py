"""Emulators on scattered points and triangle meshes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.compile import System
from pinnkit.data import Trajectories
from pinnkit.errors import OptionError
from pinnkit.methods.base import Method, Run
from pinnkit.methods.emulator.measures import relative_errors
from pinnkit.methods.emulator.mesh_field import MeshField
from pinnkit.methods.emulator.mesh_objective import SegmentErrors
from pinnkit.methods.emulator.mesh_stepper import MeshNetworks, MeshStepper
from pinnkit.methods.emulator.phases import Phase, fit_phases
from pinnkit.methods.evolution import initial_conditions, initial_values, space_axes
from pinnkit.methods.neural_operator.method import readable
from pinnkit.methods.triangles import Triangles
from pinnkit.nn.graph import CorrectedLaplacian, MessagePassing
from pinnkit.nn.initial import built, single
from pinnkit.solution import Solution, Status
from pinnkit.training import Adam, FitResult, OneCycle


class MeshEmulator(Method):
    """Learn the step in time from trajectories at scattered points, and solve by repeating it.

    The rates are messages between neighbours plus the diffusion of the equations, nu times the
    Laplacian of the mesh with a learned correction (PhyMPGN, see `MeshStepper`). The problem's own
    initial state is advanced over its time; between points the solution is linear. Values that
    never change in the data are kept.

    - `data`: `Trajectories` of the problem's fields, whose last tenth (at least one) is set aside
      for validation and the error estimate.
    - `messages`, `correction`: architectures of the two networks.
    - `laplacian`: whether the Laplacian takes part; without it messages do everything.
    - `segment`: states of the stretches that are learned from, of which the first and the last
      prediction count; `noise`: added to the first state, in units of its deviation.
    - `steps`, `batch`, `learning_rate`: of Adam, on a one-cycle schedule.

    Raises OptionError for options out of range.
    """

    data: Trajectories = eqx.field(static=True)
    messages: MessagePassing = eqx.field(default=MessagePassing(32, 3), static=True)
    correction: MessagePassing = eqx.field(default=MessagePassing(16, 2), static=True)
    laplacian: bool = eqx.field(default=True, static=True)
    segment: int = eqx.field(default=4, static=True)
    noise: float = eqx.field(default=0.03, static=True)
    steps: int = eqx.field(default=1000, static=True)
    batch: int = eqx.field(default=2, static=True)
    learning_rate: float = eqx.field(default=3e-3, static=True)

    def __check_init__(self) -> None:
        for name, least in {"segment": 2, "steps": 1, "batch": 1}.items():
            if getattr(self, name) < least:
                raise OptionError(
                    f"MeshEmulator({name}={getattr(self, name)}) is too small. "
                    f"Give at least {least}."
                )
        if not (self.learning_rate > 0 and self.noise >= 0):
            raise OptionError(
                "MeshEmulator: learning_rate must be positive and noise not negative. Change them."
            )
        if len(self.data) < 2 or len(self.data.times) < self.segment:
            raise OptionError(
                f"MeshEmulator(data=...) holds {len(self.data)} trajectories of "
                f"{len(self.data.times)} instants. Give at least 2, of {self.segment} instants."
            )

    def supports(self, system: System) -> str | None:
        if system.time is None or system.traits.steady or system.evolution is None:
            return "it has no time derivative of every field"
        if any(rate.order != 1 for rate in system.rates):
            return "it has second derivatives in time"
        if not system.traits.autonomous:
            return "its equations change with time, while an emulator's step is always the same"
        if system.inputs:
            return "it has input functions (put one of them in their place)"
        if len(space_axes(system)) != 2:
            return "its points are not in a plane"
        missing = [f for f in system.fields if (f, 0) not in initial_conditions(system)]
        if missing:
            return f"it lacks initial values of {', '.join(missing)}"
        if system.fields != self.data.fields:
            return (
                f"its fields are {', '.join(system.fields)}, those of the data "
                f"{', '.join(self.data.fields)}"
            )
        return None

    def run(self, system: System, run: Run) -> Solution:
        network_key, training_key = jax.random.split(run.key)
        aside = max(len(self.data) // 10, 1)
        train, held = self.data.split(len(self.data) - aside, aside)
        stepper = self._untrained(system, train, network_key)
        objective = SegmentErrors(
            stepper,
            jnp.asarray(train.values, jnp.float32),
            jnp.asarray(held.values, jnp.float32),
            system.fields,
            self.batch,
            self.segment,
            self.noise,
        )
        stages = (Adam(self.steps, OneCycle(self.learning_rate, self.steps), clip=1.0),)
        result = fit_phases(
            [Phase(objective, stages)],
            stepper.networks,
            key=training_key,
            run=run,
            fingerprint=f"{system.digest} {self._options()!r}",
        )
        stepper = eqx.tree_at(lambda s: s.networks, stepper, result.params)
        return self._solution(system, run, stepper, held, result)

    def _untrained(self, system: System, data: Trajectories, key: jax.Array) -> MeshStepper:
        messages_key, correction_key = jax.random.split(key)
        count = len(system.fields)
        laplacian = None
        if self.laplacian:
            correction = built(self.correction, count, count, key=correction_key)
            laplacian = CorrectedLaplacian(correction)
        messages = built(self.messages, count, count, key=messages_key)
        networks = single(MeshNetworks(messages, laplacian))
        return MeshStepper.of(networks, data, diffusion(system))

    def _options(self) -> dict[str, Any]:
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return options | {"data": (repr(self.data), float(np.sum(self.data.values)))}

    def _solution(
        self,
        system: System,
        run: Run,
        stepper: MeshStepper,
        held: Trajectories,
        result: FitResult,
    ) -> Solution:
        time = system.time or ""
        begin, end = system.domain.bounds[time]
        errors = rolled_errors(stepper, held)
        error = float(errors[:, 1:].mean())
        field = MeshField(
            stepper,
            jnp.asarray(declared_state(system, held.points)),
            Triangles.of(held.graph),
            begin,
            max(math.ceil((end - begin) / held.step - 1e-9), 1),
            system.axes.index(time),
        )
        leaves = jax.tree.leaves(eqx.filter(stepper.networks, eqx.is_inexact_array))
        stats = {
            "wall_s": run.elapsed,
            "training_s": result.stats["wall_s"],
            "compile_s": result.stats["compile_s"],
            "parameters": sum(leaf.size for leaf in leaves),
            "validation error": result.score,
            "roll-out error": error,
            "points": len(held.points),
        }
        return Solution(
            system.problem,
            field,
            self.name,
            Status(
                bool(np.isfinite(error)),
                f"{result.status}; roll-outs of {len(held.times) - 1} steps err by {error:.1e} on "
                "trajectories set aside",
                interrupted=result.status.startswith("interrupted"),
            ),
            history=readable(result.history),
            stats=stats,
            error_estimate=dict.fromkeys(system.fields, error) if np.isfinite(error) else None,
        )


def diffusion(system: System) -> tuple[float, ...]:
    """Constant coefficient of each field's Laplacian in its own rate, 0 if it has none.

    The mean of those along the axes, as far as they are positive.
    """
    found = []
    for rate in system.rates:
        second = {tuple(t.orders): c for t, c in rate.linear.items() if t.field == rate.field}
        axes = [system.axes.index(name) for name in space_axes(system)]
        orders = [tuple(2 * (i == a) for i in range(len(system.axes))) for a in axes]
        found.append(max(sum(second.get(order, 0.0) for order in orders) / len(orders), 0.0))
    return tuple(found)


def declared_state(system: System, points: np.ndarray) -> np.ndarray:
    """The problem's initial state (N, c) at points (N, 2)."""
    z = {name: jnp.asarray(points[:, i]) for i, name in enumerate(space_axes(system))}
    rows = [np.asarray(initial_values(system, field, 0, z)) for field in system.fields]
    return np.stack([np.broadcast_to(row, len(points)) for row in rows], axis=1)


def rolled_errors(stepper: MeshStepper, data: Trajectories) -> np.ndarray:
    """Relative L2 errors (S, T) of roll-outs from the first states."""
    roll = eqx.filter_jit(MeshStepper.roll)
    found = [
        np.asarray(roll(stepper, jnp.asarray(states[0], jnp.float32), len(states) - 1))
        for states in data.values
    ]
    return relative_errors(np.stack(found), data.values)
