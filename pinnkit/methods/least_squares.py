"""Least squares on a mixture of experts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import numpy as np
import sympy as sp

from pinnkit.compile import System
from pinnkit.compile.terms import TermSymbol
from pinnkit.derivatives.basis import linearise
from pinnkit.errors import OptionError
from pinnkit.experts.assembly import Lineariser
from pinnkit.experts.bases import Basis
from pinnkit.experts.families import Chebyshev, Family, Fixed, Shape, Tried
from pinnkit.experts.layout import Boxes, Graded, Layout, Single, check_edges
from pinnkit.experts.march import March, Marcher
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.slab import Machine
from pinnkit.experts.solvers import one_blas_thread, predicted_seconds
from pinnkit.experts.wellposed import require_determined
from pinnkit.methods.base import Method, Progress, Run
from pinnkit.solution import Evaluator, Solution, Status

DEFAULT_WORK = 60.0
"""Without a budget, the ladder of bases ends where its work would pass this, in predicted seconds.

Predicted from sizes, not measured, so that a run does not depend on what else the machine does.
"""

LONGEST_SECONDS = 180.0
"""Without a budget, marches with slabs of automatic length end here."""

LARGEST = 4000
"""Most unknowns of one slab that are tried without being asked for."""

USABLE = 1e-3
SAMPLES = 2048
FLOOR = 2e-13


class Experts(Evaluator):
    """A mixture of experts as the values of a solution."""

    mixture: Mixture

    def __call__(self, points: jax.Array) -> jax.Array:
        return self.mixture(points)


class LeastSquares(Method):
    """Coefficients that satisfy equations and conditions in the least-squares sense.

    Each expert, a box of `layout`, holds u = sum_j c_j phi_j. Rows are the compiled residuals at
    Gauss points, all conditions, and C^0 ... C^(m-1) between experts for an equation of order m;
    they are scaled to the units of the fields and solved by orthogonal factorisations. Nonlinear
    problems are solved by Newton's method, time-dependent ones in slabs of time.

    - `basis`: `Chebyshev()` (default), `Sine()`, `Tanh()`, or a basis.
    - `layout`: `Single()`, `Blocks(x=4)`, `Graded(x=(-1, 0, 0.1, 1))`; default: one expert, split
      where piecewise data jump.
    - `slabs`: a number, or edges in time; default: chosen while marching by held-out residuals.
    - `features`: number per expert; default: a ladder of growing bases, until the residual at
      points between the collocation points, relative to the fields, is below `tolerance`.

    Every solution carries an error estimate: the difference between its two finest bases, or the
    held-out residual where that is larger.
    """

    basis: Family | Basis = Chebyshev()
    layout: Layout | None = None
    slabs: int | tuple[float, ...] | None = None
    features: int | None = None
    tolerance: float = 1e-9

    def __check_init__(self) -> None:
        if not (0.0 < self.tolerance < 1.0):
            raise OptionError(f"tolerance={self.tolerance} is out of range. Give 0 < number < 1.")
        if self.features is not None and self.features < 2:
            raise OptionError(f"features={self.features} is too few. Give at least 2.")
        if isinstance(self.slabs, int) and self.slabs < 1:
            raise OptionError(f"slabs={self.slabs} is too few. Give 1 or more, or edges.")

    def supports(self, system: System) -> str | None:
        if system.traits.eigen:
            return "it has an unknown eigenvalue; use Eigen()"
        if system.traits.family:
            return "it has input functions; fix them, or use Operator(...)"
        if system.time is None and self.slabs is not None:
            return "slabs were given, but it has no time axis"
        if _leading_coefficient_jumps(system):
            return "the coefficient of a highest derivative jumps, which collocation cannot see"
        return None

    def run(self, system: System, run: Run) -> Solution:
        layout = self.layout or _default_layout(system)
        edges = self._edges(system)
        linearisers = {r.name: linearise(r) for r in system.residuals}
        require_determined(system, linearisers)
        boxes = layout.boxes(system.axes, system.domain.bounds)
        seed = int(jax.random.randint(run.key, (), 0, 2**31 - 1))
        shape = Shape(boxes.dim, _periodic_axes(system, boxes), seed)
        ladder = _Ladder(system, layout, linearisers, edges, self.tolerance, run)
        with one_blas_thread():
            return ladder.climb(self._following(shape)).solution(self)

    def _following(self, shape: Shape) -> Callable[[list[Tried]], Basis | None]:
        family = self.basis if isinstance(self.basis, Family) else Fixed(self.basis)
        if self.features is None or isinstance(family, Fixed):
            return lambda tried: family.following(tried, shape)
        sizes = (max(int(0.7 * self.features), 2), self.features)
        return lambda t: family.sized(sizes[len(t)], shape) if len(t) < len(sizes) else None

    def _edges(self, system: System) -> tuple[float, ...] | None:
        if system.time is None or self.slabs is None:
            return None
        bounds = system.domain.bounds[system.time]
        if isinstance(self.slabs, int):
            return tuple(np.linspace(*bounds, self.slabs + 1).tolist())
        return check_edges("slabs", self.slabs, bounds)


@dataclass(frozen=True)
class Rung:
    """One basis and the march with it."""

    march: March
    basis: Basis
    seconds: float


class _Ladder:
    """Bases of growing size on one layout, until one resolves the problem."""

    def __init__(
        self,
        system: System,
        layout: Layout,
        linearisers: Mapping[str, Lineariser],
        edges: tuple[float, ...] | None,
        tolerance: float,
        run: Run,
    ) -> None:
        self.system, self.layout, self.linearisers = system, layout, linearisers
        self.edges, self.tolerance, self.run = edges, tolerance, run
        self.rungs: list[Rung] = []

    def climb(self, following: Callable[[list[Tried]], Basis | None]) -> _Ladder:
        basis = following([])
        while basis is not None:
            self.rungs.append(self._try(basis, abandon=True))
            if self._settled():
                break
            tried = [Tried(r.basis, r.march.coefficients, r.march.held) for r in self.rungs]
            basis = following(tried)
            if basis is not None and not self._affordable(basis):
                break
        if not self._complete():
            finest = self.rungs[-1].basis
            self.rungs.append(self._try(finest, abandon=False))
        return self

    def _complete(self) -> list[Rung]:
        """Rungs whose march reached the end of time."""
        return [r for r in self.rungs if not r.march.stopped]

    def _settled(self) -> bool:
        """Two rungs done and the last one good enough, or no better than the one before."""
        if self.run.interrupted() or self.run.remaining <= 0:
            return True
        done = self._complete()
        if len({r.basis.size for r in done}) < 2:
            return False
        last, before = done[-1].march, done[-2].march
        resolved = last.converged and last.held <= self.tolerance
        at_floor = min(last.held, before.held) <= FLOOR
        worse = [r.march.held for r in done[-3:]]
        stagnated = len(worse) == 3 and min(worse[1:]) > 0.5 * worse[0] and worse[0] < 1e-6
        return resolved or at_floor or stagnated

    def _affordable(self, basis: Basis) -> bool:
        last = self.rungs[-1]
        experts = last.march.slabs[-1].boxes.count
        unknowns = experts * basis.size * len(self.system.fields)
        if unknowns > LARGEST * max(1, experts) ** 0.5:
            return False
        if self.run.seconds is None:
            slabs = len(last.march.slabs)
            done = sum(self._work(r.basis, experts) * len(r.march.slabs) for r in self.rungs)
            return done + slabs * self._work(basis, experts) <= DEFAULT_WORK
        growth = (basis.size / last.basis.size) ** 2.5
        return max(last.seconds * growth, self._work(basis, experts)) <= self.run.remaining

    def _work(self, basis: Basis, experts: int) -> float:
        """Predicted seconds of one solve."""
        sizes = [basis.size * len(self.system.fields)] * experts
        return predicted_seconds(2 * basis.size, sizes)

    def _try(self, basis: Basis, abandon: bool) -> Rung:
        started = time.monotonic()
        machine = Machine(self.system, basis, self.linearisers)
        marcher = Marcher(machine, self.layout, self._stop, self._report(basis))
        march = self._march(marcher, abandon)
        return Rung(march, basis, time.monotonic() - started)

    def _march(self, marcher: Marcher, abandon: bool) -> March:
        if self.system.time is None:
            return March((marcher.slab(None, None, None),), "")
        if self.edges is not None:
            return marcher.given(self.edges)
        return marcher.automatic(self.tolerance, abandon)

    def _stop(self) -> bool:
        """Whether to end a march; without a budget, only marches with given slabs go on."""
        free = self.edges is None and self.run.seconds is None
        late = self.run.remaining <= 0 or (free and self.run.elapsed > LONGEST_SECONDS)
        return self.run.interrupted() or (bool(self.rungs) and late)

    def _report(self, basis: Basis) -> Callable[[int, float, float], None]:
        def tell(step: int, now: float, held: float) -> None:
            stage = f"{basis.size} features"
            self.run.report(Progress(stage, step, None, {"held-out": held}, self.run.elapsed))

        return tell

    def solution(self, method: LeastSquares) -> Solution:
        complete = self._complete() or self.rungs
        best = min(complete, key=lambda r: r.march.held)
        others = [r for r in complete if r.basis.size != best.basis.size]
        mixture = _mixture(self.system, best)
        estimate = None
        if others:
            nearest = min(others, key=lambda r: r.march.held)
            difference = _difference(self.system, mixture, _mixture(self.system, nearest))
            estimate = {name: max(e, best.march.held) for name, e in difference.items()}
        return Solution(
            self.system.problem,
            Experts(mixture),
            method.name,
            self._status(best, estimate),
            history=self._history(),
            stats=self._stats(best),
            error_estimate=estimate,
        )

    def _status(self, best: Rung, estimate: Mapping[str, float] | None) -> Status:
        march = best.march
        what = f"held-out residual {march.held:.1e} with {best.basis.size} features per expert"
        interrupted = self.run.interrupted()
        if march.stopped:
            return Status(False, f"{march.stopped}; {what}", interrupted)
        unsettled = [s.newton.reason for s in march.slabs if not s.newton.converged]
        if unsettled:
            mend = "refine the layout where the solution is steep, or shorten the slabs"
            return Status(False, f"{unsettled[0]}; {what}: {mend}", interrupted)
        error = max((estimate or {"": 0.0}).values())
        if not (march.held <= USABLE and error <= 0.1):
            mend = "not resolved, or the conditions contradict each other; refine the layout"
            return Status(False, f"{what}: {mend}", interrupted)
        if march.held <= self.tolerance:
            return Status(True, f"converged: {what}", interrupted)
        return Status(
            True, f"{what}; the tolerance {self.tolerance:.0e} was not reached", interrupted
        )

    def _history(self) -> dict[str, np.ndarray]:
        return {
            "step": np.arange(len(self.rungs)),
            "wall_s": np.cumsum([r.seconds for r in self.rungs]),
            "features": np.array([r.basis.size for r in self.rungs], dtype=float),
            "held_out": np.array([r.march.held for r in self.rungs]),
        }

    def _stats(self, best: Rung) -> dict[str, float | int | str]:
        slabs = best.march.slabs
        stats: dict[str, float | int | str] = {
            "experts": slabs[-1].boxes.count,
            "slabs": len(slabs),
            "features": best.basis.size,
            "unknowns": int(slabs[-1].coefficients.size),
            "held_out_residual": best.march.held,
            "newton_iterations": max(s.newton.iterations for s in slabs),
            "largest_coefficient": float(np.abs(best.march.coefficients).max()),
            "solver": slabs[-1].solver,
        }
        if slabs[-1].rank >= 0:
            stats["rank"] = slabs[-1].rank
        return stats


def _mixture(system: System, rung: Rung) -> Mixture:
    boxes = rung.march.boxes
    return Mixture(rung.basis, boxes.lower, boxes.upper, rung.march.coefficients, system.fields)


def _difference(system: System, fine: Mixture, coarse: Mixture) -> dict[str, float]:
    """Relative L2 difference by field, on points spread over the domain."""
    points = system.domain.region("interior").sample(SAMPLES, 0)
    a, b = fine.on_host(points), coarse.on_host(points)
    size = np.maximum(np.linalg.norm(a, axis=0), 1e-300)
    error = np.linalg.norm(a - b, axis=0) / size
    return {name: float(e) for name, e in zip(system.fields, error, strict=True)}


def _default_layout(system: System) -> Layout:
    edges = {}
    for axis in system.axes:
        low, high = system.domain.bounds[axis]
        inside = [p for p in system.traits.breakpoints.get(axis, ()) if low < p < high]
        if inside and axis != system.time:
            edges[axis] = (low, *inside, high)
    return Graded(**edges) if edges else Single()


def _periodic_axes(system: System, boxes: Boxes) -> tuple[int, ...]:
    """Periodic axes along which one box spans the whole period."""
    return tuple(
        i
        for i, axis in enumerate(system.axes)
        if axis in system.traits.periodic and len(np.unique(boxes.lower[:, i])) == 1
    )


def _leading_coefficient_jumps(system: System) -> bool:
    for residual in system.equations:
        highest = max((t.order for t in residual.plan.terms), default=0)
        for symbol in residual.expression.atoms(TermSymbol):
            if symbol.term.order == highest > 0:
                slope = residual.expression.diff(symbol)
                if slope.has(sp.Piecewise, sp.Heaviside, sp.sign):
                    return True
    return False
