"""Layouts and bases found on the way: least squares with nothing prescribed but a tolerance."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pinnkit.compile import System
from pinnkit.experts.adaptive import Adaptive, expert_tails
from pinnkit.experts.assembly import Lineariser
from pinnkit.experts.bases import Basis
from pinnkit.experts.cut import meeting
from pinnkit.experts.families import Chebyshev, Family, Shape, Tried
from pinnkit.experts.gauge import gauge
from pinnkit.experts.layout import Boxes, Layout
from pinnkit.experts.march import March
from pinnkit.experts.means import Means
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.periodic import solve_periodic, suits
from pinnkit.experts.slab import Machine
from pinnkit.methods.base import Progress, Run
from pinnkit.methods.ladder import Ladder
from pinnkit.methods.rungs import USABLE, Boxed, Periodic, Rung

WORK = 120.0
"""Without a budget, predicted seconds that may be spent; predicted, so that runs are repeatable."""

MEMORY = 6e9
LEAST_TAIL = 1e-12
GIVE_UP = 5
"""Resolutions of a steady problem at which Newton's method may wander before no more are tried."""

COARSER = 100.0
MOST_DEGREE = {1: 24, 2: 18, 3: 10}
SPLIT_DEGREE = {1: 16, 2: 16, 3: 8}


def degree_for(tolerance: float, axes: int) -> int:
    """A degree at which an expert of sensible size is resolved to `tolerance`.

    Measured on Burgers: 9 for 1e-6, 13 for 1e-9; beyond the cap of three axes halving is cheaper.
    """
    wanted = int(np.ceil(1.0 - 4.0 / 3.0 * np.log10(tolerance)))
    return max(6, min(wanted, MOST_DEGREE.get(axes, 7)))


