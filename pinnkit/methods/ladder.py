"""Bases of growing size on a given layout."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from pinnkit.compile import System
from pinnkit.experts.assembly import Lineariser
from pinnkit.experts.bases import Basis
from pinnkit.experts.cut import meeting
from pinnkit.experts.families import Tried
from pinnkit.experts.layout import Layout
from pinnkit.experts.march import March, Marcher
from pinnkit.experts.means import Size
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.slab import Machine
from pinnkit.methods.base import Progress, Run
from pinnkit.methods.rungs import Boxed

DEFAULT_WORK = 60.0
"""Without a budget, the ladder of bases ends where its work would pass this, in predicted seconds.

Predicted from sizes, not measured, so that a run does not depend on what else the machine does.
"""

LONGEST_SECONDS = 180.0
"""Without a budget, marches with slabs of automatic length end here."""

LARGEST = 4000
"""Most unknowns of one slab that are tried without being asked for."""

FLOOR = 2e-13


class Ladder:
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
        self.rungs: list[Boxed] = []

    def climb(self, following: Callable[[list[Tried]], Basis | None]) -> Ladder:
        basis = following([])
        while basis is not None:
            self.attempt(basis)
            if self.settled():
                break
            tried = [Tried(r.basis, r.march.coefficients, r.march.held) for r in self.rungs]
            basis = following(tried)
            if basis is not None and not self._affordable(basis):
                break
        if not self._complete():
            finest = self.rungs[-1].basis
            self.rungs.append(self._try(finest, abandon=False))
        return self

    def attempt(self, basis: Basis) -> None:
        """One more rung; given up where the experts do not resolve space."""
        self.rungs.append(self._try(basis, abandon=True))

    def guess(self) -> Mixture | None:
        """The best rung of a steady problem so far, to start from."""
        settled = [r for r in self.rungs if not r.unsettled]
        return min(settled, key=lambda r: r.held).mixture(self.system) if settled else None

    def size(self, basis: Basis) -> Size:
        """What one solve with that basis is predicted to cost."""
        boxes = self.layout.boxes(self.system.axes, self.system.domain.bounds)
        boxes = meeting(self.system.domain, boxes)
        return Machine(self.system, basis, self.linearisers).size(boxes)

    def _complete(self) -> list[Boxed]:
        """Rungs whose march reached the end of time."""
        return [r for r in self.rungs if not r.march.stopped]

    def settled(self) -> bool:
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
        last, size = self.rungs[-1], self.size(basis)
        if size.experts * size.unknowns > LARGEST * max(1, size.experts) ** 0.5:
            return False
        if self.run.seconds is None:
            slabs = len(last.march.slabs)
            done = sum(self.size(r.basis).seconds * len(r.march.slabs) for r in self.rungs)
            return done + slabs * size.seconds <= DEFAULT_WORK
        growth = (basis.size / last.basis.size) ** 2.5
        return max(last.seconds * growth, size.seconds) <= self.run.remaining

    def _try(self, basis: Basis, abandon: bool) -> Boxed:
        started = time.monotonic()
        machine = Machine(self.system, basis, self.linearisers)
        marcher = Marcher(machine, self.layout, self._stop, self._report(basis))
        march = self._march(marcher, abandon)
        return Boxed(march, basis, time.monotonic() - started)

    def _march(self, marcher: Marcher, abandon: bool) -> March:
        if self.system.time is None:
            return March((marcher.slab(None, None, None, self.guess()),), "")
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
