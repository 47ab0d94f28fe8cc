"""Traits of a system, found symbolically."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy as sp
from sympy.core.relational import Relational

from pinnkit.compile.terms import TermSymbol
from pinnkit.spec.symbols import Coordinate, Parameter


def unknown_terms(expression: sp.Expr, fields: Sequence[str]) -> list[TermSymbol]:
    """Term symbols of unknown fields, sorted."""
    found = (s for s in expression.free_symbols if isinstance(s, TermSymbol))
    return sorted((s for s in found if s.term.field in fields), key=lambda s: s.term)


def is_linear(expression: sp.Expr, fields: Sequence[str]) -> bool:
    """Whether the expression is affine in the unknown terms."""
    terms = unknown_terms(expression, fields)
    return not any(set(terms) & expression.diff(t).free_symbols for t in terms)


def has_constant_coefficients(expression: sp.Expr, fields: Sequence[str]) -> bool:
    """Whether no coordinate and no input function multiplies an unknown term."""
    unknown = unknown_terms(expression, fields)

    def varies(symbol: sp.Basic) -> bool:
        known_function = isinstance(symbol, TermSymbol) and symbol not in unknown
        return isinstance(symbol, Coordinate) or known_function

    return not any(varies(s) for t in unknown for s in expression.diff(t).free_symbols)


def is_autonomous(expression: sp.Expr, time: str | None) -> bool:
    """Whether time does not occur explicitly."""
    return time is None or Coordinate(time) not in expression.free_symbols


def breakpoints(
    expressions: Iterable[sp.Expr], parameters: dict[Parameter, float], axes: Sequence[str]
) -> dict[str, tuple[float, ...]]:
    """Places along each axis where a piecewise coefficient may jump: {axis: sorted places}."""
    found: dict[str, set[float]] = {axis: set() for axis in axes}
    for expression in expressions:
        for relation in _relations(expression):
            numeric = relation.xreplace({k: sp.nsimplify(v) for k, v in parameters.items()})
            symbols = numeric.free_symbols
            if len(symbols) == 1 and isinstance(symbol := next(iter(symbols)), Coordinate):
                boundary = numeric.as_set().boundary
                if isinstance(boundary, sp.FiniteSet):
                    found[symbol.name] |= {float(p) for p in boundary if p.is_finite}
    return {axis: tuple(sorted(places)) for axis, places in found.items()}


def _relations(node: sp.Basic) -> Iterable[Relational]:
    """Where branches and kinks of an expression switch; |x| inside a relation is no kink."""
    if isinstance(node, Relational):
        yield node
        return
    if isinstance(node, (sp.Heaviside, sp.sign, sp.Abs)):
        yield sp.StrictGreaterThan(node.args[0], 0, evaluate=False)  # type: ignore[misc]
    for argument in node.args:
        yield from _relations(argument)
