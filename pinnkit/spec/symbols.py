"""The symbols of a declaration. All of them are SymPy objects, and all of them are inert.

SymPy treats equal names with other assumptions as different symbols, so every symbol of a problem
comes from here, and `check` refuses lookalikes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef, UndefinedFunction

from pinnkit.errors import SpecError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def _valid_name(name: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SpecError(
            f"{name!r} is not a name. Use letters, digits and underscores, starting with a letter."
        )
    return name


class _Named(sp.Symbol):
    """A real symbol whose class is part of its identity."""

    def __new__(cls, name: str, **assumptions: Any):
        return sp.Symbol.__xnew__(cls, name, real=True)

    def _hashable_content(self):
        return (type(self).__name__, *super()._hashable_content())

    def __getnewargs_ex__(self):
        return ((self.name,), {})


class Coordinate(_Named):
    """A coordinate: a space axis or time."""


class NormalComponent(_Named):
    """Component of the outward unit normal along one space axis; its name is `n_<axis>`."""


class Eigenvalue(_Named):
    """The unknown number of an eigenvalue problem."""


class Parameter(_Named):
    """A number that the problem carries under a name, with a default.

    The default is part of the symbol's identity: two parameters of one name and different
    defaults in one problem are a contradiction that `check` reports.
    """

    default: float | None

    def __new__(cls, name: str, default: float | None = None):
        symbol = super().__new__(cls, name)
        symbol.default = default
        return symbol

    def _hashable_content(self):
        return (*super()._hashable_content(), self.default)

    def __getnewargs_ex__(self):
        return ((self.name, self.default), {})


class AppliedField(AppliedUndef):
    """A declared function of its coordinates."""

    def diff(self, *symbols: Any, **assumptions: Any):
        """The derivative; `SpecError` for the lookalike of a coordinate."""
        for entry in symbols:
            self.refuse_lookalike(entry[0] if isinstance(entry, (tuple, list, sp.Tuple)) else entry)
        return super().diff(*symbols, **assumptions)

    def refuse_lookalike(self, variable: Any) -> None:
        """`SpecError` for another symbol of a coordinate's name.

        To SymPy the field does not vary along it: terms would vanish without a word.
        """
        symbol = sp.sympify(variable)
        names = [axis.name for axis in self.args if isinstance(axis, Coordinate)]
        if not isinstance(symbol, sp.Symbol) or isinstance(symbol, sp.Dummy):
            return
        if symbol not in self.args and symbol.name in names:
            raise SpecError(
                f"Field '{type(self).__name__}' is differentiated by a symbol '{symbol.name}' that "
                "is not its coordinate of that name, which would give zero. Make coordinates with "
                f'coordinates("{" ".join(names)}") and use those everywhere.'
            )


class FieldClass(UndefinedFunction):
    """Metaclass of declared functions: the kind and the law belong to the identity."""

    kind: str
    law: Hashable

    def __new__(cls, name: str, **options: Any):
        return super().__new__(cls, name, (AppliedField,), **options)

    def __eq__(cls, other):
        return isinstance(other, FieldClass) and (cls.__name__, cls.kind, cls.law) == (
            other.__name__,
            other.kind,
            other.law,
        )

    def __hash__(cls):
        return hash((cls.__name__, cls.kind, cls.law))


UNKNOWN = "unknown"
INPUT = "input"


def _function(name: str, kind: str, law: Hashable, axes: tuple[sp.Symbol, ...]) -> AppliedUndef:
    _valid_name(name)
    for axis in axes:
        if not isinstance(axis, Coordinate):
            raise SpecError(
                f"Field '{name}': {axis!r} is not a coordinate. "
                'Make coordinates with coordinates("t x") and pass those.'
            )
    if not axes:
        raise SpecError(f"Field '{name}' depends on no coordinate. Write field('{name}', t, x).")
    function = FieldClass(name, real=True, kind=kind, law=law)
    return function(*axes)


def coordinates(names: str) -> Any:
    """Coordinates by name: `t, x = coordinates("t x")`. A single name gives a single symbol."""
    symbols = tuple(Coordinate(_valid_name(n)) for n in names.replace(",", " ").split())
    if not symbols:
        raise SpecError('coordinates("") names no coordinate. Write coordinates("t x").')
    return symbols[0] if len(symbols) == 1 else symbols


def field(name: str, *axes: sp.Symbol) -> AppliedUndef:
    """An unknown scalar function u(t, x, …) of the given coordinates."""
    return _function(name, UNKNOWN, None, axes)


def input_function(name: str, *axes: sp.Symbol, law: Hashable = None) -> AppliedUndef:
    """A given function that varies from case to case: initial state, coefficient, forcing …

    `law` (for example `GaussianField(...)`) says from which distribution it is drawn, which
    makes the problem a family that neural operators can learn.
    """
    return _function(name, INPUT, law, axes)


def parameter(name: str, default: Any = None) -> Parameter:
    """A named number; `default` may be any real SymPy expression without free symbols."""
    _valid_name(name)
    if default is not None:
        try:
            default = float(default)
        except TypeError as error:
            raise SpecError(
                f"Parameter '{name}': its default {default} is not a number. "
                "Give a number, or an expression of numbers only."
            ) from error
        if not math.isfinite(default):
            raise SpecError(f"Parameter '{name}': its default is {default}. Give a finite number.")
    return Parameter(name, default)


def eigenvalue(name: str) -> Eigenvalue:
    """The unknown number E of an eigenvalue problem L psi = E psi."""
    return Eigenvalue(_valid_name(name))


def normal(axis: sp.Symbol) -> NormalComponent:
    """Component of the outward unit normal along a space axis, for boundary conditions."""
    return NormalComponent(f"n_{axis.name}")


def is_unknown(expression: sp.Basic) -> bool:
    return isinstance(type(expression), FieldClass) and type(expression).kind == UNKNOWN


def is_input(expression: sp.Basic) -> bool:
    return isinstance(type(expression), FieldClass) and type(expression).kind == INPUT


def function_name(function: sp.Basic) -> str:
    return type(function).__name__
