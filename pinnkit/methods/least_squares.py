"""Least squares on a mixture of experts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
import sympy as sp

from pinnkit.compile import System
from pinnkit.compile.terms import TermSymbol
from pinnkit.derivatives.basis import linearise
from pinnkit.errors import OptionError
from pinnkit.experts.bases import Basis
from pinnkit.experts.cut import footprint
from pinnkit.experts.enriched import with_singular
from pinnkit.experts.families import Chebyshev, Family, Fixed, Shape, Sine, Tried
from pinnkit.experts.layout import Boxes, Graded, Layout, Single, check_edges
from pinnkit.experts.solvers import one_blas_thread
from pinnkit.experts.wellposed import require_determined
from pinnkit.geometry import outlined
from pinnkit.geometry.mesh_domain import Outline
from pinnkit.methods.automatic import Automatic
from pinnkit.methods.base import Method, Run
from pinnkit.methods.ladder import Ladder
from pinnkit.methods.rungs import Outcome
from pinnkit.solution import Solution


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

    On a triangle mesh, conditions hold on the smooth curves that its boundary nodes outline
    (`MeshDomain.outline`), which are much nearer to a curved boundary than its edges.
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
        ground = outlined(system.domain)
        solution = self._run(system.on(ground), run)
        found = footprint(ground)
        if found is not None and isinstance(found.plane, Outline):
            stats = {**solution.stats, "boundary": found.plane.describe()}
            solution = dataclasses.replace(solution, stats=stats)
        return dataclasses.replace(solution, problem=system.problem)

    def _run(self, system: System, run: Run) -> Solution:
        layout = self.layout or _default_layout(system)
        edges = self._edges(system)
        linearisers = {r.name: linearise(r) for r in system.residuals}
        require_determined(system, linearisers)
        boxes = layout.boxes(system.axes, system.domain.bounds)
        seed = int(jax.random.randint(run.key, (), 0, 2**31 - 1))
        shape = Shape(boxes.dim, _periodic_axes(system, boxes), seed)
        family = self.basis if isinstance(self.basis, Family) else Fixed(self.basis)
        enriched = with_singular(system, boxes, family)
        with one_blas_thread():
            if self._automatic(system) and enriched is family:
                automatic = Automatic(
                    system, family, layout, seed, linearisers, self.tolerance, run
                )
                found = automatic.rungs()
            else:
                ladder = Ladder(system, layout, linearisers, edges, self.tolerance, run)
                found = ladder.climb(self._following(enriched, shape)).rungs
            return Outcome(system, found, self.tolerance, run, linearisers).solution(self.name)

    def _automatic(self, system: System) -> bool:
        """Whether layout and size are free; steady problems of random features take one expert."""
        free = self.layout is None and self.slabs is None and self.features is None
        if isinstance(self.basis, Chebyshev):
            return free and self.basis.degree is None
        marching = isinstance(self.basis, Sine) and self.basis.features is None
        return free and marching and system.time is not None

    def _following(self, family: Family, shape: Shape) -> Callable[[list[Tried]], Basis | None]:
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
