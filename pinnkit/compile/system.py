"""The compiled problem: residual functions of term values, and what each region needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import sympy as sp

from pinnkit.compile.terms import DerivativePlan, Term
from pinnkit.geometry import Domain
from pinnkit.spec.condition import Kind
from pinnkit.spec.problem import Problem

ResidualFunction = Callable[[Mapping[Term, Any], Mapping[str, Any], Mapping[str, Any]], jax.Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Residual:
    """One condition, compiled: `fn(values, z, params)` vanishes on every region of `regions`.

    - `plan`: the terms of unknown fields, `input_plan` those of input functions; `values` must
      hold both. All arrays have one shape.
    - `linear`: affine in the unknown terms.
    - `target`, `data(z, params)`: set when the condition reads "term = known data".
    - `expression`: the residual over term symbols, for symbolic passes.
    - `points`, `observed`: for observed data, coordinates (N, d) and values (N,); the residual is
      then `fn - observed`.
    """

    name: str
    kind: Kind
    regions: tuple[str, ...]
    plan: DerivativePlan
    input_plan: DerivativePlan
    fn: ResidualFunction
    linear: bool
    expression: sp.Expr
    target: Term | None = None
    data: Callable[[Mapping[str, Any], Mapping[str, Any]], jax.Array] | None = None
    priority: int = 0
    points: np.ndarray | None = None
    observed: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Rate:
    """d^order field / dt^order = fn(values, z, params), explicit in time.

    The right side is also split as sum_T linear[T] T + remainder, where the linear part has
    constant coefficients at the system's parameter values.
    """

    field: str
    order: int
    plan: DerivativePlan
    fn: ResidualFunction
    linear: Mapping[Term, float]
    remainder_plan: DerivativePlan
    remainder: ResidualFunction


@dataclasses.dataclass(frozen=True, eq=False)
class Constraint:
    """An equation without time derivatives, 0 = sum_T linear[T] T + remainder(values, z, params).

    The linear part has constant coefficients at the system's parameter values; `homogeneous`
    where nothing remains.
    """

    linear: Mapping[Term, float]
    remainder_plan: DerivativePlan
    remainder: ResidualFunction
    homogeneous: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Constrained:
    """Rates of some fields beside constraints, as many as there are `static` fields.

    The static fields have no time derivatives, such as a streamfunction or a pressure.
    """

    rates: tuple[Rate, ...]
    static: tuple[str, ...]
    constraints: tuple[Constraint, ...]


@dataclasses.dataclass(frozen=True)
class Traits:
    """What the equations are, found symbolically; methods choose by these, never by a name."""

    linear: bool
    constant_coefficients: bool
    autonomous: bool
    steady: bool
    eigen: bool
    family: bool
    order: Mapping[tuple[str, str], int]
    time_order: Mapping[str, int]
    periodic: tuple[str, ...]
    breakpoints: Mapping[str, tuple[float, ...]]

    def describe(self) -> str:
        """In words, for people."""
        words = ["linear" if self.linear else "nonlinear"]
        if self.constant_coefficients:
            words.append("constant coefficients")
        words.append("steady" if self.steady else "time-dependent")
        if self.eigen:
            words.append("eigenvalue problem")
        if self.family:
            words.append("family with input functions")
        if self.periodic:
            words.append(f"periodic in {', '.join(self.periodic)}")
        if any(self.breakpoints.values()):
            words.append("piecewise coefficients")
        return ", ".join(words)


@dataclasses.dataclass(frozen=True, eq=False)
class System:
    """A problem compiled once, for every method.

    `axes` orders the columns of point arrays and the entries of `Term.orders`. At most one of
    `evolution` (every field has a rate) and `constrained` (some have) is set.
    """

    problem: Problem
    residuals: tuple[Residual, ...]
    evolution: tuple[Rate, ...] | None
    traits: Traits
    digest: str
    constrained: Constrained | None = None

    @property
    def domain(self) -> Domain:
        return self.problem.domain

    def on(self, domain: Domain) -> System:
        """The same conditions on another domain that has the same axes and regions."""
        if domain is self.domain:
            return self
        return dataclasses.replace(self, problem=dataclasses.replace(self.problem, domain=domain))

    @property
    def axes(self) -> tuple[str, ...]:
        return self.problem.domain.axes

    @property
    def time(self) -> str | None:
        return self.problem.domain.time

    @property
    def fields(self) -> tuple[str, ...]:
        return self.problem.field_names

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(type(a).__name__ for a in self.problem.inputs)

    @property
    def eigenvalues(self) -> tuple[str, ...]:
        return tuple(e.name for e in self.problem.eigenvalues)

    @property
    def parameters(self) -> dict[str, float]:
        return self.problem.parameter_values

    @property
    def equations(self) -> tuple[Residual, ...]:
        return tuple(r for r in self.residuals if r.kind is Kind.EQUATION)

    @property
    def conditions(self) -> tuple[Residual, ...]:
        return tuple(r for r in self.residuals if r.kind is not Kind.EQUATION)

    @property
    def rates(self) -> tuple[Rate, ...]:
        """Rates of the fields that evolve, with or without constraints beside them."""
        if self.constrained is not None:
            return self.constrained.rates
        return self.evolution or ()

    @property
    def plan(self) -> DerivativePlan:
        """All terms of all residuals."""
        return DerivativePlan.of(t for r in self.residuals for t in r.plan.terms)

    def coordinates(self, points: Any) -> dict[str, Any]:
        """Columns of points (…, d) by axis name."""
        return {axis: points[..., i] for i, axis in enumerate(self.axes)}
