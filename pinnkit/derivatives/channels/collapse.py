"""Residuals on channels: what enters them linearly travels through the network as one channel.

A residual r = sum_T c_T T + g(the rest), with coefficients c_T free of coordinates and fields,
needs no u_t and u_xx of their own, only the operator sum_T c_T T of each field. The symbolic form
of the compiled residual tells which terms these are; its compiled function then gives g when their
values are zero, which is exact as the residual is affine in them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import sympy as sp
from jax import Array

from pinnkit.compile.classify import unknown_terms
from pinnkit.compile.emit import Emitted
from pinnkit.compile.system import Residual
from pinnkit.compile.terms import Term
from pinnkit.derivatives.channels.engine import PointFunction, propagate
from pinnkit.derivatives.channels.indices import Collapsed, Key, Orders, closure, feeding
from pinnkit.spec.symbols import Eigenvalue, Parameter

Operator: TypeAlias = dict[Orders, sp.Expr]
Table: TypeAlias = dict[Orders | int, Array]
Pick: TypeAlias = Callable[[Orders | int, int], Array]


@dataclasses.dataclass(frozen=True)
class Share:
    """factor * operator[field], a part of a residual; `terms` are those that it stands for."""

    field: str
    operator: int
    factor: float
    terms: tuple[Term, ...]


@dataclasses.dataclass(frozen=True)
class Scheme:
    """How residuals on the same points get their derivatives.

    `orders` are taken one by one, `operators` (coefficients by multi-index) as one channel each,
    shared by all fields; `shares` lists per residual what it takes from these.
    """

    residuals: tuple[Residual, ...]
    fields: tuple[str, ...]
    orders: tuple[Orders, ...]
    operators: tuple[Operator, ...]
    shares: tuple[tuple[Share, ...], ...]

    @property
    def channels(self) -> int:
        """Number of channels that travel through the network."""
        return len(self.orders) + len(self.operators)

    def values(
        self,
        f: PointFunction,
        points: Array,
        z: Mapping[str, Any],
        params: Mapping[str, Any],
        known: Mapping[Orders, Array] | None = None,
    ) -> list[Array]:
        """Each residual's `fn` at points (N, d) for fields f: (d,) -> (fields,), as (N,).

        `z` holds coordinates and normal components, `params` parameters by name; these may be
        traced, as in inverse problems. `known` are values and derivatives (N, fields), by
        multi-index, of a function that is added to f; what it lacks is zero.
        """
        return self.of_table(self.table(f, points, params, known), z, params)

    def table(
        self,
        f: PointFunction,
        points: Array,
        params: Mapping[str, Any],
        known: Mapping[Orders, Array] | None = None,
    ) -> Table:
        """What `values` needs of f at points (N, d): each multi-index and operator (N, fields)."""
        operators = [Collapsed(operator) for operator in self.numbers(params)]
        found = propagate(f, points, self.orders, operators)
        if known is not None:
            found = {key: _increased(key, value, known) for key, value in found.items()}
        plain: Table = {orders: found[orders] for orders in self.orders}
        return plain | {i: found[operator] for i, operator in enumerate(operators)}

    def of_table(
        self, table: Table, z: Mapping[str, Any], params: Mapping[str, Any]
    ) -> list[Array]:
        """Each residual's `fn` (N,) from the `table` of f."""
        return self.combined(lambda part, field: table[part][:, field], z, params)

    def numbers(self, params: Mapping[str, Any]) -> list[dict[Orders, Any]]:
        """The coefficients of each operator at these parameters."""
        return [
            {orders: _number(c, params) for orders, c in operator.items()}
            for operator in self.operators
        ]

    def combined(self, pick: Pick, z: Mapping[str, Any], params: Mapping[str, Any]) -> list[Array]:
        """Each residual's `fn` from `pick(part, field)`, the derivatives of the field's number.

        `part` is a multi-index or the number of an operator. Shapes are those of z, or may be
        broadcast to one another.
        """
        column = {name: i for i, name in enumerate(self.fields)}
        results = []
        for residual, shares in zip(self.residuals, self.shares, strict=True):
            gone = {term for share in shares for term in share.terms}
            terms = {
                term: 0.0 if term in gone else pick(term.orders, column[term.field])
                for term in residual.plan.terms
            }
            result = residual.fn(terms, z, params)
            for share in shares:
                result = result + share.factor * pick(share.operator, column[share.field])
            results.append(result)
        return results

    def describe(self) -> str:
        """In words, for people."""
        words = f"{self.channels} channel{'s' * (self.channels > 1)}"
        shares: dict[int, Share] = {}
        for share in (share for own in self.shares for share in own):
            shares.setdefault(share.operator, share)
        if shares:
            names = [f"[{self._text(share)}] as one" for _, share in sorted(shares.items())]
            words += f" with {' and '.join(names)}"
        return words

    def _text(self, share: Share) -> str:
        operator = self.operators[share.operator]
        symbol = {term.orders: sp.Symbol(str(term)) for term in share.terms}
        return str(sp.Add(*(c * symbol[orders] for orders, c in operator.items())))

    @property
    def needed(self) -> tuple[Orders, ...]:
        """All multi-indices that enter, those within operators included, value first."""
        within = {orders for operator in self.operators for orders in operator}
        return tuple(sorted({*self.orders, *within}, key=lambda a: (sum(a), a)))


