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
from pinnkit.methods.compact import solve_compact
from pinnkit.methods.faces import FaceRow
from pinnkit.methods.families import (
    Ensemble,
    Family,
    Inputs,
    around,
    differences,
    input_axes,
    input_term,
    law_of,
    require_finite,
    side_rows,
)
from pinnkit.methods.finite_volume import Side, solve_divergence_form
from pinnkit.spec.symbols import Coordinate

NEWTON_STEPS, NEWTON_TOLERANCE = 50, 1e-10
SPACE_ACCURACY, PARTS = 4, 8
PILOTS, TOLERANCE, MOST_STRIDE = 2, 5e-2, 4


class EllipticFamily(Family):
    """-div(a grad u) + r(u) = 0 on a box; a, r or what is given on a side hold the input function.

    u, its normal derivative or a sum of both is given on each side. An input function on the sides
    along one axis depends on the others. Solved on a grid `stride`
    times as fine as that of the sensors: by finite volumes, or by compact differences of fourth
    order where a is constant, on one or two axes. The stride is 1, and for compact differences
    chosen with the help of two pilot members, if not given.
    """

    def __init__(
        self, system: System, resolution: int, spread: float, stride: int | None = None
    ) -> None:
        if len(system.fields) != 1 or len(system.equations) != 1:
            raise MethodError("it is steady and has more than one unknown field")
        if resolution % 2:
            raise MethodError(f"its resolution {resolution} is odd, and halved for error estimates")
        self.system, self.resolution, self.stride = system, resolution, stride or 1
        self.coefficient, self.rest = divergence_form(system)
        self.rows = _side_rows(system)
        varies = (Coordinate, TermSymbol)
        constant = not any(isinstance(s, varies) for s in self.coefficient.expression.free_symbols)
        mixed = any(len(row.coefficients) > 1 for row in self.rows)
        self.compact = constant and not mixed and len(system.axes) <= 2
        law = law_of(system, [_own_axes(system, self.rows)]) if system.inputs else None
        own = input_axes(system) if system.inputs else system.axes
        self.grid = self._axes(resolution)
        self.sensors = tuple(axis for axis in self.grid if axis.name in own)
        self._lay_out(resolution * self.stride)
        self.boundary = tuple(self._kind(axis) for axis in own)
        self.walls = tuple(self._kind(axis) == "dirichlet" for axis in system.axes)
        bounds = tuple(system.domain.bounds[a] for a in own)
        if system.inputs:
            self.inputs = Inputs(system.inputs[0], law, bounds)
        else:
            self.inputs = around("source", bounds, "neumann", self._source, spread)
        if stride is None and self.compact:
            self._refine()

    def _refine(self) -> None:
        """Double `stride` until pilot members are accurate, if need be."""
        while self.stride < MOST_STRIDE and self.solve(range(PILOTS), 0).errors.max() > TOLERANCE:
            self.stride *= 2
            del self._coarser
            self._lay_out(self.resolution * self.stride)

    def _axes(self, intervals: int) -> tuple[UniformAxis, ...]:
        bounds = self.system.domain.bounds
        return tuple(
            UniformAxis(a, *bounds[a], intervals + 1, SPACE_ACCURACY) for a in self.system.axes
        )

    def _lay_out(self, intervals: int) -> None:
        """The solver's grid and the conditions on it."""
        self.nodes = [axis.nodes for axis in self._axes(intervals)]
        self.mesh = np.meshgrid(*self.nodes, indexing="ij")
        self._z = {a: jnp.asarray(x) for a, x in zip(self.system.axes, self.mesh, strict=True)}
        fixed = [row for row in self.rows if not row.varies]
        self._fixed = self._given(fixed, np.zeros(()), np.zeros(self.mesh[0].shape), [])

    @property
    def _places(self) -> list[np.ndarray]:
        """Nodes of the solver's grid along the axes of the sensors."""
        names = [axis.name for axis in self.sensors]
        return [x for a, x in zip(self.system.axes, self.nodes, strict=True) if a in names]

    def _given(
        self, rows: Sequence[FaceRow], function: np.ndarray, edge: np.ndarray, sides: list[Side]
    ) -> tuple[np.ndarray, list[Side]]:
        """Values on sides where they are given, and the other sides, with those of more `rows`."""
        edge, sides = edge.copy(), list(sides)
        known = {name: jnp.asarray(function) for name in self.system.inputs}
        for row in rows:
            if 1 in row.coefficients:
                sides.append(self._side(row, function))
                continue
            where: list = [slice(None)] * edge.ndim
            where[self.system.axes.index(row.axis)] = -row.end
            given = row.data({a: x[tuple(where)] for a, x in self._z.items()}, known)
            edge[tuple(where)] = np.asarray(given) / row.coefficients[0]
        return edge, sides

    def _side(self, row: FaceRow, function: np.ndarray) -> Side:
        """A condition with a slope, its data averaged over cells, in which they may jump."""
        axis = self.system.axes.index(row.axis)
        fine = [_midpoints(x) for i, x in enumerate(self.nodes) if i != axis]
        place = np.array([self.nodes[axis][-row.end]])
        mesh = np.meshgrid(*fine[:axis], place, *fine[axis:], indexing="ij")
        z = {a: jnp.asarray(x) for a, x in zip(self.system.axes, mesh, strict=True)}
        known = {}
        if row.varies:
            for i in range(function.ndim):
                function = _between(function, i)
            known[self.system.inputs[0]] = jnp.asarray(np.expand_dims(function, axis))
        means = np.asarray(row.data(z, known)).squeeze(axis)
        for i in range(means.ndim):
            means = _cell_means(means, i)
        outward = row.coefficients[1] * (1 if row.end else -1)
        return Side(axis, row.end, means / outward, row.coefficients.get(0, 0.0) / outward)

    def _kind(self, axis: str) -> str:
        found = {tuple(r.coefficients) for r in self.rows if r.axis == axis}
        kinds = {"dirichlet": {(0,)}, "neumann": {(1,)}}
        return next((kind for kind, orders in kinds.items() if found == orders), "free")

    def _source(self, nodes: Sequence[np.ndarray]) -> np.ndarray:
        """The declared source -r(0)."""
        mesh = np.meshgrid(*nodes, indexing="ij")
        z = {a: jnp.asarray(x) for a, x in zip(self.system.axes, mesh, strict=True)}
        values = {_term(self.system): jnp.zeros(mesh[0].shape)}
        found = self.rest(values, z, self.system.parameters)
        return -np.array(jnp.broadcast_to(found, mesh[0].shape))

    def solve(self, samples: range, seed: int) -> Ensemble:
        functions = self.inputs.draw(self._places, samples, seed)
        outputs = np.stack([self._solve_one(a) for a in functions])[:, None]
        require_finite(outputs, samples, seed)
        half, own = ((slice(None, None, 2),) * len(axes) for axes in (self.grid, self.sensors))
        coarse = np.stack([self._coarser._solve_one(a[own]) for a in functions])[:, None]
        errors = differences(outputs[:, :, *half], coarse)
        thin, own = (
            (slice(None, None, self.stride),) * len(axes) for axes in (self.grid, self.sensors)
        )
        declared = None
        if self.inputs.declared is not None:
            declared = self.inputs.declared([axis.nodes for axis in self.sensors])
        return Ensemble(functions[:, *own], outputs[:, :, *thin], errors, declared)

    def _solve_one(self, function: np.ndarray) -> np.ndarray:
        """Newton iteration, of which a linear equation needs one step."""
        spacing = [x[1] - x[0] for x in self.nodes]
        extra = 0.0
        if self.inputs.declared is not None:
            extra = function - self.inputs.declared(self.nodes)
        varying = [row for row in self.rows if row.varies]
        edge, sides = self._given(varying, function, *self._fixed)
        u = edge
        for _ in range(NEWTON_STEPS):
            a, reaction, source = map(np.asarray, self._linearised(function, u, self._z))
            given = (source + extra, edge, spacing, reaction, sides)
            if self.compact:
                new = solve_compact(float(a.flat[0]), *given)
            else:
                new = solve_divergence_form(a, *given)
            if self.system.traits.linear or _change(new, u) < NEWTON_TOLERANCE:
                return new
            u = new
        raise MethodError(
            "Newton's iteration for a member of the family did not converge. Lower the spread."
        )

    @functools.cached_property
    def _coarser(self) -> EllipticFamily:
        coarse = copy.copy(self)
        coarse._lay_out(self.resolution * self.stride // 2)
        return coarse

    @functools.cached_property
    def _linearised(self):
        """Compiled (input function, u, nodes) -> a, r'(u) and r'(u) u - r(u) at the nodes."""
        system = self.system
        slope = Emitted(sp.diff(self.rest.expression, _symbol(system)), "slope of the reaction")

        def at(function: jax.Array, u: jax.Array, z: dict[str, jax.Array]):
            values = {_term(system): u}
            if self.sensors == self.grid and system.inputs:
                values[input_term(system)] = function
            a, r, s = (
                jnp.broadcast_to(jnp.asarray(e(values, z, system.parameters), u.dtype), u.shape)
                for e in (self.coefficient, self.rest, slope)
            )
            return a, s, s * u - r

        return jax.jit(at)


def _side_rows(system: System) -> tuple[FaceRow, ...]:
    """The condition on each side of the box.

    Raises MethodError unless there is one on each.
    """
    rows = side_rows(system)
    wanted = {(axis, end) for axis in system.axes for end in (0, 1)}
    if {(row.axis, row.end) for row in rows} != wanted or len(rows) != len(wanted):
        raise MethodError("it has not one condition on each side of its box")
    if any(set(row.coefficients) - {0, 1} for row in rows):
        raise MethodError("its conditions hold derivatives of second or higher order")
    return rows


def _own_axes(system: System, rows: tuple[FaceRow, ...]) -> tuple[str, ...]:
    """Axes on which the input function must depend.

    Raises MethodError where it stands both inside and on sides, or on sides along several axes.
    """
    along = {row.axis for row in rows if row.varies}
    inside = any(residual.input_plan.terms for residual in system.equations)
    if len(along) + inside != 1:
        where = ["in equations"] * inside + [f"on sides along {axis}" for axis in sorted(along)]
        raise MethodError(
            f"its input function {system.inputs[0]} stands {' and '.join(where) or 'nowhere'}; it "
            "may stand in equations, or on the sides along one axis"
        )
    return tuple(axis for axis in system.axes if axis not in along)


def _between(values: np.ndarray, axis: int) -> np.ndarray:
    """Values at nodes -> at `_midpoints`, by straight lines."""
    share = ((np.arange(PARTS) + 0.5) / PARTS).reshape(-1, *(1,) * (values.ndim - axis - 1))
    n = values.shape[axis]
    low, high = (values.take(range(i, n - 1 + i), axis) for i in (0, 1))
    found = (1 - share) * np.expand_dims(low, axis + 1) + share * np.expand_dims(high, axis + 1)
    return found.reshape(*values.shape[:axis], -1, *values.shape[axis + 1 :])


def _midpoints(nodes: np.ndarray) -> np.ndarray:
    """Midpoints of `PARTS` parts of each interval, (intervals * PARTS,)."""
    parts = (np.arange(PARTS) + 0.5) / PARTS
    return (nodes[:-1, None] + np.diff(nodes)[:, None] * parts).ravel()


def _cell_means(values: np.ndarray, axis: int) -> np.ndarray:
    """Values at midpoints of parts -> means over the cells around the nodes."""
    parts = np.moveaxis(values, axis, -1)
    halves = parts.reshape(*parts.shape[:-1], -1, 2, PARTS // 2).mean(axis=-1)
    inner = (halves[..., 1:, 0] + halves[..., :-1, 1]) / 2
    means = np.concatenate([halves[..., :1, 0], inner, halves[..., -1:, 1]], axis=-1)
    return np.moveaxis(means, -1, axis)


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