@dataclass(frozen=True)
class Automatic:
    """Everything that a run without a prescribed layout needs."""

    system: System
    family: Family
    layout: Layout
    seed: int
    linearisers: Mapping[str, Lineariser]
    tolerance: float
    run: Run

    def rungs(self) -> Sequence[Rung]:
        """The resolutions that were tried."""
        if self.system.time is None:
            return self._steady()
        if not isinstance(self.family, Chebyshev):
            return self._marches()
        if suits(self.system) is None:
            return self._periodic_marches()
        enriched = self._enriched() if len(self.system.domain.space_axes) > 1 else None
        return enriched or self._marches()

    def _periodic_marches(self) -> list[Rung]:
        """Fourier in space, where every axis of space is periodic."""
        tell = self._report("Fourier modes")
        found = solve_periodic(self.system, self.linearisers, self.tolerance, self._stop, tell)
        return [Periodic(m) for m in (found.coarse, found.fine) if m is not None]

    def _enriched(self) -> list[Boxed] | None:
        """One expert of growing degree, where halving in several axes would cost more."""
        ladder = self._ladder()
        family, shape = Chebyshev(), Shape(len(self.system.axes), self._periodic())
        ladder.climb(lambda tried: family.following(tried, shape))
        best = [r for r in ladder.rungs if not r.march.stopped and r.march.held <= USABLE]
        return ladder.rungs if best or self._stop() else None

    def _ladder(self) -> Ladder:
        return Ladder(self.system, self.layout, self.linearisers, None, self.tolerance, self.run)

    def _periodic(self) -> tuple[int, ...]:
        """Periodic axes that the coarsest layout does not divide."""
        root = self._root()
        names = self.system.traits.periodic
        whole = [len(np.unique(root.lower[:, i])) == 1 for i in range(root.dim)]
        return tuple(i for i, a in enumerate(self.system.axes) if a in names and whole[i])

    def _marches(self) -> list[Boxed]:
        """Two marches, the coarse one for the error estimate (and in case the time runs out)."""
        found: list[Boxed] = []
        means = self._means()
        for tolerance in (min(COARSER * self.tolerance, 1e-2), self.tolerance):
            degree = degree_for(tolerance, len(self.system.axes))
            while found and self._basis(degree).size <= found[-1].basis.size:
                degree += 1
            rung = self._timed(lambda d=degree, t=tolerance: self._adaptive(d, t, means).march())
            if rung.march.stopped and found:
                return found if self.run.interrupted() else [*found, rung]
            found.append(rung)
            if rung.march.stopped or not self._time_for_finer(found[-1], degree):
                break
        return found

    def _time_for_finer(self, coarse: Boxed, degree: int) -> bool:
        finer = self._basis(degree_for(self.tolerance, len(self.system.axes)))
        growth = (finer.size / coarse.basis.size) ** 2.5
        return self.run.remaining > coarse.seconds * growth

    def _steady(self) -> list[Boxed]:
        """Enrich one expert or halve many, whichever step is cheaper, until one resolves."""
        means, family = self._means(), Chebyshev()
        ladder = self._ladder()
        shape = Shape(len(self.system.axes), self._periodic())
        split = self._adaptive(SPLIT_DEGREE.get(len(self.system.axes), 6), self.tolerance, means)
        boxes: Boxes | None = split.root
        while True:
            rungs = [r for r in ladder.rungs if r.basis is not split.machine.basis]
            tried = [Tried(r.basis, r.march.coefficients, r.march.held) for r in rungs]
            basis = family.following(tried, shape)
            enrich = ladder.size(basis) if basis is not None else None
            halve = split.machine.size(boxes) if boxes is not None else None
            options = [s for s in (enrich, halve) if s is not None and means.affords(s)]
            failed = len(ladder.rungs) >= GIVE_UP and all(r.wandered for r in ladder.rungs)
            if not options or self._over(ladder) or failed:
                return ladder.rungs
            if basis and enrich and enrich is min(options, key=lambda s: s.seconds):
                ladder.attempt(basis)
                means.charge(enrich, ladder.rungs[-1].march.slabs[0].newton.iterations)
                if ladder.settled():
                    return ladder.rungs
            elif boxes is not None:
                split, boxes, done = self._halve(split, boxes, ladder.rungs, ladder.guess())
                if done:
                    return ladder.rungs

    def _over(self, ladder: Ladder) -> bool:
        return bool(ladder.rungs) and (self.run.interrupted() or self.run.remaining <= 0)

    def _halve(
        self, split: Adaptive, boxes: Boxes, rungs: list[Boxed], guess: Mixture | None
    ) -> tuple[Adaptive, Boxes | None, bool]:
        """Solve on `boxes`; what to try next, boxes None for nothing, and whether it is resolved.

        Where small tails leave a residual above the tolerance (the problem is ill-conditioned),
        smaller tails are asked for.
        """
        basis = split.machine.basis
        rung = self._timed(lambda: March((split.solve(boxes, None, guess),), ""), basis)
        rungs.append(rung)
        slab = rung.march.slabs[0]
        if not slab.newton.converged:
            tails = np.ones((boxes.count, boxes.dim))
        else:
            tails = expert_tails(split.gauge, slab.coefficients)
        finer, unresolved, why = split.refined(boxes, tails)
        if not unresolved and slab.held > self.tolerance and tails.max() > LEAST_TAIL:
            split = replace(split, tolerance=0.1 * float(tails.max()))
            finer, unresolved, why = split.refined(boxes, tails)
        return split, (None if why else finer), not unresolved

    def _adaptive(self, degree: int, tolerance: float, means: Means) -> Adaptive:
        basis = self._basis(degree)
        machine = Machine(self.system, basis, self.linearisers)
        root = self._root()
        return Adaptive(
            machine,
            gauge(basis, root.dim),
            root,
            tolerance,
            means,
            self._stop,
            self._report(f"{basis.size} features per expert"),
        )

    def _root(self) -> Boxes:
        """The coarsest layout, without boxes outside the domain."""
        boxes = self.layout.boxes(self.system.axes, self.system.domain.bounds)
        return meeting(self.system.domain, boxes)

    def _basis(self, degree: int) -> Basis:
        return self.family.resolving(degree, Shape(len(self.system.axes), seed=self.seed))

    def _means(self) -> Means:
        return Means(WORK if self.run.seconds is None else np.inf, MEMORY)

    def _timed(self, march: Callable[[], March], basis: Basis | None = None) -> Boxed:
        started = time.monotonic()
        found = march()
        basis = basis or found.slabs[0].mixture.basis
        return Boxed(found, basis, time.monotonic() - started)

    def _stop(self) -> bool:
        return self.run.interrupted() or self.run.remaining <= 0

    def _report(self, what: str) -> Callable[[int, float, float], None]:
        def tell(step: int, now: float, held: float) -> None:
            stage = f"{what}, t = {now:.4g}" if self.system.time else what
            self.run.report(Progress(stage, step, None, {"held-out": held}, self.run.elapsed))

        return tell
