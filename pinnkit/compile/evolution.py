"""Equations solved for the highest time derivatives."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from pinnkit.compile.classify import unknown_terms
from pinnkit.compile.emit import Emitted
from pinnkit.compile.system import Rate
from pinnkit.compile.terms import DerivativePlan, Term, TermSymbol
from pinnkit.spec.symbols import Parameter


def solve_for_rates(
    equations: Sequence[sp.Expr],
    fields: Sequence[str],
    axes: tuple[str, ...],
    time: str | None,
    time_order: dict[str, int],
    parameters: dict[Parameter, float],
) -> tuple[Rate, ...] | None:
    """One `Rate` per field, or None when the system is not explicit in time.

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
        _rate(f, time_order[f], sp.expand(e), fields, parameters)
        for f, e in zip(fields, solved, strict=True)
    )


def _rate(
    field: str,
    order: int,
    expression: sp.Expr,
    fields: Sequence[str],
    parameters: dict[Parameter, float],
) -> Rate:
    linear: dict[Term, float] = {}
    remainder = expression
    for symbol in unknown_terms(expression, fields):
        unknown = unknown_terms(expression, fields)
        rest, _ = sp.Add(expression.coeff(symbol, 1)).as_independent(*unknown, as_Add=True)
        value = rest.xreplace({k: sp.Float(v) for k, v in parameters.items()})
        if value.is_number and value != 0:
            linear[symbol.term] = float(value)
            remainder = sp.expand(remainder - rest * symbol)
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


def _plan(expression: sp.Expr) -> DerivativePlan:
    return DerivativePlan.of(s.term for s in expression.free_symbols if isinstance(s, TermSymbol))
