"""SymPy expressions as plain trees of lists and strings, and back.

Only the listed node types are read, and nothing is parsed or evaluated as code. Sums, products
and powers are rebuilt as they stood, so that a loaded expression rounds exactly as the saved one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp
from sympy.functions.elementary.piecewise import ExprCondPair

from pinnkit.compile.emit import RELATIONS, SINGULAR, SMOOTH
from pinnkit.compile.terms import Term, TermSymbol
from pinnkit.errors import RunFileError, SpecError
from pinnkit.spec.symbols import (
    Coordinate,
    Eigenvalue,
    FieldClass,
    NormalComponent,
    Parameter,
    _valid_name,
)

Tree = Any
Coder = Callable[[Any], Tree]

UNEVALUATED = {c.__name__: c for c in (sp.Add, sp.Mul, sp.Pow)}
FUNCTIONS = {
    c.__name__: c
    for c in (
        *SMOOTH,
        *SINGULAR,
        *RELATIONS,
        sp.And,
        sp.Or,
        sp.Not,
        sp.Max,
        sp.Min,
        sp.Heaviside,
        sp.atan2,
        sp.Tuple,
    )
}
CONSTANTS = {
    str(c): c for c in (sp.pi, sp.E, sp.EulerGamma, sp.GoldenRatio, sp.true, sp.false, sp.I)
}
SYMBOLS = {c.__name__: c for c in (Coordinate, NormalComponent, Eigenvalue)}


def to_tree(node: sp.Basic, encode: Coder) -> Tree:
    """The expression as nested lists; `encode` writes the laws of input functions."""
    if isinstance(node, sp.Integer):
        return ["Integer", str(node)]
    if isinstance(node, sp.Rational):
        return ["Rational", str(node.p), str(node.q)]
    if isinstance(node, sp.Float):
        sign, mantissa, exponent, _ = node._mpf_
        return ["Float", str(-mantissa if sign else mantissa), exponent, node._prec]
    if any(node is constant for constant in CONSTANTS.values()):  # a symbol may be named E or pi
        return ["constant", str(node)]
    if isinstance(node, TermSymbol):
        return ["Term", node.term.field, list(node.term.orders), list(node.term.axes)]
    if isinstance(node, Parameter):
        return ["Parameter", node.name, node.default]
    if type(node).__name__ in SYMBOLS:
        return [type(node).__name__, node.name]  # type: ignore[attr-defined]
    if isinstance(type(node), FieldClass):
        function = type(node)
        arguments = [to_tree(a, encode) for a in node.args]
        return ["field", function.__name__, function.kind, encode(function.law), arguments]
    name = node.func.__name__
    if isinstance(node, sp.Derivative):
        counts = [[to_tree(v, encode), int(n)] for v, n in node.variable_count]
        return ["Derivative", to_tree(node.expr, encode), counts]
    if isinstance(node, sp.Piecewise):
        return ["Piecewise", [[to_tree(a, encode) for a in pair.args] for pair in node.args]]
    if name in UNEVALUATED or name in FUNCTIONS:
        return [name, [to_tree(a, encode) for a in node.args]]
    raise RunFileError(f"'{node}' ({name}) cannot be saved. Rewrite it with known functions.")


def from_tree(tree: Tree, decode: Coder) -> sp.Basic:
    """The expression of a tree.

    Raises `RunFileError` for anything that is not on the list.
    """
    try:
        return _node(tree, decode)
    except (SpecError, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise RunFileError(
            f"The file holds a malformed expression ({error}). It is damaged or not a run file."
        ) from error


def _node(tree: Tree, decode: Coder) -> sp.Basic:
    name, *rest = tree
    if name == "Integer":
        return sp.Integer(int(rest[0]))
    if name == "Rational":
        return sp.Rational(int(rest[0]), int(rest[1]))
    if name == "Float":
        mantissa, exponent, precision = int(rest[0]), int(rest[1]), int(rest[2])
        if mantissa == 0:
            return sp.Float(0.0, precision=precision)
        sign = int(mantissa < 0)
        return sp.Float(
            (sign, abs(mantissa), exponent, abs(mantissa).bit_length()), precision=precision
        )
    if name == "constant":
        return CONSTANTS[rest[0]]
    if name == "Term":
        orders, axes = tuple(int(n) for n in rest[1]), tuple(_valid_name(a) for a in rest[2])
        return TermSymbol(Term(_valid_name(rest[0]), orders, axes))
    if name == "Parameter":
        default = None if rest[1] is None else float(rest[1])
        return Parameter(_valid_name(rest[0]), default)
    if name in SYMBOLS:
        return SYMBOLS[name](_valid_name(rest[0]))
    if name == "field":
        function = FieldClass(_valid_name(rest[0]), real=True, kind=rest[1], law=decode(rest[2]))
        return function(*(_node(a, decode) for a in rest[3]))
    if name == "Derivative":
        counts = [(_node(v, decode), int(n)) for v, n in rest[1]]
        return sp.Derivative(_node(rest[0], decode), *counts)
    if name == "Piecewise":
        pairs = [ExprCondPair(*(_node(a, decode) for a in pair)) for pair in rest[0]]
        return sp.Piecewise(*pairs, evaluate=False)
    arguments = [_node(a, decode) for a in rest[0]]
    if name in UNEVALUATED:
        return UNEVALUATED[name](*arguments, evaluate=False)
    if name in FUNCTIONS:
        return FUNCTIONS[name](*arguments, evaluate=False)
    raise RunFileError(
        f"The file holds an expression of the unknown kind {name!r}. It comes from another "
        "version of pinnkit, or is not to be trusted."
    )
