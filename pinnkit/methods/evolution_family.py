"""Evolution families: random initial states, stepped in Fourier modes by ETDRK4 in batches."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from pinnkit.compile import System, compile_problem
from pinnkit.derivatives import Axis, FourierAxis, UniformAxis
from pinnkit.errors import MethodError
from pinnkit.methods import etdrk
from pinnkit.methods.evolution import initial_conditions, initial_values, space_axes
from pinnkit.methods.faces import face_rows
from pinnkit.methods.families import (
    Ensemble,
    Family,
    Inputs,
    around,
    differences,
    input_term,
    law_of,
    require_finite,
)
from pinnkit.methods.modal import Modal, parities, unsuited

BATCH = 32
PILOTS, TOLERANCE, MOST_STEPS = 4, 1e-4, 4096
SPACE_ACCURACY, TIME_ACCURACY = 4, 6


class EvolutionFamily(Family):
    """u(0) random; semi-linear evolution on periodic axes or between symmetry planes."""

    def __init__(self, system: System, resolution: int, frames: int, spread: float) -> None:
        if system.evolution is None:
            raise MethodError("its equations cannot be solved for the time derivatives")
        self.system, self.frames = system, frames
        self.plain = _without_inputs(system)
        rows = face_rows(self.plain)
        why = unsuited(self.plain, rows)
        if why is not None:
            raise MethodError(f"its batches of solutions need Fourier modes, but it has {why}")
        self.parities = parities(self.plain, rows) or {}
        self.varied = self._varied()
        names = space_axes(system)
        points = dict.fromkeys(names, resolution * (4 if len(names) == 1 else 2))
        self.modal = Modal(self.plain, self.parities, points)
        self.sensors = tuple(self._sensor(name, resolution) for name in names)
        lo, hi = system.domain.bounds[system.time or ""]
        times = UniformAxis(system.time or "", lo, hi, frames + 1, TIME_ACCURACY)
        where = system.axes.index(system.time or "")
        self.grid = (*self.sensors[:where], times, *self.sensors[where:])
        odd = {a for a in names if all(self.parities.get((f, a)) == -1 for f in system.fields)}
        self.walls = tuple(axis.name in odd for axis in self.grid)
        self.boundary = tuple(self._kind(axis.name) for axis in self.sensors)
        self.inputs = self._inputs(spread)

    def _sensor(self, name: str, resolution: int) -> Axis:
        lo, hi = self.system.domain.bounds[name]
        if name in self.system.traits.periodic:
            return FourierAxis(name, lo, hi, resolution)
        return UniformAxis(name, lo, hi, resolution + 1, SPACE_ACCURACY)

    def _varied(self) -> tuple[str, int]:
        """Component of the state whose initial value the input function enters."""
        if not self.system.inputs:
            return self.system.fields[0], 0
        name = self.system.inputs[0]
        given = initial_conditions(self.system)
        users = [i for i, r in enumerate(self.system.residuals) if name in r.input_plan.fields]
        found = [c for c, i in given.items() if [i] == users]
        if not found:
            raise MethodError(
                f"its input function {name} occurs elsewhere than in one initial condition"
            )
        return found[0]

    def _kind(self, axis: str) -> str:
        sign = self.parities.get((self.varied[0], axis), 0)
        return {0: "periodic", 1: "neumann", -1: "dirichlet"}[sign]

    def _common_boundary(self) -> str:
        kinds = set(self.boundary)
        if len(kinds) > 1:
            raise MethodError(f"its axes have different boundary conditions ({', '.join(kinds)})")
        return kinds.pop()

    def _inputs(self, spread: float) -> Inputs:
        boundary = self._common_boundary()
        bounds = tuple((axis.lo, axis.hi) for axis in self.sensors)
        if self.system.inputs:
            law = law_of(self.system)
            own = getattr(law, "boundary", boundary)
            if own != boundary:
                raise MethodError(
                    f"the law of {self.system.inputs[0]} has boundary '{own}', but the conditions "
                    f"of {self.varied[0]} ask for '{boundary}'"
                )
            return Inputs(self.system.inputs[0], law, bounds)

        def declared(nodes: Sequence[np.ndarray]) -> np.ndarray:
            mesh = np.meshgrid(*nodes, indexing="ij")
            z = {axis.name: jnp.asarray(x) for axis, x in zip(self.sensors, mesh, strict=True)}
            return np.asarray(initial_values(self.system, *self.varied, z))

        return around(self.varied[0], bounds, boundary, declared, spread)

    def solve(self, samples: range, seed: int) -> Ensemble:
        states = self._draw(self.modal, samples, seed)
        outputs = _batched(self._march(self.modal, self.steps), states)
        require_finite(outputs, samples, seed)
        rough = self._draw(self._halved, samples, seed)
        errors = differences(outputs, _batched(self._march(self._halved, self.steps // 2), rough))
        nodes = [axis.nodes for axis in self.sensors]
        declared = None if self.inputs.declared is None else self.inputs.declared(nodes)
        return Ensemble(states[(slice(None), *self._thin(self.modal))], outputs, errors, declared)

    def _draw(self, modal: Modal, samples: range, seed: int) -> np.ndarray:
        """Input functions on the grid of a solver."""
        folded = []
        for i, axis in enumerate(modal.grid):
            index = [0] * len(modal.grid)
            index[i] = slice(None)  # type: ignore[call-overload]
            folded.append(np.asarray(modal.z[axis.name][tuple(index)]))
        return self.inputs.draw(folded, samples, seed)

    @functools.cached_property
    def _halved(self) -> Modal:
        points = {axis.name: self.modal.points[axis.name] // 2 for axis in self.sensors}
        return Modal(self.plain, self.parities, points)

    def _thin(self, modal: Modal) -> tuple[slice, ...]:
        """Sensors among the nodes of a solver, which go on beyond the walls."""
        found = []
        for axis in self.sensors:
            intervals = axis.n - (axis.name in modal.walled)
            stride = modal.points[axis.name] // intervals
            found.append(slice(0, stride * (axis.n - 1) + 1, stride))
        return tuple(found)

    @functools.cached_property
    def steps(self) -> int:
        """Even number of steps per frame at which half of them change pilot solutions little."""
        states, last = self._draw(self.modal, range(PILOTS), 0), None
        steps = 2
        while steps <= MOST_STEPS:
            new = _batched(self._march(self.modal, steps), states)
            if last is not None and differences(new, last).max() < TOLERANCE:
                return steps
            steps, last = 2 * steps, new
        raise MethodError(
            f"Its solutions need more than {MOST_STEPS} steps per frame. Ask for more frames."
        )

    @functools.cache  # noqa: B019  (the object lives as long as one data set)
    def _march(self, modal: Modal, steps: int):
        """Compiled states (S, *modal grid) -> solutions (S, c, *grid)."""
        lo, hi = self.system.domain.bounds[self.system.time or ""]
        where = self.system.axes.index(self.system.time or "")
        h = (hi - lo) / (self.frames * steps)
        rates, coupled = modal.rates()
        make = etdrk.matrix_coefficients if coupled else etdrk.scalar_coefficients
        weights, thin = make(rates, h), self._thin(modal)
        keep = np.array([i for i, (_, j) in enumerate(modal.components) if j == 0])
        starts = lo + h * steps * jnp.arange(self.frames)

        def fields(modes: jax.Array) -> jax.Array:
            return modal.values(modes[keep])[(slice(None), *thin)]

        def one(state: jax.Array) -> jax.Array:
            def frame(modes, start):
                after = etdrk.advance(weights, modal.nonlinear, modes, start, h, steps)  # type: ignore[arg-type]
                return after, fields(after)

            begin = self._initial(modal, state)
            _, later = jax.lax.scan(frame, begin, starts)
            return jnp.moveaxis(jnp.concatenate([fields(begin)[None], later]), 0, where + 1)

        return jax.jit(jax.vmap(one))

    def _initial(self, modal: Modal, state: jax.Array) -> jax.Array:
        """Modes of the initial state, the varied component from the input function."""
        start = self.system.domain.bounds[self.system.time or ""][0]
        z = {**modal.z, self.system.time or "": jnp.full(state.shape, start)}
        rows = []
        for field, j in modal.components:
            values = initial_values(self.plain, field, j, z)
            if (field, j) == self.varied:
                values = self._varied_state(state, z)
            for axis in modal.walled:
                if self.parities[field, axis] < 0:
                    values = values * modal.side[axis]
            rows.append(jnp.broadcast_to(values, state.shape))
        return modal.transform(jnp.stack(rows))

    def _varied_state(self, state: jax.Array, z) -> jax.Array:
        """Initial value that the condition gives for an input function with values `state`."""
        if not self.system.inputs:
            return state
        residual = self.system.residuals[initial_conditions(self.system)[self.varied]]
        values = {t: jnp.zeros_like(state) for t in residual.plan.terms}
        values[input_term(self.system)] = state
        return -residual.fn(values, z, self.system.parameters)


def _batched(march, states: np.ndarray) -> np.ndarray:
    """Solutions in batches of one size, so that one compilation serves all."""
    found = []
    for i in range(0, len(states), BATCH):
        part = states[i : i + BATCH]
        filled = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)])
        found.append(np.asarray(march(jnp.asarray(filled)))[: len(part)])
    return np.concatenate(found)


def _without_inputs(system: System) -> System:
    """The system whose input functions are zero."""
    if not system.inputs:
        return system
    zero = [(function, sp.S.Zero) for function in system.problem.inputs]
    conditions = tuple(
        dataclasses.replace(c, target=c.target.subs(zero), value=c.value.subs(zero))
        for c in system.problem.conditions
    )
    return compile_problem(system.problem.replace(conditions=conditions))
