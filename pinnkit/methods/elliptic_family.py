"""Elliptic families -div(a grad u) + r(u) = 0 on boxes, by conservative finite volumes."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from pinnkit.compile import System, Term
from pinnkit.compile.emit import Emitted
from pinnkit.compile.terms import TermSymbol
from pinnkit.derivatives import UniformAxis
from pinnkit.errors import MethodError
from pinnkit.methods.faces import faces
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
from pinnkit.methods.finite_volume import solve_divergence_form
from pinnkit.spec.symbols import Coordinate

NEWTON_STEPS, NEWTON_TOLERANCE = 50, 1e-10
SPACE_ACCURACY = 4


class EllipticFamily(Family):
    """-div(a grad u) + r(u) = 0 on a box, u given all around; a or r hold the input function."""

    def __init__(self, system: System, resolution: int, spread: float) -> None:
        if len(system.fields) != 1 or len(system.equations) != 1:
            raise MethodError("it is steady and has more than one unknown field")
        if resolution % 2:
            raise MethodError(f"its resolution {resolution} is odd, and halved for error estimates")
        self.system, self.resolution = system, resolution
        self.coefficient, self.rest = divergence_form(system)
        self._lay_out(resolution)
        self.walls = (True,) * len(self.grid)
        self.boundary = ("dirichlet",) * len(self.grid)
        bounds = tuple(system.domain.bounds[a] for a in system.axes)
        if system.inputs:
            self.inputs = Inputs(system.inputs[0], law_of(system), bounds)
        else:
            self.inputs = around("source", bounds, "neumann", self._source, spread)

    def _lay_out(self, resolution: int) -> None:
        self.sensors = self.grid = tuple(
            UniformAxis(a, *self.system.domain.bounds[a], resolution + 1, SPACE_ACCURACY)
            for a in self.system.axes
        )
        self.mesh = np.meshgrid(*(axis.nodes for axis in self.grid), indexing="ij")
        self.edge = self._boundary_values()
        self._z = {a: jnp.asarray(x) for a, x in zip(self.system.axes, self.mesh, strict=True)}

    def _source(self, nodes: Sequence[np.ndarray]) -> np.ndarray:
        """The declared source -r(0)."""
        mesh = np.meshgrid(*nodes, indexing="ij")
        z = {a: jnp.asarray(x) for a, x in zip(self.system.axes, mesh, strict=True)}
        values = {_term(self.system): jnp.zeros(mesh[0].shape)}
        found = self.rest(values, z, self.system.parameters)
        return -np.array(jnp.broadcast_to(found, mesh[0].shape))

    def _boundary_values(self) -> np.ndarray:
        values = np.full(self.mesh[0].shape, np.nan)
        for residual in self.system.conditions:
            if residual.target != _term(self.system) or residual.data is None:
                raise MethodError(f"condition '{residual.name}' does not give u on the boundary")
            if residual.input_plan.terms:
                raise MethodError(f"condition '{residual.name}' holds the input function")
            for _, axis, end in faces(self.system, residual):
                where: list = [slice(None)] * values.ndim
                where[self.system.axes.index(axis)] = -end
                z = {
                    a: jnp.asarray(x[tuple(where)])
                    for a, x in zip(self.system.axes, self.mesh, strict=True)
                }
                values[tuple(where)] = np.asarray(residual.data(z, self.system.parameters))
        inner = (slice(1, -1),) * values.ndim
        values[inner] = 0.0
        if np.isnan(values).any():
            raise MethodError("u is not given on the whole boundary of the box")
        return values

    def solve(self, samples: range, seed: int) -> Ensemble:
        nodes = [axis.nodes for axis in self.grid]
        inputs = self.inputs.draw(nodes, samples, seed)
        outputs = np.stack([self._solve_one(a) for a in inputs])[:, None]
        require_finite(outputs, samples, seed)
        half = tuple(slice(None, None, 2) for _ in nodes)
        coarse = np.stack([self._coarser._solve_one(a[half]) for a in inputs])[:, None]
        declared = None if self.inputs.declared is None else self.inputs.declared(nodes)
        return Ensemble(inputs, outputs, differences(outputs[:, :, *half], coarse), declared)

    def _solve_one(self, function: np.ndarray) -> np.ndarray:
        """Newton iteration, of which a linear equation needs one step."""
        spacing = [axis.nodes[1] - axis.nodes[0] for axis in self.grid]
        extra = 0.0
        if self.inputs.declared is not None:
            extra = function - self.inputs.declared([axis.nodes for axis in self.grid])
        u = self.edge
        for _ in range(NEWTON_STEPS):
            a, reaction, source = map(np.asarray, self._linearised(function, u, self._z))
            new = solve_divergence_form(a, source + extra, self.edge, spacing, reaction)
            if self.system.traits.linear or _change(new, u) < NEWTON_TOLERANCE:
                return new
            u = new
        raise MethodError(
            "Newton's iteration for a member of the family did not converge. Lower the spread."
        )

    @functools.cached_property
    def _coarser(self) -> EllipticFamily:
        coarse = copy.copy(self)
        coarse._lay_out(self.resolution // 2)
        return coarse

    @functools.cached_property
    def _linearised(self):
        """Compiled (input function, u, nodes) -> a, r'(u) and r'(u) u - r(u) at the nodes."""
        system = self.system
        slope = Emitted(sp.diff(self.rest.expression, _symbol(system)), "slope of the reaction")

        def at(function: jax.Array, u: jax.Array, z: dict[str, jax.Array]):
            values = {_term(system): u}
            if system.inputs:
                values[input_term(system)] = function
            a, r, s = (
                jnp.broadcast_to(jnp.asarray(e(values, z, system.parameters), u.dtype), u.shape)
                for e in (self.coefficient, self.rest, slope)
            )
            return a, s, s * u - r

        return jax.jit(at)


def _change(new: np.ndarray, old: np.ndarray) -> float:
    return float(np.linalg.norm(new - old) / max(np.linalg.norm(new), 1e-300))


def _term(system: System) -> Term:
    return Term(system.fields[0], (0,) * len(system.axes), system.axes)


def _symbol(system: System) -> TermSymbol:
    return TermSymbol(_term(system))


def divergence_form(system: System) -> tuple[Emitted, Emitted]:
    """Coefficient a and rest r of the system's equation written -div(a grad u) + r(u) = 0.

    Recognised symbolically: all pure second derivatives share one coefficient and each first
    derivative has the slope of that coefficient. Raises MethodError if the equation is another.
    """
    expression = sp.expand(system.equations[0].expression)
    axes, field = system.axes, system.fields[0]

    def derivative(name: str, i: int, order: int) -> TermSymbol:
        orders = tuple(order * (k == i) for k in range(len(axes)))
        return TermSymbol(Term(name, orders, axes))

    second = [derivative(field, i, 2) for i in range(len(axes))]
    first = [derivative(field, i, 1) for i in range(len(axes))]
    coefficients = [expression.coeff(s) for s in second]
    a = coefficients[0]
    rest = expression
    for i, axis in enumerate(axes):
        slope = a.diff(Coordinate(axis))
        for name in system.inputs:
            slope += a.diff(TermSymbol(input_term(system))) * derivative(name, i, 1)
        rest = rest - a * second[i] - slope * first[i]
    rest = sp.expand(sp.simplify(rest))
    unknown = [s for s in rest.free_symbols if isinstance(s, TermSymbol)]
    allowed = {_symbol(system), *([TermSymbol(input_term(system))] if system.inputs else [])}
    involved = {s for s in a.free_symbols if isinstance(s, TermSymbol) and s.term.field == field}
    if a == 0 or involved or not set(unknown) <= allowed:
        raise MethodError("it is steady and not of the form -div(a grad u) + r(u) = 0")
    sign = _sign(system, a)
    return Emitted(sign * a, "coefficient"), Emitted(-sign * rest, "reaction and source")


def _sign(system: System, a: sp.Expr) -> int:
    """+1 or -1 such that sign * a is positive, tried at the centre with a unit input function."""
    at: dict = {Coordinate(x): sum(system.domain.bounds[x]) / 2 for x in system.axes}
    at |= {p: system.parameters[p.name] for p in system.problem.declared_parameters}
    at |= {s: 1.0 for s in a.free_symbols if isinstance(s, TermSymbol)}
    return 1 if float(a.subs(at)) > 0 else -1
