"""Levels and modes of linear eigenvalue problems by Rayleigh-Ritz."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pinnkit.compile import Residual, System
from pinnkit.compile.terms import Term
from pinnkit.derivatives.basis import linearise
from pinnkit.errors import MethodError, OptionError
from pinnkit.experts.families import Chebyshev, Family, Shape
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.ritz import End, Levels, SturmLiouville, rayleigh_ritz
from pinnkit.methods.base import Method, Progress, Run
from pinnkit.methods.least_squares import Experts
from pinnkit.solution import Solution, Status
from pinnkit.spec.condition import Kind

MOST_FEATURES = 200
CLOSE = 1e-9


class Eigen(Method):
    """The lowest `levels` of -(p u')' + V u = E w u on an interval.

    The form is found from the compiled equation, which must be linear in the field and in the
    eigenvalue; an equation that is not in divergence form gets its integrating factor. One expert
    stands between consecutive jumps of the coefficients. Features grow until all levels change by
    less than `tolerance`, relative to the level.

    The solution's fields are the modes, named "u[0]", "u[1]", ... after the field, with
    int w u^2 = 1 and the first lobe positive. Its `stats` hold the levels, "E[0]", "E[1]", ...
    after the eigenvalue, and "E[0] error", ..., the differences between the last two resolutions.

    Source of the form: Courant and Hilbert, Methods of Mathematical Physics I, chapter VI.
    """

    levels: int = 4
    basis: Family = Chebyshev()
    tolerance: float = 1e-11

    def __check_init__(self) -> None:
        if self.levels < 1:
            raise OptionError(f"levels={self.levels} is too few. Ask for at least one level.")
        if not (0.0 < self.tolerance < 1.0):
            raise OptionError(f"tolerance={self.tolerance} is out of range. Give 0 < number < 1.")

    def supports(self, system: System) -> str | None:
        if len(system.eigenvalues) != 1:
            return f"it has {len(system.eigenvalues)} eigenvalues, and one is needed"
        if len(system.axes) != 1 or system.time is not None:
            return f"it has the axes {', '.join(system.axes)}, and one space axis is needed"
        if len(system.fields) != 1 or len(system.equations) != 1:
            return "it has several fields or equations"
        if not system.traits.linear:
            return "it is not linear in the field"
        if system.traits.order[system.fields[0], system.axes[0]] != 2:
            return "it is not of second order"
        others = {Kind.INTEGRAL, Kind.OBSERVED, Kind.INITIAL}
        if any(r.kind in others for r in system.conditions):
            return "it has conditions other than boundary conditions; modes are normalised anyway"
        return None

    def run(self, system: System, run: Run) -> Solution:
        form = recognise(system)
        seed_free = Shape(1)
        found: list[tuple[Levels, Mixture]] = []
        started, sizes, times = time.monotonic(), [], []
        size = max(12, 2 * self.levels)
        while True:
            basis = self.basis.sized(size, seed_free)
            levels = rayleigh_ritz(form, basis, self.levels)
            names = tuple(f"{system.fields[0]}[{i}]" for i in range(self.levels))
            mixture = Mixture(
                basis, levels.boxes.lower, levels.boxes.upper, levels.coefficients, names
            )
            found.append((levels, mixture))
            sizes.append(basis.size)
            times.append(time.monotonic() - started)
            change = _changes(found)
            run.report(Progress(f"{basis.size} features", len(found), None, {}, run.elapsed))
            enough = len(found) > 1 and float(change.max()) <= self.tolerance
            out = size > MOST_FEATURES or run.interrupted() or run.remaining <= 0
            if len(found) > 1 and (enough or out):
                break
            size = int(1.4 * size) + 1
        return self._solution(system, run, found, change, np.array(sizes, float), np.array(times))

    def _solution(
        self,
        system: System,
        run: Run,
        found: list[tuple[Levels, Mixture]],
        change: np.ndarray,
        sizes: np.ndarray,
        times: np.ndarray,
    ) -> Solution:
        levels, mixture = found[-1]
        name = system.eigenvalues[0]
        stats: dict[str, float | int | str] = {"experts": levels.boxes.count}
        stats["features"] = int(sizes[-1])
        for i, value in enumerate(levels.values):
            stats[f"{name}[{i}]"] = float(value)
            stats[f"{name}[{i}] error"] = float(change[i] * max(abs(value), 1e-300))
        worst = float(change.max())
        ok = worst <= max(self.tolerance, 1e-6)
        reason = f"levels changed by {worst:.1e} (relative) at {int(sizes[-1])} features per expert"
        if worst > self.tolerance:
            reason += f", the tolerance {self.tolerance:.0e} was not reached"
        history = {"step": np.arange(len(sizes)), "wall_s": times, "features": sizes}
        for i in range(self.levels):
            history[f"{name}[{i}]"] = np.array([entry[0].values[i] for entry in found])
        return Solution(
            system.problem,
            Experts(mixture),
            self.name,
            Status(ok, reason, run.interrupted()),
            mixture.names,
            history,
            stats,
            _mode_errors(system, mixture, found[-2][1]),
        )


def _changes(found: list[tuple[Levels, Mixture]]) -> np.ndarray:
    """Relative change of each level; against the spacing where a level is near zero."""
    last = found[-1][0].values
    if len(found) < 2:
        return np.full(len(last), np.inf)
    size = np.maximum(np.abs(last), 1e-3 * np.abs(last).max())
    return np.abs(last - found[-2][0].values) / size


def _mode_errors(system: System, fine: Mixture, coarse: Mixture) -> dict[str, float]:
    low, high = system.domain.bounds[system.axes[0]]
    points = np.linspace(low, high, 2001)[:, None]
    a, b = fine.on_host(points), coarse.on_host(points)
    error = np.linalg.norm(a - b, axis=0) / np.linalg.norm(a, axis=0)
    return {name: float(e) for name, e in zip(fine.names, error, strict=True)}


@dataclass(frozen=True)
class _Equation:
    """a2 u'' + a1 u' + a0 u = E b0 u, evaluated at points."""

    system: System
    slopes: Callable

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """(a2, a1, a0, b0), each (P,)."""
        at0, at1, at2 = (self._at(x, energy) for energy in (0.0, 1.0, 2.0))
        for order in (0, 1, 2):
            bend = np.abs(at2[order] - 2.0 * at1[order] + at0[order]).max()
            moves = np.abs(at1[order] - at0[order]).max()
            if bend > CLOSE * (1.0 + np.abs(at0[order]).max()) or (order and moves > 0.0):
                raise MethodError(
                    f"Eigen cannot solve '{self.system.problem.name}': the eigenvalue "
                    f"'{self.system.eigenvalues[0]}' must appear once, as E w(x) u. Rewrite it so."
                )
        return at0[2], at0[1], at0[0], at0[0] - at1[0]

    def _at(self, x: np.ndarray, energy: float) -> list[np.ndarray]:
        system = self.system
        (residual,) = system.equations
        params = {**system.parameters, system.eigenvalues[0]: energy}
        values = {t: np.zeros_like(x) for t in residual.plan.terms}
        constant, slopes = self.slopes(values, {system.axes[0]: x}, params)
        if np.abs(constant).max() > 0.0:
            raise MethodError(
                f"Eigen cannot solve '{system.problem.name}': the equation has a source term. "
                "Remove it, or solve with LeastSquares() for a given eigenvalue."
            )
        by_order: Mapping[int, np.ndarray] = {t.order: s for t, s in slopes.items()}
        return [by_order.get(order, np.zeros_like(x)) for order in (0, 1, 2)]


def recognise(system: System) -> SturmLiouville:
    """The Sturm-Liouville form of a compiled eigenvalue problem.

    a2 u'' + a1 u' + a0 u = E b0 u is multiplied by mu = exp(int (a1 - a2')/a2), which is 1 in
    divergence form; then p = -mu a2, V = mu a0, w = mu b0, all with the sign that makes p positive.
    Raises `MethodError` if the equation or a boundary condition does not fit.
    """
    axis = system.axes[0]
    low, high = system.domain.bounds[axis]
    inside = [x for x in system.traits.breakpoints.get(axis, ()) if low < x < high]
    edges = (low, *inside, high)
    equation = _Equation(system, linearise(system.equations[0]))
    pieces = [_IntegratingFactor.on(equation, a, b) for a, b in zip(edges, edges[1:], strict=False)]
    offsets = np.concatenate([[0.0], np.cumsum([p.total for p in pieces])])

    def coefficients(k: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        a2, _, a0, b0 = equation(x)
        mu = -np.sign(a2[0]) * np.exp(offsets[k] + pieces[k](x))
        return -mu * a2, mu * a0, mu * b0

    ends = [_end(system, coefficients, edges, side) for side in (0, 1)]
    return SturmLiouville(edges, coefficients, ends[0], ends[1])


@dataclass(frozen=True)
class _IntegratingFactor:
    """The antiderivative of (a1 - a2')/a2 on one piece, zero at its lower end."""

    antiderivative: np.polynomial.Polynomial | np.polynomial.Legendre
    start: float
    total: float

    @classmethod
    def on(cls, equation: _Equation, low: float, high: float) -> _IntegratingFactor:
        nodes = np.polynomial.legendre.leggauss(60)[0]
        x = 0.5 * (low + high) + 0.5 * (high - low) * nodes
        a2, a1, _, _ = equation(x)
        fitted = np.polynomial.Legendre.fit(x, a2, 59, domain=[low, high])
        rest = a1 - fitted.deriv()(x)
        if np.abs(rest).max() <= CLOSE * (np.abs(a1).max() + np.abs(a2).max() / (high - low)):
            return cls(np.polynomial.Polynomial([0.0]), low, 0.0)
        integral = np.polynomial.Legendre.fit(x, rest / a2, 59, domain=[low, high]).integ()
        return cls(integral, low, float(integral(high) - integral(low)))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.antiderivative(x) - self.antiderivative(self.start)


def _end(system: System, coefficients: Callable, edges: tuple[float, ...], side: int) -> End:
    """The condition at the lower (0) or upper (1) end; natural where there is none."""
    axis = system.axes[0]
    if axis in system.traits.periodic:
        return End(False, periodic=True)
    name, value = f"{axis}{'-+'[side]}", edges[0 if side == 0 else -1]
    for residual in system.conditions:
        if name in residual.regions or "boundary" in residual.regions:
            return _boundary(system, residual, coefficients, len(edges) - 2, value, side)
    return End(False)


def _boundary(
    system: System, residual: Residual, coefficients: Callable, last: int, at: float, side: int
) -> End:
    axis, sign = system.axes[0], 2.0 * side - 1.0
    z = {axis: np.array([at]), f"n_{axis}": np.array([sign])}
    values: dict[Term, np.ndarray] = {t: np.zeros(1) for t in residual.plan.terms}
    params = {**system.parameters, system.eigenvalues[0]: 0.0}
    constant, slopes = linearise(residual)(values, z, params)
    if constant[0] != 0.0 or any(t.order > 1 for t in slopes):
        raise MethodError(
            f"Eigen: condition '{residual.name}' must be homogeneous and of order 0 or 1, such as "
            f"Dirichlet({system.fields[0]}, 0), Neumann or Robin with value 0. Change it."
        )
    by_order = {t.order: float(s[0]) for t, s in slopes.items()}
    normal = by_order.get(1, 0.0)
    if normal == 0.0:
        return End(True)
    p = float(coefficients(last if side else 0, np.array([at]))[0][0])
    return End(False, sign * p * by_order.get(0, 0.0) / normal)
