"""Spectral collocation of steady problems on boxes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from pinnkit import precision
from pinnkit.compile import System
from pinnkit.derivatives import GridProvider
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods.base import Method, Progress, Run
from pinnkit.methods.collocation import Collocation
from pinnkit.methods.faces import Compiled, common_refusal
from pinnkit.methods.gridfield import GridField
from pinnkit.solution import Solution, Status

POINTS = {1: (17, 33, 65, 129, 257, 513), 2: (11, 15, 21, 27, 35, 45, 57), 3: (8, 11, 14, 17)}
MOST_UNKNOWNS = 4000
GOOD_ENOUGH = 1e-2


class Steady(Method):
    """Collocation at Chebyshev (between walls) and Fourier (periodic) nodes.

    All compiled residuals are enforced at the nodes, Dirichlet values exactly. With as many rows
    as unknowns the system is solved by LU, with more (pressure without boundary condition,
    integral conditions, corners) by least squares; nonlinear systems by Newton's method with
    damping and, where it fails, continuation in the strength of the nonlinear part. The grid is
    refined until two successive solutions differ by less than `rtol` (relative L2), and that
    difference is the error estimate.

    - `points`: upper limit of the points along each axis; None for as many as it takes.

    Raises `OptionError` for options out of range.
    """

    points: int | None = eqx.field(default=None, static=True)
    rtol: float = eqx.field(default=1e-8, static=True)

    def __check_init__(self) -> None:
        if self.points is not None and self.points < 6:
            raise OptionError(f"Steady(points={self.points}) is too coarse. Give at least 6.")
        if not 0 < self.rtol < 1:
            raise OptionError(f"Steady(rtol={self.rtol}) is out of range. Give one in (0, 1).")

    def supports(self, system: System) -> str | None:
        reason = common_refusal(system)
        if reason is not None:
            return reason
        if system.time is not None:
            return "it evolves in time (try Lines)"
        if any(system.traits.breakpoints.values()):
            return "its coefficients jump, which one spectral grid cannot follow"
        try:
            with precision.scope("float64"):
                Collocation(system, dict.fromkeys(system.axes, 6), {})
        except MethodError as error:
            return str(error)
        return None

    def run(self, system: System, run: Run) -> Solution:
        with precision.scope("float64"):
            found, errors, reason = self._refine(system, run)
        best, data, _ = found[-1]
        dtype = jnp.float32 if run.precision == "float32" else jnp.float64
        worst = max(errors[-1].values()) if errors else math.inf
        stats = {f"points {axis.name}": axis.n for axis in best.grid}
        stats |= {"unknowns": best.count, "rows": best.equations_count, "wall_s": run.elapsed}
        return Solution(
            system.problem,
            GridField(jnp.asarray(data, dtype), best.grid),
            self.name,
            Status(worst < GOOD_ENOUGH, reason, run.interrupted()),
            history={
                "step": np.arange(1, len(errors) + 1),
                "wall_s": np.array([seconds for _, _, seconds in found[1:]]),
                "error_estimate": np.array([max(e.values()) for e in errors]),
            },
            stats=stats,
            error_estimate=errors[-1] if errors else None,
            precision=run.precision,
        )

    def _sizes(self, system: System) -> list[int]:
        sizes = list(POINTS[len(system.axes)])
        if self.points is None:
            return sizes
        return [n for n in sizes if n < 0.8 * self.points] + [self.points]

    def _refine(self, system: System, run: Run):
        """Solve on ever finer grids: (collocation, data, wall time) of each, and differences."""
        found: list[tuple[Collocation, np.ndarray, float]] = []
        errors: list[Mapping[str, float]] = []
        last_seconds, failed = 0.0, ""
        compiled = {r: Compiled(r, system.parameters) for r in system.residuals}
        for n in self._sizes(system):
            reason = _limit(run, system, n, found, last_seconds)
            if reason is not None and len(found) >= 2:
                return found, errors, f"{reason}, with an estimated error of {_worst(errors):.1e}"
            began = time.monotonic()
            problem = Collocation(system, dict.fromkeys(system.axes, n), compiled)
            fields, _, good = problem.solve(_start(problem, found))
            if not good:
                failed = f"; Newton's iterations failed with {n} points"
                continue
            found.append((problem, fields.reshape(-1, *problem.shape), run.elapsed))
            last_seconds = time.monotonic() - began
            if len(found) < 2:
                continue
            errors.append(_difference(system.fields, found[-2], found[-1]))
            run.report(Progress("refinement", n, None, {}, run.elapsed, _worst(errors)))
            if _worst(errors) <= self.rtol:
                return found, errors, f"converged: two grids agree to {_worst(errors):.1e}"
        if not found:
            raise MethodError(
                f"Steady: Newton's iterations failed for '{system.problem.name}' on every grid. "
                "Start from a milder parameter, or use another method."
            )
        return found, errors, f"stopped at the finest grid{failed}, error {_worst(errors):.1e}"


def _worst(errors: list[Mapping[str, float]]) -> float:
    return max(errors[-1].values()) if errors else math.inf


def _limit(run: Run, system: System, n: int, found, last_seconds: float) -> str | None:
    if not found:
        return None
    unknowns = len(system.fields) * n ** len(system.axes)
    expected = last_seconds * (unknowns / (found[-1][0].count)) ** 3
    if run.interrupted():
        return "interrupted"
    if unknowns > 1.4 * MOST_UNKNOWNS:
        return "stopped at the largest dense system"
    if expected > run.remaining:
        return "stopped within the time budget"
    return None


def _start(problem: Collocation, found) -> np.ndarray:
    """The last solution on the new grid, or zero."""
    if not found:
        return np.zeros(problem.known.shape)
    old, data, _ = found[-1]
    return _resampled(old, data, problem).reshape(problem.known.shape)


def _resampled(old: Collocation, data: np.ndarray, new: Collocation) -> np.ndarray:
    for i, (coarse, fine) in enumerate(zip(old.grid, new.grid, strict=True)):
        rows = coarse.interpolation_matrix(fine.nodes)
        data = np.moveaxis(np.tensordot(rows, data, (1, i + 1)), 0, i + 1)
    return data


def _difference(fields: tuple[str, ...], coarse, fine) -> dict[str, float]:
    """Relative L2 difference by field, by quadrature on the finer grid."""
    weights = GridProvider(fine[0].grid).weights()
    other = _resampled(coarse[0], coarse[1], fine[0])
    found = {}
    for c, name in enumerate(fields):
        error = np.sqrt(np.sum(weights * (other[c] - fine[1][c]) ** 2))
        found[name] = float(error / max(np.sqrt(np.sum(weights * fine[1][c] ** 2)), 1e-300))
    return found
