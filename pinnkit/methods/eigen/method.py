"""Levels and modes of eigenvalue problems by Rayleigh-Ritz."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import sympy as sp

from pinnkit.compile import System
from pinnkit.errors import MethodError, OptionError
from pinnkit.experts.families import Chebyshev, Family, Fixed, Shape
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.ritz.form import EQUAL, Levels, groups, rayleigh_ritz
from pinnkit.experts.ritz.ground import Ground, Nonlinear, ground_state
from pinnkit.experts.ritz.spaces import BoxSpace, EllipseSpace, TrialSpace, require_room
from pinnkit.experts.solvers import one_blas_thread
from pinnkit.geometry import Box
from pinnkit.geometry.csg import Ellipse
from pinnkit.methods.base import Method, Progress, Run
from pinnkit.methods.eigen.form import Posed, edges, recognise
from pinnkit.methods.rungs import Experts
from pinnkit.solution import Solution, Status
from pinnkit.spec.condition import Kind

LEVELS = 4
FIRST = {1: 12, 2: 10, 3: 10}
GROWTH = {1: 1.4, 2: 1.3, 3: 1.2}
MOST_FEATURES = 200
"""Features per expert and axis."""

MOST_UNKNOWNS = 3200
FEWEST = 4
LARGEST_FIRST = {1: 640, 2: 44, 3: 13}
USABLE = 1e-6
SAMPLES = 2048


class Eigen(Method):
    """The lowest `levels` (4) of -div(P grad u) + V u = E w u on an interval, box, disk or ellipse.

    The form is found from the compiled equation, which must be of second order, self-adjoint and
    linear in the eigenvalue; an equation outside divergence form gets its integrating factor. On
    boxes (up to three axes) experts stand between consecutive jumps of the coefficients, and the
    trial functions are products of continuous one-dimensional ones; on disks they carry a distance
    factor. Dirichlet, Neumann, Robin and periodic conditions; features grow until all levels
    change by less than `tolerance`, relative to the level.

    An equation with a nonlinear term in u, such as -u''/2 + V u + b u^3 = E u, needs a
    normalisation, `Integral(u**2, 1)`, and has one level: the ground state, the minimum of its
    energy.

    The solution's fields are the modes, named "u[0]", "u[1]", ... after the field, orthonormal in
    int w u v (or of the size that an `Integral(u**2, ...)` sets), the first lobe positive. Modes
    of equal levels are an orthonormal basis of their eigenspace, and "groups" in its `stats` lists
    them. `stats` also hold the levels, "E[0]", "E[1]", ... after the eigenvalue, and
    "E[0] error", ...: the change between the last two resolutions and on a finer quadrature.
    Levels of linear problems are upper bounds of the exact ones, up to the quadrature error
    "quadrature_change" and rounding.

    Source of the form: Courant and Hilbert, Methods of Mathematical Physics I, chapter VI.
    """

    levels: int | None = None
    basis: Family = Chebyshev()
    tolerance: float = 1e-11

    def __check_init__(self) -> None:
        if self.levels is not None and self.levels < 1:
            raise OptionError(f"levels={self.levels} is too few. Ask for at least one level.")
        if not (0.0 < self.tolerance < 1.0):
            raise OptionError(f"tolerance={self.tolerance} is out of range. Give 0 < number < 1.")
        if isinstance(self.basis, Fixed):
            raise OptionError(
                "Eigen compares two resolutions, and a fixed basis has one. Give a family: "
                "basis=Chebyshev(), Sine() or Tanh()."
            )

    def supports(self, system: System) -> str | None:
        if len(system.eigenvalues) != 1:
            return f"it has {len(system.eigenvalues)} eigenvalues, and one is needed"
        if system.time is not None:
            return f"it has the time axis {system.time}; levels belong to a steady equation"
        if not isinstance(system.domain, (Box, Ellipse)):
            return f"its domain is {system.domain}; levels are found on boxes, disks and ellipses"
        if len(system.fields) != 1 or len(system.equations) != 1:
            return "it has several fields or equations"
        if max(t.order for t in system.equations[0].plan.terms) != 2:
            return "it is not of second order"
        if system.traits.family:
            return "it has input functions; fix them"
        if any(r.kind in (Kind.OBSERVED, Kind.INITIAL) for r in system.conditions):
            return "it has observed or initial values, which levels do not take"
        if any(r.expression.has(sp.I) for r in system.residuals):
            return "it is complex; write it for the real and imaginary parts of the state"
        return self._refused_nonlinear(system)

    def _refused_nonlinear(self, system: System) -> str | None:
        if system.equations[0].linear:
            return None
        if not any(r.kind is Kind.INTEGRAL for r in system.conditions):
            return "it is not linear in the field, and has no normalisation like Integral(u**2, 1)"
        if (self.levels or 1) > 1:
            return f"it is nonlinear, so only its ground state is found, not {self.levels} levels"
        return None

    def run(self, system: System, run: Run) -> Solution:
        with one_blas_thread():
            posed = recognise(system)
            ladder = _Ladder(self, system, posed, run)
            ladder.climb()
            return ladder.solution()


@dataclass(frozen=True)
class _Rung:
    """One resolution: levels (m,), all modes found, and the change on a finer quadrature (m,)."""

    size: int
    values: np.ndarray
    mixture: Mixture
    quadrature: np.ndarray
    seconds: float
    extra: dict[str, float] = field(default_factory=dict)


class _Ladder:
    """Trial spaces of growing size, until all levels settle."""

    def __init__(self, method: Eigen, system: System, posed: Posed, run: Run):
        self.method, self.system, self.posed, self.run = method, system, posed, run
        self.count = 1 if posed.nonlinear else method.levels or LEVELS
        self.dim, self.rungs, self.scale = len(system.axes), [], 1.0
        self.started = time.monotonic()

    def climb(self) -> None:
        size = self._first()
        while True:
            space = self._space(size)
            self.rungs.append(self._rung(space))
            unknowns = space.size
            stage = f"{space.basis.size} features"
            self.run.report(Progress(stage, len(self.rungs), None, {}, self.run.elapsed))
            size = int(GROWTH[self.dim] * size) + 1
            out = size > MOST_FEATURES or unknowns * GROWTH[self.dim] ** self.dim > MOST_UNKNOWNS
            out = out or self.run.interrupted() or self.run.remaining <= 0
            if len(self.rungs) > 1 and (out or self.change().max() <= self.method.tolerance):
                return

    def _first(self) -> int:
        """Features per axis to begin with: few enough that a second resolution can follow."""
        size = max(FIRST[self.dim], int(2 * self.count ** (1 / self.dim)) + 4 * (self.dim > 1))
        size = min(size, LARGEST_FIRST[self.dim])
        most = MOST_UNKNOWNS / GROWTH[self.dim] ** self.dim
        while size > FEWEST and self._space(size).size > most:
            size = max(FEWEST, int(size / 1.2))
        space = self._space(size)
        if space.size > most:
            raise MethodError(
                f"Eigen: '{self.system.problem.name}' needs {space.boxes.count} experts, which "
                f"with {FEWEST} features per axis are {space.size} unknowns already. Give "
                "coefficients with fewer jumps."
            )
        require_room(space, self.count)
        return size

    def _space(self, size: int) -> TrialSpace:
        domain, axes = self.system.domain, self.system.axes
        if isinstance(domain, Ellipse):
            basis = self.method.basis.sized(int(0.7 * size**2), Shape(2))
            (_, x), (_, y) = domain.centre
            return EllipseSpace((x, y), domain.radii, basis, "boundary" in self.posed.fixed)
        ends = {a: self.posed.ends(a, a in self.system.traits.periodic) for a in axes}
        return BoxSpace(axes, edges(self.system), self.method.basis.sized(size, Shape(1)), ends)

    def _rung(self, space: TrialSpace) -> _Rung:
        if self.posed.nonlinear is not None:
            return self._nonlinear(space, self.posed.nonlinear)
        found: Levels = rayleigh_ritz(self.posed.form, space, self.count, self.scale)
        self.scale = found.scale
        vectors = self._normalised(space, found)
        return _Rung(
            space.basis.size,
            found.values,
            self._mixture(space, vectors),
            found.quadrature,
            time.monotonic() - self.started,
        )

    def _normalised(self, space: TrialSpace, found: Levels) -> np.ndarray:
        wanted = self.posed.normalisation
        if wanted is None:
            return found.vectors
        table = space.table(found.scale)
        squares = table.values(found.vectors) ** 2
        sizes = (table.weights * wanted.weight(table.points)) @ squares
        if not (sizes > 0).all():
            raise MethodError(
                f"Eigen cannot normalise '{self.system.problem.name}': the integral of its "
                "condition is not positive for every mode. Give a positive weight."
            )
        return found.vectors * np.sqrt(wanted.size / sizes)

    def _nonlinear(self, space: TrialSpace, nonlinear: Nonlinear) -> _Rung:
        guess = partial(_first_mode, self.rungs[-1].mixture) if self.rungs else None
        ground: Ground = ground_state(self.posed.form, nonlinear, space, guess, self.scale)
        self.scale = ground.scale
        return _Rung(
            space.basis.size,
            np.array([ground.value]),
            self._mixture(space, ground.vector[:, None]),
            np.array([ground.quadrature]),
            time.monotonic() - self.started,
            {
                "energy": ground.energy,
                "residual": ground.residual,
                "newton_iterations": ground.steps,
            },
        )

    def _mixture(self, space: TrialSpace, vectors: np.ndarray) -> Mixture:
        names = tuple(f"{self.system.fields[0]}[{i}]" for i in range(vectors.shape[1]))
        boxes = space.boxes
        return Mixture(space.basis, boxes.lower, boxes.upper, space.local(vectors), names)

    def change(self) -> np.ndarray:
        """Relative change of each level; against the spacing where a level is near zero."""
        last, before = (rung.values[: self.count] for rung in self.rungs[:-3:-1])
        moved = np.abs(last - before) + self.rungs[-1].quadrature[: self.count]
        return moved / np.maximum(np.abs(last), 1e-3 * np.abs(last).max() + 1e-300)

    def solution(self) -> Solution:
        last, change = self.rungs[-1], self.change()
        final = _first_modes(last.mixture, self.count)
        history = {
            "step": np.arange(len(self.rungs)),
            "wall_s": np.array([r.seconds for r in self.rungs]),
            "features": np.array([r.size for r in self.rungs], float),
        }
        name = self.system.eigenvalues[0]
        for i in range(self.count):
            history[f"{name}[{i}]"] = np.array([rung.values[i] for rung in self.rungs])
        return Solution(
            self.system.problem,
            Experts(final),
            self.method.name,
            self._status(change),
            final.names,
            history,
            self._stats(change),
            self._mode_errors(),
        )

    def _stats(self, change: np.ndarray) -> dict[str, float | int | str]:
        last, name = self.rungs[-1], self.system.eigenvalues[0]
        stats: dict[str, float | int | str] = {"experts": int(np.shape(last.mixture.lower)[0])}
        stats["features"] = last.size
        size = np.maximum(np.abs(last.values), 1e-3 * np.abs(last.values).max() + 1e-300)
        for i in range(self.count):
            stats[f"{name}[{i}]"] = float(last.values[i])
            stats[f"{name}[{i}] error"] = float(change[i] * size[i])
        stats["quadrature_change"] = float((last.quadrature / size)[: self.count].max())
        found = [[i for i in g if i < self.count] for g in self._groups()]
        stats["groups"] = "; ".join(" = ".join(f"{name}[{i}]" for i in g) for g in found if g)
        return {**stats, **last.extra}

    def _status(self, change: np.ndarray) -> Status:
        worst, last = float(change.max()), self.rungs[-1]
        reason = f"levels changed by {worst:.1e} (relative) at {last.size} features per expert"
        if worst > self.method.tolerance:
            reason += f", the tolerance {self.method.tolerance:.0e} was not reached"
        coarse = float((last.quadrature / np.maximum(np.abs(last.values), 1e-300)).max())
        if worst > USABLE and coarse > 0.1 * worst:
            reason += (
                "; the integrals are not resolved, so levels may lie below the exact ones: write "
                "jumps of coefficients as conditions on one coordinate, where experts are split"
            )
        ok = worst <= max(self.method.tolerance, USABLE)
        return Status(ok, reason, self.run.interrupted())

    def _groups(self) -> list[list[int]]:
        values = self.rungs[-1].values
        common = min(len(values), len(self.rungs[-2].values))
        moved = np.full(len(values), 0.0)
        moved[:common] = np.abs(values[:common] - self.rungs[-2].values[:common])
        return groups(values, EQUAL * np.abs(values).max() + np.minimum(moved, 1e-6 * abs(values)))

    def _mode_errors(self) -> dict[str, float]:
        """Relative L2 distance of each mode from the eigenspace found one resolution before."""
        points = self.system.domain.interior.sample(SAMPLES, 0)
        fine, coarse = (rung.mixture.on_host(points) for rung in self.rungs[:-3:-1])
        errors = {}
        for group in self._groups():
            span = coarse[:, [i for i in group if i < coarse.shape[1]]]
            for i in (i for i in group if i < self.count):
                rest = fine[:, i] - span @ np.linalg.lstsq(span, fine[:, i], rcond=None)[0]
                errors[f"{self.system.fields[0]}[{i}]"] = float(
                    np.linalg.norm(rest) / np.linalg.norm(fine[:, i])
                )
        return errors


def _first_modes(mixture: Mixture, count: int) -> Mixture:
    """The first `count` modes of a mixture."""
    coefficients = np.asarray(mixture.coefficients)[:, :count]
    return replace(mixture, coefficients=coefficients, names=mixture.names[:count])


def _first_mode(mixture: Mixture, points: np.ndarray) -> np.ndarray:
    return mixture.on_host(points)[:, 0]