def _increased(key: Key, value: Array, known: Mapping[Orders, Array]) -> Array:
    """A channel of f plus that of the known function."""
    parts = key.coefficients if isinstance(key, Collapsed) else {key: 1.0}
    for orders, coefficient in parts.items():
        if orders in known:
            value = value + coefficient * known[orders]
    return value


@functools.lru_cache(maxsize=64)
def scheme(residuals: tuple[Residual, ...], fields: tuple[str, ...]) -> Scheme:
    """The scheme with the fewest channels: operators are collapsed only where that saves some."""
    linear = [_constant_part(residual, fields) for residual in residuals]
    everything = {term.orders for residual in residuals for term in residual.plan.terms}
    dimension = len(next(iter(everything)))
    plain = closure(everything) | {(0,) * dimension}
    kept = {
        term.orders
        for residual, own in zip(residuals, linear, strict=True)
        for term in residual.plan.terms
        if term not in own
    }
    closed = closure(kept) | {(0,) * dimension}
    closed |= feeding({t.orders for own in linear for t in own} - closed)
    operators: list[Operator] = []
    shares = tuple(_shares(own, closed, operators) for own in linear)
    if len(closed) + len(operators) < len(plain):
        return Scheme(residuals, fields, tuple(sorted(closed)), tuple(operators), shares)
    return Scheme(residuals, fields, tuple(sorted(plain)), (), ((),) * len(residuals))


def _constant_part(residual: Residual, fields: Sequence[str]) -> dict[Term, sp.Expr]:
    """Derivatives that the residual contains linearly, with coefficients that do not vary."""
    found = {}
    for symbol in unknown_terms(residual.expression, fields):
        coefficient = sp.diff(residual.expression, symbol)
        constant = all(isinstance(s, (Parameter, Eigenvalue)) for s in coefficient.free_symbols)
        if constant and symbol.term.order > 0:
            found[symbol.term] = coefficient
    return found


def _shares(
    linear: Mapping[Term, sp.Expr], closed: set[Orders], operators: list[Operator]
) -> tuple[Share, ...]:
    """One share per field for the terms that are not taken anyway; new operators are appended."""
    by_field: dict[str, dict[Term, sp.Expr]] = {}
    for term, coefficient in linear.items():
        if term.orders not in closed:
            by_field.setdefault(term.field, {})[term] = coefficient
    shares = []
    for field, terms in by_field.items():
        operator = {term.orders: c for term, c in terms.items()}
        ratios = [_ratio(operator, known) for known in operators]
        index = next((i for i, ratio in enumerate(ratios) if ratio is not None), len(operators))
        if index == len(operators):
            operators.append(operator)
            ratios.append(1.0)
        shares.append(Share(field, index, ratios[index] or 1.0, tuple(terms)))
    return tuple(shares)


def _ratio(a: Operator, b: Operator) -> float | None:
    """The number a / b, None if the operators are not multiples of each other."""
    if a.keys() != b.keys():
        return None
    ratios = {sp.cancel(a[orders] / b[orders]) for orders in a}
    ratio = ratios.pop()
    return float(ratio) if not ratios and ratio.is_number else None


def _number(coefficient: sp.Expr, params: Mapping[str, Any]) -> Any:
    """The coefficient at these parameters: a float, unless one of them is an array."""
    values = {s: params[s.name] for s in coefficient.free_symbols}  # type: ignore[attr-defined]
    if all(isinstance(value, (int, float)) for value in values.values()):
        return float(coefficient.xreplace({s: sp.Float(v) for s, v in values.items()}))  # type: ignore[arg-type]
    return Emitted(coefficient, "a coefficient")({}, {}, params)
