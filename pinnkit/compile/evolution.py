"""Equations solved for the highest time derivatives, alone or beside constraints."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from pinnkit.compile.classify import unknown_terms
from pinnkit.compile.emit import Emitted
from pinnkit.compile.system import Constrained, Constraint, Rate
from pinnkit.compile.terms import DerivativePlan, Term, TermSymbol
from pinnkit.spec.symbols import Parameter


def solve_for_rates(
    equations: Sequence[sp.Expr],
    fields: Sequence[str],
    axes: tuple[str, ...],
    time: str | None,
    time_order: dict[str, int],
    parameters: dict[Parameter, float],
    static: Sequence[str] = (),
) -> tuple[Rate, ...] | None:
    """One `Rate` per field, or None when the system is not explicit in time.

    `static` names further fields, without time derivatives, that the rates may hold.

    Not explicit: no time axis, a field without time derivative (an algebraic constraint such as
    incompressibility), mixed derivatives in time and space, or rates that enter nonlinearly.
    """
    if time is None or len(equations) != len(fields) or not all(time_order[f] for f in fields):
        return None
    position = axes.index(time)
    rates = [
        TermSymbol(Term(f, tuple(time_order[f] * (i == position) for i in range(len(axes))), axes))
        for f in fields
    ]
    unknown = (*fields, *static)
    for expression in equations:
        for symbol in unknown_terms(expression, fields):
            n = symbol.term.orders[position]
            if (
                n
                and symbol not in rates
                and (n >= time_order[symbol.term.field] or symbol.term.order != n)
            ):
                return None
    try:
        matrix, right = sp.linear_eq_to_matrix(list(equations), rates)
    except sp.solvers.solveset.NonlinearError:
        return None
    if sp.simplify(matrix.det()) == 0:
        return None
    solved = matrix.LUsolve(right)
    return tuple(
        _rate(f, time_order[f], sp.expand(e), unknown, parameters)
        for f, e in zip(fields, solved, strict=True)
    )


def split_constraints(
    equations: Sequence[sp.Expr],
    fields: Sequence[str],
    axes: tuple[str, ...],
    time: str | None,
    time_order: dict[str, int],
    parameters: dict[Parameter, float],
) -> Constrained | None:
    """Rates of the fields that evolve, and the equations without time derivatives beside them.

    None without time, without both kinds of fields, or unless each kind has as many equations as
    fields and the first kind can be solved for its highest time derivatives.
    """
    moving = tuple(f for f in fields if time_order[f])
    static = tuple(f for f in fields if not time_order[f])
    if time is None or not moving or not static:
        return None

    def evolves(expression: sp.Expr) -> bool:
        return any(s.term.along(time) for s in unknown_terms(expression, fields))

    rest = [e for e in equations if not evolves(e)]
    if len(rest) != len(static):
        return None
    evolving = [e for e in equations if evolves(e)]
    rates = solve_for_rates(evolving, moving, axes, time, time_order, parameters, static)
    if rates is None:
        return None
    return Constrained(rates, static, tuple(_constraint(e, fields, parameters) for e in rest))


def _constraint(
    expression: sp.Expr, fields: Sequence[str], parameters: dict[Parameter, float]
) -> Constraint:
    linear, remainder = _split_linear(sp.expand(expression), fields, parameters)
    compiled = Emitted(remainder, "constraint")
    return Constraint(linear, _plan(remainder), compiled, remainder.is_zero is True)


def _rate(
    field: str,
    order: int,
    expression: sp.Expr,
    fields: Sequence[str],
    parameters: dict[Parameter, float],
) -> Rate:
    linear, remainder = _split_linear(expression, fields, parameters)
    what = f"rate of '{field}'"
    return Rate(
        field,
        order,
        _plan(expression),
        Emitted(expression, what),
        linear,
        _plan(remainder),
        Emitted(remainder, what),
    )


def _split_linear(
    expression: sp.Expr, fields: Sequence[str], parameters: dict[Parameter, float]
) -> tuple[dict[Term, float], sp.Expr]:
    """Constant coefficients of the unknown terms, and what is left of the expression."""
    linear: dict[Term, float] = {}
    remainder = expression
    for symbol in unknown_terms(expression, fields):
        unknown = unknown_terms(expression, fields)
        rest, _ = sp.Add(expression.coeff(symbol, 1)).as_independent(*unknown, as_Add=True)
        value = rest.xreplace({k: sp.Float(v) for k, v in parameters.items()})
        if value.is_number:
            remainder = sp.expand(remainder - rest * symbol)
            if value != 0:
                linear[symbol.term] = float(value)
    return linear, remainder


def _plan(expression: sp.Expr) -> DerivativePlan:
    return DerivativePlan.of(s.term for s in expression.free_symbols if isinstance(s, TermSymbol))
