"""Conditions on the faces of a box as linear functionals along one axis."""

from __future__ import annotations

import dataclasses

import sympy as sp

from pinnkit.compile.classify import unknown_terms
from pinnkit.compile.system import Residual, System
from pinnkit.compile.terms import TermSymbol
from pinnkit.spec.condition import Kind
from pinnkit.spec.symbols import Coordinate, Eigenvalue, NormalComponent


@dataclasses.dataclass(frozen=True)
class Functional:
    """d^order field / d axis^order = value at axis = place, one end of the axis.

    `side` is 0 for the lower end and 1 for the upper one.
    """

    field: str
    axis: str
    side: int
    place: float
    order: int
    value: sp.Expr
    residual: Residual
    region: str


def functional(system: System, residual: Residual, region: str) -> Functional | str:
    """The functional that a condition means on a face, or the reason why it is none."""
    fixed = system.domain.region(region).fixed
    if len(fixed) != 1:
        return "its region is not a face of a box"
    ((axis, place),) = fixed.items()
    side = int(place == system.domain.bounds[axis][1])
    expression = sp.expand(residual.expression.xreplace(_normals(system, axis, side)))
    terms = unknown_terms(expression, system.fields)
    if len(terms) != 1 or not residual.linear:
        return "it couples several terms"
    (symbol,) = terms
    coefficient = expression.coeff(symbol, 1)
    if not coefficient.is_number or coefficient == 0:
        return "its coefficient varies"
    value = -(expression - coefficient * symbol) / coefficient
    if any(isinstance(s, (TermSymbol, Eigenvalue)) for s in value.free_symbols):
        return "its value is not known in advance"
    order = symbol.term.along(axis)
    if symbol.term.order != order:
        return "it sets a tangential derivative"
    return Functional(
        symbol.term.field, axis, side, place, order, _at(value, axis, place), residual, region
    )


def _at(value: sp.Expr, axis: str, place: float) -> sp.Expr:
    number = sp.Integer(int(place)) if place == int(place) else sp.Float(place)
    return sp.expand(value.subs(Coordinate(axis), number))


def _normals(system: System, axis: str, side: int) -> dict[sp.Symbol, sp.Expr]:
    return {
        NormalComponent(f"n_{a}"): sp.Integer((2 * side - 1) * (a == axis))
        for a in system.domain.space_axes
    }


def is_face_condition(residual: Residual) -> bool:
    """Whether the condition is of a kind that can become part of an ansatz."""
    return residual.kind in (Kind.BOUNDARY, Kind.INITIAL)
