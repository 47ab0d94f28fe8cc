"""Method of manufactured solutions: data derived from a solution that we choose."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import sympy as sp

from pinnkit.errors import SpecError
from pinnkit.spec.condition import Condition, Data, Kind
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import Coordinate, Parameter

SHORT = 60
"""Operations up to which a forcing is simplified: longer ones can take SymPy minutes."""


def insert(expression: sp.Expr, exact: Mapping[sp.Expr, sp.Expr]) -> sp.Expr:
    """The expression with functions replaced and derivatives carried out."""
    return expression.subs(dict(exact), simultaneous=True).doit()


def manufacture(problem: Problem, exact: Mapping[sp.Expr, sp.Expr]) -> Problem:
    """The problem whose exact solution is `exact` = {u: expression}.

    The value of every equation, boundary and initial condition becomes that of its target at the
    exact solution, so every residual vanishes identically. Integral conditions are integrated in
    closed form on boxes.

    Raises `SpecError` if `exact` does not cover the fields or breaks a periodic condition.
    """
    if set(exact) != set(problem.fields):
        raise SpecError(
            f"manufacture: exact covers {', '.join(map(str, exact)) or 'nothing'}, the fields are "
            f"{', '.join(map(str, problem.fields))}. Give one expression per field."
        )
    values = {u: sp.sympify(e) for u, e in exact.items()}
    conditions = tuple(_with_value(problem, c, values) for c in problem.conditions)
    return dataclasses.replace(problem, conditions=conditions, exact=values)


def _with_value(
    problem: Problem, condition: Condition, exact: Mapping[sp.Expr, sp.Expr]
) -> Condition:
    if condition.kind is Kind.PERIODIC:
        _is_periodic(problem, condition, exact)
        return condition
    if condition.kind is Kind.OBSERVED and condition.data is not None:
        return dataclasses.replace(condition, data=_sampled(problem, condition, exact))
    if condition.kind is Kind.EQUATION:
        forcing = insert(condition.residual, exact)
        if sp.count_ops(forcing) <= SHORT:
            forcing = sp.simplify(forcing)
        return dataclasses.replace(condition, value=condition.value + forcing)
    value = insert(condition.target, exact)
    if condition.kind is Kind.INTEGRAL:
        if condition.on != ("interior",):
            raise SpecError(
                f"Condition '{condition.name}': manufacture integrates over 'interior' only. "
                "Give the value by hand."
            )
        for axis in problem.domain.space_axes:
            low, high = problem.domain.bounds[axis]
            value = sp.integrate(value, (Coordinate(axis), sp.nsimplify(low), sp.nsimplify(high)))
    return dataclasses.replace(condition, value=value)


def _is_periodic(problem: Problem, condition: Condition, exact: Mapping[sp.Expr, sp.Expr]) -> None:
    axis = Coordinate(str(condition.axis))
    low, high = problem.domain.bounds[axis.name]
    for u, value in exact.items():
        jump = value.subs(axis, sp.nsimplify(high)) - value.subs(axis, sp.nsimplify(low))
        numbers = {s: sp.Float(0.37) for s in jump.free_symbols}
        if abs(complex(jump.subs(numbers).evalf())) > 1e-9:
            raise SpecError(
                f"manufacture: {u} = {value} is not periodic along {axis}. Choose one that is."
            )


def _sampled(problem: Problem, condition: Condition, exact: Mapping[sp.Expr, sp.Expr]) -> Data:
    assert condition.data is not None
    expression = insert(condition.target, exact)
    axes = list(condition.data.at)
    parameters = problem.parameter_values
    expression = expression.subs(
        {Parameter(p.name, p.default): parameters[p.name] for p in problem.declared_parameters}
    )
    rows = zip(*(condition.data.at[a] for a in axes), strict=True)
    values = [
        float(expression.subs({Coordinate(a): v for a, v in zip(axes, row, strict=True)}).evalf())
        for row in rows
    ]
    return Data(condition.data.at, np.asarray(values))
