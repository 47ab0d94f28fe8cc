"""A problem on labels: places exchanged for the characteristics that run through them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import sympy as sp

from pinnkit import precision
from pinnkit.compile.compiler import lower
from pinnkit.compile.emit import Emitted
from pinnkit.compile.system import System
from pinnkit.compile.terms import Term, TermSymbol
from pinnkit.methods.evolution import initial_values, space_axes, terms_of
from pinnkit.methods.lagrangian.speed import multiplied_out, replaced, rests, speed
from pinnkit.spec.condition import Condition, Dirichlet, Initial, Kind
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import Coordinate, Parameter, field, function_name

PLACES = 1024
"""Places at which initial values and the initial speed are looked at."""


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """Fields on labels xi, which keep the name of the space axis, and the places of the labels:

        x = X(t, xi) = xi + drift (t - t0) + D(t, xi),  X_t = a,  X(t0, xi) = xi.

    The fields of `problem` are those of the system and D, whose name is `displacement`. `drift` is
    the mean initial speed on a periodic axis and zero between walls; with it D has the size of the
    differences in speed, however fast the mean flow is.
    """

    problem: Problem
    displacement: str
    drift: float


def on_labels(system: System) -> Labels:
    """The problem on labels of a system to which `speed.obstacle` has no objection.

    An equation u_t + a u_x = rest becomes u_t = rest, with derivatives along the axis in rest by
    the chain rule, u_x = u_xi / J for J = X_xi, and multiplied by the power of J that leaves no
    quotient, so that a network whose labels cross on the way has finite residuals. Initial values
    stay as they are, as do values on walls, which do not move.
    """
    (axis,) = space_axes(system)
    periodic = axis in system.traits.periodic
    start = _Start.of(system)
    drift = float(np.mean(start.speed)) if periodic else 0.0
    displacement = field(_unused(system, "displacement"), *system.problem.coordinates)
    pull = _Pull(system, displacement, drift)
    conditions = [
        *_equations(system, pull),
        *(_kept(system, c, pull) for c in system.problem.conditions if c.kind is not Kind.EQUATION),
        Initial(displacement, 0),
    ]
    if not periodic:
        conditions.append(Dirichlet(displacement, 0, on=(f"{axis}-", f"{axis}+")))
    sizes = {u: np.ptp(start.values[function_name(u)]) / 2 for u in system.problem.fields}
    sizes[displacement] = _duration(system) * np.abs(start.speed - drift).max()
    problem = _posed(system.problem, conditions, sizes)
    return Labels(problem, function_name(displacement), drift)


@dataclasses.dataclass(frozen=True)
class _Start:
    """Initial values by field and the initial speed, at places along the axis, (n,) each."""

    values: dict[str, np.ndarray]
    speed: np.ndarray

    @classmethod
    def of(cls, system: System) -> _Start:
        assert system.time is not None
        (axis,) = space_axes(system)
        low, high = system.domain.bounds[axis]
        with precision.scope("float64"):
            places = low + (high - low) * (np.arange(PLACES) + 0.5) / PLACES
            z = {axis: places, system.time: np.full(PLACES, system.domain.bounds[system.time][0])}
            values = {f: initial_values(system, f, 0, z) for f in system.fields}
            terms = {terms_of(system, f): v for f, v in values.items()}
            found = Emitted(speed(system), "speed")(terms, z, system.parameters)
        return cls({f: np.asarray(v) for f, v in values.items()}, np.asarray(found))


class _Pull:
    """Expressions over term symbols, as expressions of the fields on labels.

    1 / J is a symbol w with w_xi = -w^2 J_xi, so that results are polynomials in it that can be
    cleared of it.
    """

    def __init__(self, system: System, displacement: sp.Expr, drift: float) -> None:
        assert system.time is not None
        (axis,) = space_axes(system)
        self.problem, self.axis, self.x = system.problem, axis, Coordinate(axis)
        elapsed = Coordinate(system.time) - sp.Float(system.domain.bounds[system.time][0])
        self.place = self.x + drift * elapsed + displacement
        self.jacobian = 1 + displacement.diff(self.x)
        self.inverse = sp.Dummy("w", real=True)

    def moved(self, expression: sp.Expr) -> sp.Expr:
        """In the interior, where coefficients are taken at the places of the labels."""
        return replaced(expression, {**self._terms(expression), self.x: self.place})

    def resting(self, expression: sp.Expr) -> sp.Expr:
        """On walls and at the start, where places are labels."""
        return replaced(expression, self._terms(expression))

    def cleared(self, *expressions: sp.Expr) -> list[sp.Expr]:
        """Expressions times the lowest power of J that leaves no quotient by J in any of them.

        Quotients stay where derivatives stand inside of functions, such as roots.
        """
        w, jacobian = self.inverse, self.jacobian
        given = [multiplied_out(e) for e in expressions]
        if not all(e.is_polynomial(w) for e in given):
            return [replaced(e, {w: 1 / jacobian}) for e in given]
        power = max(int(sp.Poly(e, w).degree()) if e.has(w) else 0 for e in given)
        return [
            sp.Add(*(e.coeff(w, k) * jacobian ** (power - k) for k in range(power + 1)))
            for e in given
        ]

    def _terms(self, expression: sp.Expr) -> dict[sp.Basic, sp.Expr]:
        found = [s for s in expression.free_symbols if isinstance(s, TermSymbol)]
        return {s: self._term(s.term) for s in found}

    def _term(self, term: Term) -> sp.Expr:
        found, w = self.problem.field(term.field), self.inverse
        for _ in range(term.along(self.axis)):
            slope = -(w**2) * self.jacobian.diff(self.x)
            found = w * (found.diff(self.x) + slope * found.diff(w))
        return found


def _equations(system: System, pull: _Pull) -> list[Condition]:
    """X_t = a, and the rates of the fields along the characteristics."""
    assert system.time is not None
    time = Coordinate(system.time)
    found = []
    for name, rest in rests(system).items():
        left, right = pull.cleared(system.problem.field(name).diff(time), pull.moved(rest))
        found.append(_equation(left, right, _unused(system, f"rate of {name}")))
    motion = pull.place.diff(time), pull.moved(speed(system))
    return [*found, _equation(*motion, _unused(system, "characteristics"))]


def _equation(left: sp.Expr, right: sp.Expr, name: str) -> Condition:
    return Condition(Kind.EQUATION, left, right, ("interior",), name)


def _kept(system: System, condition: Condition, pull: _Pull) -> Condition:
    """An initial, boundary or periodic condition."""
    what = f"Condition '{condition.name}'"
    target, value = (lower(e, system.axes, what) for e in (condition.target, condition.value))
    left, right = pull.cleared(pull.resting(target), pull.resting(value))
    return dataclasses.replace(condition, target=left, value=right)


def _posed(
    given: Problem, conditions: Sequence[Condition], sizes: dict[sp.Expr, np.floating]
) -> Problem:
    """The problem of these conditions; scales that the given problem states are kept."""
    used = {p.name for c in conditions for e in (c.target, c.value) for p in e.atoms(Parameter)}
    scales = {u: float(size) if size > 0 else 1.0 for u, size in sizes.items()}
    return Problem(
        f"{given.name}_on_labels",
        given.domain,
        tuple(conditions),
        {name: value for name, value in given.parameters.items() if name in used},
        scales={**scales, **given.scales},
    )


def _duration(system: System) -> float:
    assert system.time is not None
    start, end = system.domain.bounds[system.time]
    return end - start


def _unused(system: System, name: str) -> str:
    """The name, lengthened until nothing in the problem has it."""
    problem = system.problem
    taken = {*problem.field_names, *system.axes, *problem.parameter_values}
    taken |= {c.name for c in problem.conditions}
    while name in taken:
        name += "_"
    return name
