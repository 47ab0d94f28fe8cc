"""SymPy expressions evaluated in JAX by an allow-listed interpreter.

The expression tree is walked at trace time and every node becomes one JAX operation: no source
code is generated or evaluated, so an expression from a stranger's file can do nothing but
arithmetic. Numbers enter as Python scalars, which keeps the precision of the arrays.

Inside a branch of a `Piecewise`, functions that are singular somewhere see the argument 1 where
the branch is not taken: both the value and the gradient of the branch taken stay finite.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import sympy as sp
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from pinnkit.compile.terms import TermSymbol
from pinnkit.errors import UnsupportedTerm
from pinnkit.spec.symbols import Coordinate, Eigenvalue, NormalComponent, Parameter

Values = Mapping[Any, Any]

SMOOTH: dict[type, Callable] = {
    sp.sin: jnp.sin,
    sp.cos: jnp.cos,
    sp.exp: jnp.exp,
    sp.sinh: jnp.sinh,
    sp.cosh: jnp.cosh,
    sp.tanh: jnp.tanh,
    sp.atan: jnp.arctan,
    sp.asinh: jnp.arcsinh,
    sp.erf: jax.scipy.special.erf,
    sp.erfc: jax.scipy.special.erfc,
    sp.sinc: lambda x: jnp.sinc(x / jnp.pi),
    sp.Abs: jnp.abs,
    sp.sign: jnp.sign,
    sp.floor: jnp.floor,
}
SINGULAR: dict[type, Callable] = {
    sp.log: jnp.log,
    sp.tan: jnp.tan,
    sp.cot: lambda x: 1 / jnp.tan(x),
    sp.sec: lambda x: 1 / jnp.cos(x),
    sp.csc: lambda x: 1 / jnp.sin(x),
    sp.sech: lambda x: 1 / jnp.cosh(x),
    sp.asin: jnp.arcsin,
    sp.acos: jnp.arccos,
    sp.acosh: jnp.arccosh,
    sp.atanh: jnp.arctanh,
    sp.coth: lambda x: 1 / jnp.tanh(x),
    sp.csch: lambda x: 1 / jnp.sinh(x),
    sp.gamma: lambda x: jnp.exp(jax.scipy.special.gammaln(x)) * _gamma_sign(x),
    sp.loggamma: jax.scipy.special.gammaln,
}
STRUCTURE = (
    *(sp.Add, sp.Mul, sp.Pow, sp.Max, sp.Min, sp.Heaviside, sp.atan2),
    *(Relational, sp.And, sp.Or, sp.Not, BooleanTrue, BooleanFalse),
    *(sp.Piecewise, ExprCondPair),
)
RELATIONS: dict[type, Callable] = {
    sp.StrictLessThan: operator.lt,
    sp.LessThan: operator.le,
    sp.StrictGreaterThan: operator.gt,
    sp.GreaterThan: operator.ge,
    sp.Equality: operator.eq,
    sp.Unequality: operator.ne,
}


def _gamma_sign(x):
    return jnp.where((x < 0) & (jnp.floor(x) % 2 != 0), -1.0, 1.0)


def check_supported(expression: sp.Basic, what: str) -> None:
    """Raise `UnsupportedTerm` naming the first function that the interpreter does not know."""
    for node in sp.preorder_traversal(expression):
        known = node.is_Symbol or (node.is_number and not node.args) or isinstance(node, STRUCTURE)
        known = known or node.func in SMOOTH or node.func in SINGULAR
        if not known:
            names = sorted(f.__name__ for f in (*SMOOTH, *SINGULAR))
            raise UnsupportedTerm(
                f"{what}: {node.func.__name__} in '{node}' cannot be compiled. Known functions: "
                f"{', '.join(names)}, Piecewise, Max, Min, Heaviside, atan2. Rewrite it with those."
            )


class _Walk:
    """One evaluation: memoised by node and guard."""

    def __init__(self, values: Values, z: Values, params: Values):
        self.values, self.z, self.params = values, z, params
        self.memo: dict[tuple[sp.Basic, int], Any] = {}
        self.guards: list[Any] = []

    def __call__(self, node: sp.Basic, guard: Any = None) -> Any:
        key = (node, id(guard))
        if key not in self.memo:
            self.memo[key] = self._evaluate(node, guard)
        return self.memo[key]

    def _evaluate(self, node: sp.Basic, guard: Any) -> Any:
        if isinstance(node, sp.Symbol):
            return self._symbol(node)
        if isinstance(node, sp.Integer):
            return int(node)
        if isinstance(node, (BooleanTrue, BooleanFalse)):
            return bool(node)
        if node.is_number and not isinstance(node, (Relational, sp.Piecewise)):
            return float(node)
        if isinstance(node, sp.Add):
            return functools.reduce(operator.add, (self(a, guard) for a in node.args))
        if isinstance(node, sp.Mul):
            return self._product(node, guard)
        if isinstance(node, sp.Pow):
            return self._power(node.base, node.exp, guard)
        if isinstance(node, sp.Piecewise):
            return self._piecewise(node, guard)
        return self._function(node, guard)

    def _symbol(self, node: sp.Symbol) -> Any:
        if isinstance(node, TermSymbol):
            return self.values[node.term]
        if isinstance(node, (Coordinate, NormalComponent)):
            return self.z[node.name]
        if isinstance(node, (Parameter, Eigenvalue)):
            return self.params[node.name]
        raise UnsupportedTerm(f"The symbol '{node}' was not declared by pinnkit. Declare it.")

    def _product(self, node: sp.Mul, guard: Any) -> Any:
        above, below = [], []
        for factor in node.args:
            reciprocal = (
                isinstance(factor, sp.Pow) and factor.exp.is_Rational and factor.exp.is_negative
            )
            (below if reciprocal else above).append(factor)
        result = functools.reduce(operator.mul, (self(f, guard) for f in above), 1)
        for factor in below:
            result = result / self._safe(self(1 / factor, guard), guard)
        return result

    def _power(self, base: sp.Expr, exponent: sp.Expr, guard: Any) -> Any:
        if base is sp.E:
            return jnp.exp(self(exponent, guard))
        x = self(base, guard)
        if exponent.is_Integer:
            n = int(exponent)
            return x**n if n > 0 else 1 / self._safe(x, guard) ** (-n)
        x = self._safe(x, guard)
        if exponent == sp.Rational(1, 2):
            return jnp.sqrt(x)
        return x ** self(exponent, guard)

    def _safe(self, x: Any, guard: Any) -> Any:
        return x if guard is None else jnp.where(guard, x, 1.0)

    def _piecewise(self, node: sp.Piecewise, guard: Any) -> Any:
        result: Any = jnp.nan
        branches, free = [], True
        for expression, condition in node.args:
            holds = self(condition, guard)
            taken = jnp.logical_and(free, holds) if free is not True else holds
            free = jnp.logical_and(free, jnp.logical_not(holds))
            branches.append((expression, taken))
        for expression, taken in reversed(branches):
            if taken is True:
                result = self(expression, guard)
                continue
            inner = taken if guard is None else jnp.logical_and(guard, taken)
            self.guards.append(inner)  # kept alive: the memo is keyed by identity
            result = jnp.where(taken, self(expression, inner), result)
        return result

    def _function(self, node: sp.Basic, guard: Any) -> Any:
        if isinstance(node, sp.Heaviside):
            x, at_zero = self(node.args[0], guard), self(node.args[1], guard)
            return jnp.heaviside(jnp.asarray(x, dtype=float), at_zero)
        arguments = [self(a, guard) for a in node.args]
        if node.func in SMOOTH:
            return SMOOTH[node.func](*arguments)
        if node.func in SINGULAR:
            return SINGULAR[node.func](*(self._safe(a, guard) for a in arguments))
        if isinstance(node, Relational):
            return RELATIONS[node.func](*arguments)
        if isinstance(node, sp.atan2):
            return jnp.arctan2(*(self._safe(a, guard) for a in arguments))
        table = {
            sp.Max: jnp.maximum,
            sp.Min: jnp.minimum,
            sp.And: jnp.logical_and,
            sp.Or: jnp.logical_or,
        }
        if node.func in table:
            return functools.reduce(table[node.func], arguments)
        if isinstance(node, sp.Not):
            return jnp.logical_not(arguments[0])
        raise UnsupportedTerm(f"{node.func.__name__} cannot be compiled. Rewrite the expression.")


class Emitted:
    """A compiled expression, `fn(values, z, params)`, elementwise on arrays of one shape.

    `values` maps terms, `z` coordinates and normal components by name, `params` parameters and
    eigenvalues by name. The result has the common shape of the arrays in `values` and `z`.
    """

    def __init__(self, expression: sp.Expr, what: str):
        check_supported(expression, what)
        self.expression = sp.sympify(expression)

    def __call__(self, values: Values, z: Values, params: Values) -> jax.Array:
        result = _Walk(values, z, params)(self.expression)
        shapes = [jnp.shape(a) for a in (*values.values(), *z.values())]
        return jnp.broadcast_to(
            jnp.asarray(result, dtype=jnp.result_type(float)), jnp.broadcast_shapes(*shapes)
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Emitted) and self.expression == other.expression

    def __hash__(self) -> int:
        return hash(self.expression)

    def __repr__(self) -> str:
        return f"Emitted({self.expression})"
