"""Problem -> System: a short list of pure passes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import sympy as sp

from pinnkit.compile.classify import (
    breakpoints,
    has_constant_coefficients,
    is_autonomous,
    is_linear,
    unknown_terms,
)
from pinnkit.compile.emit import Emitted
from pinnkit.compile.evolution import solve_for_rates, split_constraints
from pinnkit.compile.system import Residual, System, Traits
from pinnkit.compile.terms import DerivativePlan, Term, TermSymbol
from pinnkit.spec.condition import Condition, Kind
from pinnkit.spec.orders import expand_derivatives, occurrences
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import NormalComponent, Parameter, function_name


def compile_problem(problem: Problem) -> System:
    """Compile the declaration.

    Raises `UnsupportedTerm` for a function that has no JAX counterpart.
    """
    residuals = tuple(
        _residual(problem, c) for c in problem.conditions if c.kind is not Kind.PERIODIC
    )
    traits = _traits(problem, residuals)
    posed = (
        [r.expression for r in residuals if r.kind is Kind.EQUATION],
        problem.field_names,
        problem.domain.axes,
        problem.domain.time,
        dict(traits.time_order),
        parameter_table(problem),
    )
    digest = _digest(problem, residuals)
    constrained = split_constraints(*posed)
    return System(problem, residuals, solve_for_rates(*posed), traits, digest, constrained)


def parameter_table(problem: Problem) -> dict[Parameter, float]:
    """Parameter symbols with their values."""
    values = problem.parameter_values
    return {p: values[p.name] for p in problem.declared_parameters}


def lower(expression: sp.Expr, axes: tuple[str, ...], what: str) -> sp.Expr:
    """Carry out derivatives and replace every derivative of a function by its term symbol."""
    expanded = expand_derivatives(expression, what)
    table: dict[sp.Basic, TermSymbol] = {}
    for function, orders in occurrences(expanded):
        term = Term(function_name(function), tuple(orders.get(a, 0) for a in axes), axes)
        pairs = tuple((a, orders[a.name]) for a in function.args if orders.get(a.name))
        table[sp.Derivative(function, *pairs) if pairs else function] = TermSymbol(term)
    lowered = expanded.xreplace({k: v for k, v in table.items() if isinstance(k, sp.Derivative)})
    return lowered.xreplace({k: v for k, v in table.items() if not isinstance(k, sp.Derivative)})


def _residual(problem: Problem, condition: Condition) -> Residual:
    axes, what = problem.domain.axes, f"Condition '{condition.name}'"
    still = {NormalComponent(f"n_{problem.domain.time}"): sp.S.Zero}
    target = lower(condition.target, axes, what).xreplace(still)
    value = lower(condition.value, axes, what).xreplace(still)
    expression = sp.Add(target, sp.Mul(-1, value))
    known_value = not unknown_terms(value, problem.field_names)
    is_term = isinstance(target, TermSymbol) and known_value
    emitted = Emitted(value, what)
    data = condition.data
    return Residual(
        name=condition.name,
        kind=condition.kind,
        regions=condition.on,
        plan=_plan(expression, problem.field_names),
        input_plan=_plan(expression, [function_name(a) for a in problem.inputs]),
        fn=Emitted(expression, what),
        linear=is_linear(expression, problem.field_names),
        expression=expression,
        target=target.term if is_term else None,
        data=(lambda z, params: emitted({}, z, params)) if is_term else None,
        priority=condition.priority,
        points=None if data is None else _stack(data.at, axes),
        observed=None if data is None else data.values,
    )


def _stack(at, axes: tuple[str, ...]):
    import numpy as np

    return np.stack([at[axis] for axis in axes], axis=-1)


def _plan(expression: sp.Expr, fields: Sequence[str]) -> DerivativePlan:
    return DerivativePlan.of(s.term for s in unknown_terms(expression, fields))


def _traits(problem: Problem, residuals: Sequence[Residual]) -> Traits:
    domain, fields = problem.domain, problem.field_names
    equations = [r for r in residuals if r.kind is Kind.EQUATION]
    order = {(f, a): 0 for f in fields for a in domain.axes}
    for residual in equations:
        for term in residual.plan.terms:
            for axis in domain.axes:
                key = (term.field, axis)
                order[key] = max(order[key], term.along(axis))
    time = domain.time
    time_order = {f: order[f, time] if time else 0 for f in fields}
    expressions = [r.expression for r in equations]
    return Traits(
        linear=all(r.linear for r in residuals),
        constant_coefficients=all(has_constant_coefficients(e, fields) for e in expressions),
        autonomous=all(is_autonomous(e, time) for e in expressions),
        steady=not any(time_order.values()),
        eigen=bool(problem.eigenvalues),
        family=bool(problem.inputs),
        order=order,
        time_order=time_order,
        periodic=tuple(str(c.axis) for c in problem.conditions if c.kind is Kind.PERIODIC),
        breakpoints=breakpoints(expressions, parameter_table(problem), domain.axes),
    )


def _digest(problem: Problem, residuals: Sequence[Residual]) -> str:
    """SHA-256 of everything that decides the solution, and of nothing else."""
    lines = [repr(problem.domain), repr(problem.domain.bounds), repr(problem.domain.measure)]
    lines += [f"{k}={v!r}" for k, v in sorted(problem.parameter_values.items())]
    lines += sorted(f"{c.kind} {c.on}" for c in problem.conditions if c.kind is Kind.PERIODIC)
    lines += sorted(f"{r.kind} {r.regions} {r.priority} {_text(r.expression)}" for r in residuals)
    lines += sorted(f"{a}: {type(a).law!r}" for a in problem.inputs)  # type: ignore[attr-defined]
    digest = hashlib.sha256("\n".join(lines).encode())
    for residual in residuals:
        if residual.points is not None and residual.observed is not None:
            digest.update(residual.points.tobytes() + residual.observed.tobytes())
    return digest.hexdigest()


def _text(expression: sp.Expr) -> str:
    """`srepr` without parameter defaults, whose values are hashed on their own."""
    return sp.srepr(expression)
