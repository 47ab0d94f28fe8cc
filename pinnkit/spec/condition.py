"""Conditions: what must hold where. All kinds are one type; the builders only fill it in.

A condition reads ``target = value`` on each region of `on`. Neither side says how it is enforced:
hard or soft is the choice of the method.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.relational import Equality

from pinnkit.errors import SpecError
from pinnkit.spec.calculus import normal_derivative
from pinnkit.spec.symbols import function_name, is_unknown


class Kind(enum.StrEnum):
    """What a condition is for; generic code asks this, never a name."""

    EQUATION = "equation"
    BOUNDARY = "boundary"
    INITIAL = "initial"
    PERIODIC = "periodic"
    INTEGRAL = "integral"
    OBSERVED = "observed"


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """Measured values: coordinates by axis name and values, all of shape (N,)."""

    at: Mapping[str, np.ndarray]
    values: np.ndarray


@dataclasses.dataclass(frozen=True)
class Condition:
    """`target = value` on the regions `on`.

    `priority` settles disagreements where two conditions meet (corners, the edge at t = 0): of
    two conditions that disagree, the one of lower priority is not enforced exactly. Equal
    priorities that disagree are an error.
    """

    kind: Kind
    target: sp.Expr
    value: sp.Expr
    on: tuple[str, ...]
    name: str = ""
    axis: str | None = None
    data: Data | None = None
    priority: int = 0

    @property
    def residual(self) -> sp.Expr:
        """target - value, the expression that vanishes."""
        return self.target - self.value


def _expression(value: Any, what: str) -> sp.Expr:
    try:
        expression = sp.sympify(value, strict=True)
    except (sp.SympifyError, TypeError) as error:
        raise SpecError(f"{what}: {value!r} is not a number or a SymPy expression.") from error
    if not isinstance(expression, sp.Expr):
        raise SpecError(f"{what}: {value!r} is not a scalar expression. Give one per condition.")
    if expression.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        raise SpecError(f"{what}: {expression} is not finite. Give a finite expression.")
    return expression


def _regions(on: str | Sequence[str], what: str) -> tuple[str, ...]:
    regions = (on,) if isinstance(on, str) else tuple(on)
    if not regions or not all(isinstance(r, str) and r for r in regions):
        raise SpecError(f'{what}: on={on!r} names no region. Give names such as on=("x-", "x+").')
    return regions


def _field_of(u: sp.Basic, what: str) -> sp.Expr:
    inner = u.expr if isinstance(u, sp.Derivative) else u
    if not is_unknown(inner):
        raise SpecError(
            f"{what}: {u} is not an unknown field. Declare it with field(...), and pass the field."
        )
    return inner  # type: ignore[return-value]


def Equation(
    equation: Equality | sp.Expr, on: str | Sequence[str] = "interior", name: str = ""
) -> Condition:
    """An equation `Eq(left, right)` (or an expression that vanishes) on a region."""
    label = f"Equation '{name}'" if name else "Equation"
    if isinstance(equation, (bool, sp.logic.boolalg.BooleanAtom)):
        raise SpecError(f"{label}: SymPy already decided it is {equation}. Check both sides.")
    if isinstance(equation, Equality):
        left, right = _expression(equation.lhs, label), _expression(equation.rhs, label)
    else:
        left, right = _expression(equation, label), sp.S.Zero
    return Condition(Kind.EQUATION, left, right, _regions(on, label), name)


def Dirichlet(
    u: sp.Expr,
    value: Any = 0,
    on: str | Sequence[str] = "boundary",
    name: str = "",
    priority: int = 0,
) -> Condition:
    """u = value on the regions; u may also be a derivative, e.g. `u.diff(x, 2)`."""
    label = f"Dirichlet condition on {u}"
    _field_of(u, label)
    return Condition(
        Kind.BOUNDARY,
        u,
        _expression(value, label),
        _regions(on, label),
        name,
        priority=priority,
    )


def Neumann(
    u: sp.Expr,
    value: Any = 0,
    on: str | Sequence[str] = "boundary",
    name: str = "",
    priority: int = 0,
) -> Condition:
    """Outward normal derivative n · grad u = value on the regions."""
    label = f"Neumann condition on {u}"
    _field_of(u, label)
    return Condition(
        Kind.BOUNDARY,
        normal_derivative(u),
        _expression(value, label),
        _regions(on, label),
        name,
        priority=priority,
    )


def Robin(
    u: sp.Expr,
    alpha: Any,
    beta: Any,
    value: Any = 0,
    on: str | Sequence[str] = "boundary",
    name: str = "",
    priority: int = 0,
) -> Condition:
    """alpha u + beta n · grad u = value on the regions."""
    label = f"Robin condition on {u}"
    _field_of(u, label)
    left = _expression(alpha, label) * u + _expression(beta, label) * normal_derivative(u)
    return Condition(
        Kind.BOUNDARY,
        left,
        _expression(value, label),
        _regions(on, label),
        name,
        priority=priority,
    )


def Initial(u: sp.Expr, value: Any = 0, name: str = "", priority: int = 0) -> Condition:
    """u = value, or u.diff(t) = value, at the lower end of the time axis."""
    label = f"Initial condition on {u}"
    _field_of(u, label)
    return Condition(
        Kind.INITIAL, u, _expression(value, label), ("initial",), name, priority=priority
    )


def Periodic(axis: str | sp.Symbol) -> Condition:
    """All fields, with all their derivatives, are periodic along the axis of the domain."""
    name = axis if isinstance(axis, str) else axis.name
    return Condition(Kind.PERIODIC, sp.S.Zero, sp.S.Zero, (f"{name}-", f"{name}+"), "", name)


def Integral(
    expression: sp.Expr, value: Any, over: str | Sequence[str] = "interior", name: str = ""
) -> Condition:
    """The integral of the expression over the regions equals `value`.

    On a time-dependent domain the integral is over space at every time.
    """
    label = f"Integral condition on {expression}"
    return Condition(
        Kind.INTEGRAL,
        _expression(expression, label),
        _expression(value, label),
        _regions(over, label),
        name,
    )


def Observed(expression: sp.Expr, at: Mapping[str, Any], values: Any, name: str = "") -> Condition:
    """Measured values of an expression: `Observed(u, at={"t": ts, "x": xs}, values=us)`.

    Shapes: every coordinate and `values` are (N,); a trailing axis is an error.
    """
    label = f"Observed values of {expression}"
    arrays = {axis: np.asarray(c, dtype=np.float64) for axis, c in at.items()}
    observed = np.asarray(values, dtype=np.float64)
    for what, array in [*arrays.items(), ("values", observed)]:
        if array.ndim != 1 or array.shape != observed.shape:
            raise SpecError(
                f"{label}: '{what}' has shape {array.shape}, 'values' {observed.shape}; "
                "scalars per point are (N,). Use array.ravel() or array[:, 0]."
            )
        if not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            raise SpecError(f"{label}: '{what}' holds {count} non-finite values. Remove them.")
    return Condition(
        Kind.OBSERVED,
        _expression(expression, label),
        sp.S.Zero,
        ("interior",),
        name,
        data=Data(arrays, observed),
    )


def describe(condition: Condition) -> str:
    """One line: name or kind, the equation, and where it holds."""
    where = ", ".join(condition.on)
    if condition.kind is Kind.PERIODIC:
        return f"all fields periodic along {condition.axis}"
    if condition.kind is Kind.OBSERVED and condition.data is not None:
        return f"{condition.target} observed at {condition.data.values.size} points"
    left = (
        f"integral of {condition.target}" if condition.kind is Kind.INTEGRAL else condition.target
    )
    return f"{left} = {condition.value} on {where}"


def fields_in(condition: Condition) -> tuple[str, ...]:
    """Names of the unknown fields that occur, sorted."""
    found = {
        function_name(atom)
        for atom in sp.preorder_traversal(condition.residual)
        if is_unknown(atom)
    }
    return tuple(sorted(found))
