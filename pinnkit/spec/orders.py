"""Which derivatives occur in an expression."""

from collections.abc import Iterable

import sympy as sp
from sympy.core.function import AppliedUndef, Subs

from pinnkit.errors import SpecError
from pinnkit.spec.symbols import AppliedField, Coordinate, function_name, is_input, is_unknown

Occurrence = tuple[sp.Expr, dict[str, int]]


def expand_derivatives(expression: sp.Expr, what: str) -> sp.Expr:
    """Carry out all derivatives, so that only derivatives of declared functions remain.

    Raises `SpecError` for values of a function at a point (`u.subs(x, 0)`), for functions that
    were not declared, for integrals and for derivatives by the lookalike of a coordinate.
    """
    for derivative in expression.atoms(sp.Derivative):
        for function in derivative.expr.atoms(AppliedField):
            for variable in derivative.variables:
                function.refuse_lookalike(variable)
    expanded = expression.doit()
    for atom in sp.preorder_traversal(expanded):
        if isinstance(atom, AppliedUndef):
            if not (is_unknown(atom) or is_input(atom)):
                raise SpecError(
                    f"{what}: the function {atom} was not declared. "
                    "Make it with field(...) or input_function(...)."
                )
            if not all(isinstance(a, Coordinate) for a in atom.args):
                raise SpecError(
                    f"{what}: {atom} is a value at a point. State it as a condition on a region, "
                    f'for example Dirichlet({function_name(atom)}, value, on="x-").'
                )
        if isinstance(atom, Subs):
            raise SpecError(
                f"{what}: {atom} substitutes a point into a derivative. State it as a condition "
                "on a region: Neumann, Robin, or Initial(u.diff(t), ...)."
            )
        if isinstance(atom, sp.Integral):
            raise SpecError(
                f"{what}: {atom} is an integral inside an equation, which is not supported. "
                "Use the condition Integral(expression, value, over=...)."
            )
    return expanded


def occurrences(expression: sp.Expr) -> list[Occurrence]:
    """All declared functions with the orders in which they are differentiated, without repeats."""
    found: dict[tuple[sp.Expr, tuple], Occurrence] = {}

    def visit(node: sp.Basic) -> None:
        if isinstance(node, sp.Derivative):
            orders = {v.name: int(n) for v, n in node.variable_count}
            found[(node.expr, tuple(sorted(orders.items())))] = (node.expr, orders)
        elif is_unknown(node) or is_input(node):
            found[(node, ())] = (node, {})
        else:
            for argument in node.args:
                visit(argument)

    visit(expression)
    return list(found.values())


def highest_orders(expressions: Iterable[sp.Expr]) -> dict[tuple[str, str], int]:
    """{(field, axis): highest order of differentiation}; axes of order 0 are left out."""
    highest: dict[tuple[str, str], int] = {}
    for expression in expressions:
        for function, orders in occurrences(expression):
            if is_unknown(function):
                for axis, n in orders.items():
                    key = (function_name(function), axis)
                    highest[key] = max(highest.get(key, 0), n)
    return highest
