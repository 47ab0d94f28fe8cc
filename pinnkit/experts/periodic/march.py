"""Space-time experts for evolution on periodic axes: Fourier in space, Chebyshev in time.

In every slab of time the fields are u = sum_{k, j} c_kj exp(i k.x) T_j(t), and the equations
v' = L v + N(v, t) hold to round-off at the Fourier points and at p Radau nodes of the slab. The
linear part L, with constant coefficients, is inverted mode by mode, and v <- (D - L)^-1 N(v) is
iterated (Picard); where that contracts too slowly, the slab is shortened.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pinnkit import precision
from pinnkit.compile import System
from pinnkit.experts.assembly import Lineariser
from pinnkit.experts.periodic.mixture import TensorMixture, place_axes, real_coefficients
from pinnkit.experts.periodic.modes import cut, kept_modes, missing_initial, times_order
from pinnkit.experts.periodic.walk import SPACE_SHARE, Engine, PeriodicSlab, Walk
from pinnkit.geometry import Box
from pinnkit.spec.condition import Kind

COARSER = 30.0
"""Ratio of the tolerances of the two resolutions."""
ROUNDED = 1e-2
"""The second resolution keeps the grid of the first where its tail is so far below the limit."""


@dataclass(frozen=True)
class PeriodicMarch:
    """Slabs in order of time. `stopped` says in words why the march ended early, else ""."""

    slabs: tuple[PeriodicSlab, ...]
    stopped: str
    degree: int
    tolerance: float
    seconds: float

    @property
    def held(self) -> float:
        """Largest held-out residual of all slabs."""
        return max((s.held for s in self.slabs), default=math.inf)

    @property
    def mean_held(self) -> float:
        """Root mean square over time of the held-out residuals."""
        square = sum((s.end - s.start) * s.held**2 for s in self.slabs)
        return math.sqrt(square / (self.slabs[-1].end - self.slabs[0].start))

    @property
    def space_tail(self) -> float:
        """Largest relative size of the upper quarter of the modes."""
        return max(s.space_tail for s in self.slabs)

    @property
    def points(self) -> tuple[int, ...]:
        """Most grid points per space axis (a third of them are kept as modes of either sign)."""
        if not self.slabs:
            return ()
        return tuple(map(max, zip(*(s.points for s in self.slabs), strict=True)))

    def mixture(self, system: System) -> TensorMixture:
        """The slabs as a function of points; smaller slabs are padded with zeros."""
        space, axes = system.domain.space_axes, system.axes
        kept = kept_modes(self.points)
        coefficients = [self._coefficients(s, system, kept) for s in self.slabs]
        top = dict(zip(space, kept, strict=True))
        bounds = np.array([system.domain.bounds[a] for a in axes])
        return TensorMixture(
            np.array([self.slabs[0].start, *(s.end for s in self.slabs)]),
            bounds[:, 0],
            bounds[:, 1],
            np.stack(coefficients),
            tuple("fourier" if a in top else "chebyshev" for a in axes),
            tuple(top.get(a, self.degree) for a in axes),
            axes.index(str(system.time)),
            system.fields,
        )

    def _coefficients(
        self, slab: PeriodicSlab, system: System, kept: tuple[int, ...]
    ) -> np.ndarray:
        modes = cut(slab.modes, kept)
        real = real_coefficients(modes.reshape(-1, *modes.shape[2:]))
        shaped = real.reshape(*modes.shape[:2], *real.shape[1:])
        return place_axes(shaped, system.axes, str(system.time), len(system.fields))


@dataclass(frozen=True)
class Periodic:
    """Two resolutions, whose difference estimates the error; `fine` is the answer.

    Where the second march was not completed, `fine` is the first one, `coarse` is None and
    `stopped` says why; `fine.stopped` is empty if at least that one reached the end of time.
    """

    fine: PeriodicMarch
    coarse: PeriodicMarch | None
    stopped: str


def suits(system: System) -> str | None:
    """Why these experts do not fit the system, or None."""
    space = system.domain.space_axes
    if system.time is None or not isinstance(system.domain, Box):
        return "it is no evolution on a box"
    if not space or len(space) > 3 or set(space) - set(system.traits.periodic):
        return "not all of its space axes are periodic"
    if system.evolution is None:
        return "its equations cannot be solved for the highest time derivatives"
    if system.traits.eigen or system.traits.family:
        return "it has unknown eigenvalues or input functions"
    kinds = {r.kind for r in system.residuals}
    others = kinds - {Kind.EQUATION, Kind.INITIAL, Kind.PERIODIC}
    if others:
        return f"it has conditions of another kind ({', '.join(sorted(k.value for k in others))})"
    lacking = [f"{f} ({j} time derivatives)" for f, j in missing_initial(system)]
    if lacking:
        return f"it lacks initial values of {', '.join(lacking)}"
    return _stiff_remainder(system)


def _stiff_remainder(system: System) -> str | None:
    """A highest derivative with a coefficient that varies or depends on the fields."""
    for rate in system.evolution or ():
        highest = max((t.order - times_order(system, t) for t in rate.linear), default=0)
        for term in rate.remainder_plan.terms:
            order = term.order - times_order(system, term)
            if order > rate.order and order >= highest:
                return (
                    f"{term}, of the highest order in the equation of {rate.field}, has a "
                    "coefficient that varies or depends on the fields"
                )
    return None


def degree_for(tolerance: float) -> int:
    """Degree in time: one more per decade."""
    return int(np.clip(round(4.0 - math.log10(tolerance)), 6, 16))


def solve_periodic(
    system: System,
    linearisers: Mapping[str, Lineariser],
    tolerance: float,
    interrupted: Callable[[], bool],
    report: Callable[[int, float, float], None],
) -> Periodic:
    """March through time twice, with `COARSER` times the tolerance and with `tolerance` itself.

    `tolerance` bounds the truncation of every slab relative to the fields. `interrupted` is asked
    between slabs; `report(slab, time, held-out residual)` is told of each. `suits(system)` must
    be None.
    """
    with precision.scope("float64"):
        engine = Engine(system, linearisers, degree_for(tolerance), interrupted, report)
        ladder = engine.ladder()
        coarse = _march(engine, COARSER * tolerance, ladder[:-1], ())
        if coarse.stopped:
            return Periodic(coarse, None, coarse.stopped)
        exact = coarse.space_tail <= ROUNDED * SPACE_SHARE * tolerance
        least = tuple(n if exact else min(m for m in ladder if m > n) for n in coarse.points)
        fine = _march(engine, tolerance, ladder, least)
        if fine.stopped:
            return Periodic(coarse, None, fine.stopped)
        return Periodic(fine, coarse, "")


def _march(
    engine: Engine, tolerance: float, ladder: tuple[int, ...], least: tuple[int, ...]
) -> PeriodicMarch:
    """March on grids of the `ladder`, from `least` points on."""
    began = time.monotonic()
    walk = Walk(engine, tolerance, ladder, least)
    stopped = walk.run()
    if not walk.slabs:
        walk.hold()
    return PeriodicMarch(
        tuple(walk.slabs), stopped, engine.degree, tolerance, time.monotonic() - began
    )
