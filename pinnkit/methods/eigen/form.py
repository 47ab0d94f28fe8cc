"""The quadratic form of a compiled eigenvalue problem, found symbolically.

    sum a_ij u_ij + sum b_i u_i + f(x, u) = E w u

becomes -div(P grad u) + V u + g(x, u) u = E w u. Where b_i is not sum_j d_j a_ij the equation is
multiplied by mu with a grad(log mu) = b - div a; such a mu exists for every equation of one axis,
and in several axes only if a^-1 (b - div a) is a gradient: otherwise the operator is not
self-adjoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from pinnkit.compile import System
from pinnkit.compile.terms import TermSymbol
from pinnkit.experts.ritz.form import Form
from pinnkit.experts.ritz.ground import Nonlinear
from pinnkit.experts.ritz.spaces import Ends
from pinnkit.experts.ritz.tables import gauss
from pinnkit.methods.eigen.conditions import Normalisation, boundary, normalised
from pinnkit.methods.eigen.table import PROBES, Table, refuse

CLOSE = 1e-10


@dataclass(frozen=True)
class Posed:
    """An eigenvalue problem as Rayleigh-Ritz takes it."""

    form: Form
    fixed: frozenset[str]
    nonlinear: Nonlinear | None
    normalisation: Normalisation | None

    def ends(self, axis: str, periodic: bool) -> Ends:
        """What is essential at the ends of an axis of a box."""
        return Ends(f"{axis}-" in self.fixed, f"{axis}+" in self.fixed, periodic)


def recognise(system: System) -> Posed:
    """The form, the essential faces, the nonlinear part and the normalisation of a system.

    Raises `MethodError` if the equation or a condition does not fit.
    """
    operator = _Operator(system)
    fixed, stiffness = boundary(system, operator.coefficients)
    normalisation = normalised(system)
    nonlinear = operator.nonlinear(normalisation)
    return Posed(Form(operator.coefficients, stiffness), fixed, nonlinear, normalisation)


class _Operator:
    """P, V, w and the nonlinear part of the equation."""

    def __init__(self, system: System):
        self.system = system
        axes, (residual,) = system.axes, system.equations
        symbols = {s.term.orders: s for s in residual.expression.atoms(TermSymbol)}
        expression, energy = residual.expression, system.problem.eigenvalues[0]
        self.field = symbols.get((0,) * len(axes))
        rest: Any = expression.xreplace({s: sp.S.Zero for o, s in symbols.items() if any(o)})
        weight = self._weight(rest, energy)
        force: Any = rest.subs(energy, 0)
        slope = force.diff(self.field)
        self.linear = not slope.has(self.field)
        potential = slope if self.linear else slope.subs(self.field, 0)
        second, first = self._derivatives(expression, symbols, energy)
        drift = [
            b - sum(a.diff(x) for a, x in zip(row, system.problem.coordinates, strict=True))
            for b, row in zip(first, second, strict=True)
        ]
        flat = [*(a for row in second for a in row), *drift, potential, weight, force]
        self.table = Table(system, flat, f"Eigen: '{system.problem.name}'")
        self.force, self.potential = force, potential
        self.edges = [_edges(system, axis) for axis in axes]
        self._probe()

    def _weight(self, rest: sp.Expr, energy: sp.Symbol) -> sp.Expr:
        """w of the right side E w u."""
        wanted = f"the eigenvalue '{energy}' must appear once, as {energy} w(x) u. Rewrite it so."
        if self.field is None:
            raise refuse(self.system, wanted)
        weight = -rest.diff(energy).diff(self.field)
        exact = sp.expand(rest.diff(energy) + weight * self.field) == 0
        if weight.has(energy) or weight.has(self.field) or not exact or weight == 0:
            raise refuse(self.system, wanted)
        return weight

    def _derivatives(
        self, expression: sp.Expr, symbols: dict[tuple[int, ...], TermSymbol], energy: sp.Symbol
    ) -> tuple[list[list[Any]], list[Any]]:
        """a_ij, symmetric, and b_i."""
        dim = len(self.system.axes)
        second: list[list[Any]] = [[sp.S.Zero] * dim for _ in range(dim)]
        first: list[Any] = [sp.S.Zero] * dim
        for orders, symbol in symbols.items():
            if not any(orders):
                continue
            factor = expression.diff(symbol)
            if factor.has(energy):
                raise refuse(
                    self.system,
                    f"the eigenvalue '{energy}' multiplies {symbol}; it must appear once, as "
                    f"{energy} w(x) u. Rewrite it so.",
                )
            if factor.atoms(TermSymbol):
                raise refuse(
                    self.system,
                    f"the coefficient of {symbol} depends on the unknown. Only terms without "
                    "derivatives may be nonlinear; use PINN() for others.",
                )
            along = [i for i, order in enumerate(orders) for _ in range(order)]
            if len(along) == 1:
                first[along[0]] += factor
            else:
                i, j = along
                second[i][j] += factor / 2
                second[j][i] += factor / 2
        return second, first

    def _probe(self) -> None:
        """Signs, sources and self-adjointness, at points spread over the domain."""
        system = self.system
        points = system.domain.interior.sample(PROBES, 0)
        a, drift, _, _, force = self._raw(points)
        if np.abs(force).max() > 0.0:
            raise refuse(
                system,
                "the equation has a source term. Remove it, or solve with LeastSquares() for a "
                "given eigenvalue.",
            )
        self.sign = -1.0 if a[0, 0, 0] > 0 else 1.0
        size = np.abs(a).max() / np.diff(list(system.domain.bounds.values()))[:, 0].min()
        self.divergence_form = bool(np.abs(drift).max() <= CLOSE * size)
        if not self.divergence_form:
            self._require_gradient(points)

    def _require_gradient(self, points: np.ndarray) -> None:
        dim = len(self.system.axes)
        here = self._log_factor(points, list(range(dim)), 48)
        there = self._log_factor(points, list(reversed(range(dim))), 48)
        coarse = self._log_factor(points, list(range(dim)), 32)
        size = 1.0 + np.abs(here).max()
        if not np.abs(here - coarse).max() <= 1e-9 * size:
            raise refuse(
                self.system,
                "its integrating factor is not smooth enough to be integrated. Write the equation "
                "in divergence form, -(p u')' + V u = E w u.",
            )
        if not np.abs(here - there).max() <= 1e-8 * size:
            raise refuse(
                self.system,
                "its operator is not self-adjoint: no factor brings the first derivatives into "
                "the form -div(P grad u). Drop them, or find levels with other software.",
            )

    def _raw(self, points: np.ndarray) -> tuple[np.ndarray, ...]:
        """a (Q, d, d), b - div a (Q, d), V, w, f(x, 0), each (Q,)."""
        dim, found = len(self.system.axes), self.table(points)
        a = found[: dim * dim].T.reshape(-1, dim, dim)
        return a, found[dim * dim : dim * dim + dim].T, *found[dim * dim + dim :]

    def factor(self, points: np.ndarray) -> np.ndarray:
        """mu (Q,), of the sign that makes P positive."""
        if self.divergence_form:
            return np.full(len(points), self.sign)
        order = list(range(len(self.system.axes)))
        return self.sign * np.exp(self._log_factor(points, order, 48))

    def _log_factor(self, points: np.ndarray, order: list[int], count: int) -> np.ndarray:
        """log mu by Gauss rules along axis-parallel legs from the centre, cut at jumps."""
        xi, weights = gauss(count)
        corner = np.array([0.5 * (e[0] + e[-1]) for e in self.edges])
        corner = np.broadcast_to(corner, points.shape).copy()
        total = np.zeros(len(points))
        for axis in order:
            start, end = corner[:, axis].copy(), points[:, axis]
            for low, high in zip(self.edges[axis], self.edges[axis][1:], strict=False):
                a, b = np.clip(start, low, high), np.clip(end, low, high)
                if (a == b).all():
                    continue
                places = np.repeat(corner, count, axis=0)
                places[:, axis] = (0.5 * (a + b)[:, None] + 0.5 * (b - a)[:, None] * xi).ravel()
                tensor, drift, *_ = self._raw(places)
                slope = np.linalg.solve(tensor, drift[:, :, None])[:, axis, 0]
                total += 0.5 * (b - a) * (slope.reshape(-1, count) @ weights)
            corner[:, axis] = end
        return total

    def coefficients(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        a, _, potential, weight, _ = self._raw(points)
        mu = self.factor(points)
        return -mu[:, None, None] * a, mu * potential, mu * weight

    def nonlinear(self, normalisation: Normalisation | None) -> Nonlinear | None:
        if self.linear:
            return None
        if normalisation is None:
            raise refuse(
                self.system,
                "it is nonlinear, so levels depend on the size of the state. Add its "
                "normalisation, for example Integral(u**2, 1).",
            )
        rest = sp.expand(self.force - self.potential * self.field)
        g = sp.cancel(rest / self.field) if rest.is_polynomial(self.field) else rest / self.field
        table = Table(self.system, [g, rest.diff(self.field)], "Eigen: the nonlinear term")
        points = self.system.domain.interior.sample(PROBES, 0)
        weight = self.coefficients(points)[2]
        ratio = normalisation.weight(points) / weight
        if not np.ptp(ratio) <= 1e-10 * np.abs(ratio).max():
            raise refuse(
                self.system,
                "its normalisation weighs u^2 otherwise than the eigenvalue does, so the state "
                "is no minimum of an energy. Use one weight in both.",
            )

        def response(places: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            found = table(places, u=u) * self.factor(places)
            return found[0], found[1]

        return Nonlinear(response, normalisation.size / float(ratio.mean()))


def _edges(system: System, axis: str) -> tuple[float, ...]:
    low, high = system.domain.bounds[axis]
    inside = [x for x in system.traits.breakpoints.get(axis, ()) if low < x < high]
    return (low, *inside, high)


def edges(system: System) -> tuple[tuple[float, ...], ...]:
    """Bounds and the jumps of the coefficients between them, per axis."""
    return tuple(_edges(system, axis) for axis in system.axes)
