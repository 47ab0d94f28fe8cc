"""From slab to slab of time (a steady problem is one slab), each solved by Newton's method."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pinnkit.experts.cut import meeting
from pinnkit.experts.layout import Boxes, Layout
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.slab import Machine, Slab

SHORTEST_SLAB = 1.0 / 1024.0
FIRST_NONLINEAR = 0.1
USEFUL = 0.5


def _factor(wanted: float, found: float) -> float:
    """By what to change a slab's length: the residual falls like its eighth power or faster."""
    return float(np.clip(0.8 * (wanted / max(found, 1e-300)) ** 0.125, 0.3, 2.5))


@dataclass(frozen=True)
class March:
    """Slabs in order of time. `stopped` says in words why the march ended early, else "".

    The first `rough` ones hold a singular first instant or what it leaves: equations are not
    balanced there.
    """

    slabs: tuple[Slab, ...]
    stopped: str
    rough: int = 0

    @property
    def held(self) -> float:
        """The largest held-out residual, relative to the fields' size in the slab with most."""
        most = max((s.size for s in self.slabs), default=0.0)
        shares = (s.size / most if most > 0.0 and s.newton.converged else 1.0 for s in self.slabs)
        return max((s.held * f for s, f in zip(self.slabs, shares, strict=True)), default=np.inf)

    @property
    def imbalance(self) -> tuple[float, str]:
        return max((s.imbalance for s in self.slabs[self.rough :]), default=(np.inf, ""))

    @property
    def converged(self) -> bool:
        return not self.stopped and all(s.newton.converged for s in self.slabs)

    @property
    def coefficients(self) -> np.ndarray:
        """(all experts of all slabs, fields, n)."""
        return np.concatenate([s.coefficients for s in self.slabs])

    @property
    def boxes(self) -> Boxes:
        return Boxes(
            np.concatenate([s.boxes.lower for s in self.slabs]),
            np.concatenate([s.boxes.upper for s in self.slabs]),
        )

    def edges(self, axis: int) -> tuple[float, ...]:
        """Slab edges along the time axis."""
        starts = [float(s.boxes.lower[:, axis].min()) for s in self.slabs]
        return (*starts, float(self.slabs[-1].boxes.upper[:, axis].max()))


@dataclass(frozen=True)
class Marcher:
    """A march through time on a given layout."""

    machine: Machine
    layout: Layout
    interrupted: Callable[[], bool]
    report: Callable[[int, float, float], None]

    def given(self, edges: tuple[float, ...]) -> March:
        """March over slabs with given edges."""
        slabs: list[Slab] = []
        for number, (start, end) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            if self.interrupted():
                return March(tuple(slabs), "interrupted, or out of time")
            slabs.append(self.slab(start, end, slabs[-1] if slabs else None))
            self.report(number + 1, end, slabs[-1].held)
        return March(tuple(slabs), "")

    def automatic(self, tolerance: float, abandon: bool) -> March:
        """March with slabs as long as the held-out residual allows.

        A slab above `tolerance` is shortened while that helps; where it does not, space limits the
        accuracy: the march is abandoned if `abandon`, else goes on at the accuracy reached.
        """
        low, high = self.machine.system.domain.bounds[str(self.machine.system.time)]
        slabs: list[Slab] = []
        now, accepted = low, tolerance
        length = (high - low) * (1.0 if self.machine.system.traits.linear else FIRST_NONLINEAR)
        while now < high:
            slab = self._shortened(now, length, high, slabs[-1] if slabs else None, accepted)
            if self.interrupted():
                return March((*slabs, slab), "interrupted, or out of time")
            if slab.held > accepted:
                if abandon or slab.held >= 1.0:
                    return March((*slabs, slab), "the experts do not resolve space")
                accepted = 2.0 * slab.held
            slabs.append(slab)
            now = self._end(slab)
            length = (now - self._start(slab)) * _factor(accepted, slab.held)
            self.report(len(slabs), now, slab.held)
        return March(tuple(slabs), "")

    @property
    def _time(self) -> int:
        return self.machine.system.axes.index(str(self.machine.system.time))

    def _start(self, slab: Slab) -> float:
        return float(slab.boxes.lower[:, self._time].min())

    def _end(self, slab: Slab) -> float:
        return float(slab.boxes.upper[:, self._time].max())

    def _shortened(
        self, start: float, length: float, high: float, before: Slab | None, accepted: float
    ) -> Slab:
        """The longest of ever shorter slabs that is accepted, else the best one."""
        shortest = SHORTEST_SLAB * (
            high - self.machine.system.domain.bounds[str(self.machine.system.time)][0]
        )
        best, useless = None, 0
        while best is None or (best.held > accepted and length > shortest and useless < 2):
            end = high if start + 1.2 * length >= high else start + length
            tried = self.slab(start, end, before)
            if best is not None:
                helped = tried.held < USEFUL * best.held or not tried.newton.converged
                useless = 0 if helped else useless + 1
            if best is None or tried.held < best.held:
                best = tried
            length = (end - start) * _factor(accepted, tried.held)
            if self.interrupted():
                break
        return best

    def slab(
        self,
        start: float | None,
        end: float | None,
        before: Slab | None,
        guess: Mixture | None = None,
    ) -> Slab:
        """Solve one slab, from the end profile of the one `before`."""
        system, bounds = self.machine.system, dict(self.machine.system.domain.bounds)
        if start is not None and end is not None:
            bounds[str(system.time)] = (start, end)
        boxes = meeting(system.domain, self.layout.boxes(system.axes, bounds))
        return self.machine.solve(boxes, before, guess)
