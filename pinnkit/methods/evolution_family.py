"""Evolution families: random initial states, stepped in Fourier modes by ETDRK4 in batches."""

from __future__ import annotations

import dataclasses
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
from pinnkit.methods.families import Ensemble, Family, Inputs, around, input_term, law_of
from pinnkit.methods.modal import Modal, parities, unsuited

BATCH = 32
STEP_TOLERANCE = 1e-5
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
        self.stride = 4 if len(names) == 1 else 2
        points = dict.fromkeys(names, resolution * self.stride)
        self.modal = Modal(self.plain, self.parities, points)
        self.sensors = tuple(self._sensor(name, resolution) for name in names)
        lo, hi = system.domain.bounds[system.time or ""]
        times = UniformAxis(system.time or "", lo, hi, frames + 1, TIME_ACCURACY)
        where = system.axes.index(system.time or "")
        self.grid = (*self.sensors[:where], times, *self.sensors[where:])
        odd = {a for a in names if all(self.parities.get((f, a)) == -1 for f in system.fields)}
        self.walls = tuple(axis.name in odd for axis in self.grid)
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

    def _boundary(self) -> str:
        kinds = set()
        for axis in self.sensors:
            sign = self.parities.get((self.varied[0], axis.name), 0)
            kinds.add({0: "periodic", 1: "neumann", -1: "dirichlet"}[sign])
        if len(kinds) > 1:
            raise MethodError(f"its axes have different boundary conditions ({', '.join(kinds)})")
        return kinds.pop()

    def _inputs(self, spread: float) -> Inputs:
        boundary = self._boundary()
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

    def solve(self, count: int, seed: int) -> Ensemble:
        folded = []
        for i, axis in enumerate(self.modal.grid):
            index = [0] * len(self.modal.grid)
            index[i] = slice(None)  # type: ignore[call-overload]
            folded.append(np.asarray(self.modal.z[axis.name][tuple(index)]))
        states = self.inputs.draw(folded, count, seed)
        steps = self._steps(states[:4])
        march = self._march(steps)
        parts = [march(_padded(states[i : i + BATCH])) for i in range(0, count, BATCH)]
        outputs = np.concatenate([np.asarray(p) for p in parts])[:count]
        if not np.isfinite(outputs).all():
            raise MethodError(
                "A solution of the family became non-finite. Lower the law's scale, or the spread."
            )
        where = self.system.axes.index(self.system.time or "")
        nodes = [axis.nodes for axis in self.sensors]
        declared = None if self.inputs.declared is None else self.inputs.declared(nodes)
        thin = (slice(None), *self._thin())
        return Ensemble(states[thin], np.moveaxis(outputs, 1, where + 2), declared)

    def _thin(self) -> tuple[slice, ...]:
        """Sensors among the nodes of the solver, which go on beyond the walls."""
        return tuple(slice(0, self.stride * (axis.n - 1) + 1, self.stride) for axis in self.sensors)

    def _steps(self, states: np.ndarray) -> int:
        """Steps per frame at which twice as many change the solutions by less than 1e-5."""
        steps, last = 4, None
        while steps <= 4096:
            new = np.asarray(self._march(steps)(jnp.asarray(states)))
            if last is not None and np.isfinite(last).all():
                error = np.linalg.norm(new - last) / np.linalg.norm(new)
                if error < STEP_TOLERANCE:
                    return steps // 2
            steps, last = 2 * steps, new
        raise MethodError("Its solutions need more than 4096 steps per frame. Ask for more frames.")

    def _march(self, steps: int):
        """Compiled states (S, *modal grid) -> solutions (S, frames + 1, c, *sensors)."""
        modal = self.modal
        lo, hi = self.system.domain.bounds[self.system.time or ""]
        h = (hi - lo) / (self.frames * steps)
        rates, coupled = modal.rates()
        make = etdrk.matrix_coefficients if coupled else etdrk.scalar_coefficients
        weights, thin = make(rates, h), self._thin()
        keep = np.array([i for i, (_, j) in enumerate(modal.components) if j == 0])
        starts = lo + h * steps * jnp.arange(self.frames)

        def fields(modes: jax.Array) -> jax.Array:
            return modal.values(modes[keep])[(slice(None), *thin)]

        def one(state: jax.Array) -> jax.Array:
            def frame(modes, start):
                after = etdrk.advance(weights, modal.nonlinear, modes, start, h, steps)  # type: ignore[arg-type]
                return after, fields(after)

            begin = self._initial(state)
            _, later = jax.lax.scan(frame, begin, starts)
            return jnp.concatenate([fields(begin)[None], later])

        return jax.jit(jax.vmap(one))

    def _initial(self, state: jax.Array) -> jax.Array:
        """Modes of the initial state, the varied component from the input function."""
        start = self.system.domain.bounds[self.system.time or ""][0]
        z = {**self.modal.z, self.system.time or "": jnp.full(state.shape, start)}
        rows = []
        for field, j in self.modal.components:
            values = initial_values(self.plain, field, j, z)
            if (field, j) == self.varied:
                values = self._varied_state(state, z)
            for axis in self.modal.walled:
                if self.parities[field, axis] < 0:
                    values = values * self.modal.side[axis]
            rows.append(jnp.broadcast_to(values, state.shape))
        return self.modal.transform(jnp.stack(rows))

    def _varied_state(self, state: jax.Array, z) -> jax.Array:
        """Initial value that the condition gives for an input function with values `state`."""
        if not self.system.inputs:
            return state
        residual = self.system.residuals[initial_conditions(self.system)[self.varied]]
        values = {t: jnp.zeros_like(state) for t in residual.plan.terms}
        values[input_term(self.system)] = state
        return -residual.fn(values, z, self.system.parameters)


def _padded(states: np.ndarray) -> jax.Array:
    missing = BATCH - len(states)
    return jnp.asarray(np.concatenate([states, np.repeat(states[-1:], missing, axis=0)]))


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
