"""The speed that carries all fields of a system along, and where there is none."""

from __future__ import annotations

import numpy as np
import sympy as sp

from pinnkit import precision
from pinnkit.compile.emit import Emitted
from pinnkit.compile.system import Rate, System
from pinnkit.compile.terms import Term, TermSymbol
from pinnkit.geometry import Box
from pinnkit.methods.evolution import not_first_order, space_axes, untimely
from pinnkit.spec.condition import Kind

EXACT = 1e-9
"""Speed through a wall, and mismatch over a period, that count as rounding."""
SHORT = 12
"""Operations of an expression that is quoted in words."""
TRIED = 64
"""Times or places at which a coefficient is tried."""


def obstacle(system: System) -> str | None:
    """Why characteristics do not carry all fields of the system within its domain, else None."""
    if system.inputs:
        return "it has input functions; an operator method takes these"
    if system.traits.eigen:
        return "it asks for eigenvalues; an eigenvalue method takes these"
    if system.time is None or system.traits.steady:
        return "it has no time evolution"
    if not isinstance(system.domain, Box) or len(space_axes(system)) != 1:
        return "characteristics are followed along one axis in space, on a box"
    reason = not_first_order(system) or untimely(system)
    return reason or _uncommon_speed(system) or _coefficients(system) or _crossed_wall(system)


def speed(system: System) -> sp.Expr:
    """a(u, t, x) in u_t + a u_x = rest, over term symbols; the same for all fields."""
    assert system.evolution is not None
    return _speed(system, system.evolution[0])


def rests(system: System) -> dict[str, sp.Expr]:
    """The rate of each field along the characteristics, u_t + a u_x, over term symbols."""
    assert system.evolution is not None
    a = speed(system)
    return {
        r.field: multiplied_out(_expression(r) + a * _slope(system, r)) for r in system.evolution
    }


def multiplied_out(expression: sp.Expr) -> sp.Expr:
    """Sums of products; exponentials of sums stay whole, as their factors may overflow."""
    return sp.expand(expression, power_exp=False, power_base=False, log=False)


def replaced(expression: sp.Expr, table: dict[sp.Basic, sp.Expr]) -> sp.Expr:
    """The expression with symbols replaced, none of them in what replaces another."""
    return expression.xreplace(table)  # type: ignore[return-value]


def _expression(rate: Rate) -> sp.Expr:
    assert isinstance(rate.fn, Emitted)
    return rate.fn.expression


def _slope(system: System, rate: Rate) -> TermSymbol:
    """u_x of the rate's own field."""
    orders = tuple(int(axis != system.time) for axis in system.axes)
    return TermSymbol(Term(rate.field, orders, system.axes))


def _speed(system: System, rate: Rate) -> sp.Expr:
    """Minus what multiplies u_x alone: a product of two derivatives carries nothing along."""
    linear = sp.diff(_expression(rate), _slope(system, rate))
    return multiplied_out(-replaced(linear, {s: sp.S.Zero for s in _derivatives(linear)}))


def _derivatives(expression: sp.Expr) -> list[TermSymbol]:
    return [s for s in expression.free_symbols if isinstance(s, TermSymbol) and s.term.order]


def _uncommon_speed(system: System) -> str | None:
    """Why there is no common speed."""
    assert system.evolution is not None
    speeds = {rate.field: _speed(system, rate) for rate in system.evolution}
    if not any(a != 0 for a in speeds.values()):
        return "no equation has an advection term, such as u u_x or c u_x"
    (first, a), *others = speeds.items()
    for field, other in others:
        if sp.simplify(a - other) != 0:
            return (
                f"its fields are carried at different speeds, {first} at {a} and {field} at "
                f"{other}; labels follow one speed"
            )
    return None


def _coefficients(system: System) -> str | None:
    """Why coefficients do not go on beyond the ends of a periodic axis."""
    (axis,), time = space_axes(system), system.time
    if axis not in system.traits.periodic or time is None:
        return None
    low, high = system.domain.bounds[axis]
    rng = np.random.default_rng(0)
    places = rng.uniform(low, high, TRIED)
    for rate in system.evolution or ():
        values = {term: rng.standard_normal(TRIED) for term in rate.plan.terms}
        times = rng.uniform(*system.domain.bounds[time], TRIED)
        with precision.scope("float64"):
            here, there = (
                np.asarray(rate.fn(values, {time: times, axis: x}, system.parameters))
                for x in (places, places + high - low)
            )
        if not np.abs(there - here).max() <= EXACT * max(1.0, np.abs(here).max()):
            return (
                f"the coefficients in the equation of {rate.field} do not repeat with the period "
                f"of {axis}, and labels leave the domain"
            )
    return None


def _crossed_wall(system: System) -> str | None:
    """The first wall that characteristics cross, in words."""
    (axis,) = space_axes(system)
    if axis in system.traits.periodic:
        return None
    for end, face in zip(system.domain.bounds[axis], (f"{axis}-", f"{axis}+"), strict=True):
        at_wall = replaced(speed(system), _given(system, face))
        unknown = [s for s in at_wall.free_symbols if isinstance(s, TermSymbol)]
        if unknown or not _vanishes(system, at_wall, {axis: end}):
            value = f"{at_wall}" if sp.count_ops(at_wall) <= SHORT else "not zero"
            return (
                f"its characteristics cross '{face}', where the speed is {value}; labels stay in "
                "the domain where it is periodic, or where Dirichlet data make the speed zero on "
                "both walls at all times"
            )
    return None


def _given(system: System, face: str) -> dict[sp.Basic, sp.Expr]:
    """The fields whose values are given on a face, with these values."""
    found: dict[sp.Basic, sp.Expr] = {}
    for residual in system.conditions:
        target, here = residual.target, {face, "boundary"} & set(residual.regions)
        if residual.kind is Kind.BOUNDARY and here and target is not None and not target.order:
            found[TermSymbol(target)] = TermSymbol(target) - residual.expression
    return found


def _vanishes(system: System, expression: sp.Expr, place: dict[str, float]) -> bool:
    """Whether an expression of the coordinates is zero at all times at a place."""
    assert system.time is not None
    times = np.linspace(*system.domain.bounds[system.time], TRIED)
    with precision.scope("float64"):
        z = {system.time: times, **{axis: np.full(TRIED, x) for axis, x in place.items()}}
        found = Emitted(expression, "speed on a wall")({}, z, system.parameters)
    return bool(np.abs(np.asarray(found)).max() <= EXACT)
