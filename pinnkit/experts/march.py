"""From slab to slab of time (a steady problem is one slab), each solved by Newton's method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pinnkit.compile import System
from pinnkit.experts.assembly import Collocation, Linear, Lineariser, collocate, held_out
from pinnkit.experts.bases import Basis
from pinnkit.experts.layout import Boxes, Layout
from pinnkit.experts.newton import Newton, newton
from pinnkit.experts.solvers import ridge_solve, solve_blocks
from pinnkit.spec.condition import Kind

SHORTEST_SLAB = 1.0 / 1024.0
FIT_RIDGE = 1e-10
FIRST_NONLINEAR = 0.1
USEFUL = 0.5


def _factor(wanted: float, found: float) -> float:
    """By what to change a slab's length: the residual falls like its eighth power or faster."""
    return float(np.clip(0.8 * (wanted / max(found, 1e-300)) ** 0.125, 0.3, 2.5))


@dataclass(frozen=True)
class Slab:
    """One solved slab. `held` is the residual at points between the collocation points, relative
    to the size of the fields; `rank` the numerical rank, -1 where not revealed."""

    boxes: Boxes
    coefficients: np.ndarray
    newton: Newton
    held: float
    rank: int
    solver: str


@dataclass(frozen=True)
class March:
    """Slabs in order of time. `stopped` says in words why the march ended early, else ""."""

    slabs: tuple[Slab, ...]
    stopped: str

    @property
    def held(self) -> float:
        return max((s.held for s in self.slabs), default=np.inf)

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
    """A system on a layout with one basis: tables are computed once and used for every slab."""

    system: System
    layout: Layout
    basis: Basis
    rows: Collocation
    check: Collocation
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
        low, high = self.system.domain.bounds[str(self.system.time)]
        slabs: list[Slab] = []
        now, accepted = low, tolerance
        length = (high - low) * (1.0 if self.system.traits.linear else FIRST_NONLINEAR)
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

    def _start(self, slab: Slab) -> float:
        return float(slab.boxes.lower[:, self.system.axes.index(str(self.system.time))].min())

    def _end(self, slab: Slab) -> float:
        return float(slab.boxes.upper[:, self.system.axes.index(str(self.system.time))].max())

    def _shortened(
        self, start: float, length: float, high: float, before: Slab | None, accepted: float
    ) -> Slab:
        """The longest of ever shorter slabs that is accepted, else the best one."""
        shortest = SHORTEST_SLAB * (high - self.system.domain.bounds[str(self.system.time)][0])
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

    def slab(self, start: float | None, end: float | None, before: Slab | None) -> Slab:
        """Solve one slab, from the end profile of the one `before`."""
        bounds = dict(self.system.domain.bounds)
        if start is not None and end is not None:
            bounds[str(self.system.time)] = (start, end)
        boxes = self.layout.boxes(self.system.axes, bounds)
        rows, check = self.rows.moved(boxes), self.check.moved(boxes)
        known = None if before is None else (before.coefficients, before.boxes)
        last: list = []

        def solve(linear: Linear) -> np.ndarray:
            solved = solve_blocks(linear.rows, [rows.width] * boxes.count)
            last[:] = [solved]
            shape = (boxes.count, len(self.system.fields), self.basis.size)
            return np.stack(solved.coefficients).reshape(shape)

        linear = self.system.traits.linear
        shape = (boxes.count, len(self.system.fields), self.basis.size)
        start_at = np.zeros(shape) if linear else self.guess(rows, known)
        found = newton(lambda c: rows.linear(c, known), solve, rows.values, start_at, linear)
        size = float(np.sqrt(np.mean(rows.values(found.coefficients) ** 2)))
        held = check.linear(found.coefficients, known).norm / (size if size > 1e-100 else 1.0)
        held = held if found.converged else max(held, 1.0)
        return Slab(boxes, found.coefficients, found, held, last[0].rank, last[0].solver)

    def guess(self, rows: Collocation, before: tuple[np.ndarray, Boxes] | None) -> np.ndarray:
        """The initial or last profile, constant in time; zero for steady problems."""
        system, points = self.system, rows.sites[0].points
        wanted = np.zeros((len(points.owner), len(system.fields)))
        zero = (0,) * rows.boxes.dim
        if before is not None:
            local = points.local.copy()
            local[:, system.axes.index(str(system.time))] = 1.0
            features = self.basis.features(local, zero)
            wanted = np.einsum("pn,pfn->pf", features, before[0][points.owner])
        elif system.time is not None:
            z = {a: points.physical[:, i] for i, a in enumerate(system.axes)}
            z[system.time] = np.full(len(points.owner), system.domain.bounds[system.time][0])
            for r in system.residuals:
                if r.kind is Kind.INITIAL and r.target and r.data and r.target.order == 0:
                    wanted[:, system.fields.index(r.target.field)] = r.data(z, system.parameters)
        result = np.zeros((rows.boxes.count, len(system.fields), self.basis.size))
        if not wanted.any():
            return result
        table = self.basis.features(points.local, zero)
        for k in range(rows.boxes.count):
            own = points.owner == k
            for f in range(len(system.fields)):
                result[k, f] = ridge_solve(table[own], wanted[own, f], FIT_RIDGE)
        return result


def marcher(
    system: System,
    layout: Layout,
    basis: Basis,
    linearisers: Mapping[str, Lineariser],
    interrupted: Callable[[], bool],
    report: Callable[[int, float, float], None],
) -> Marcher:
    """Choose collocation and held-out points for a basis, on the whole domain's boxes."""
    boxes = layout.boxes(system.axes, system.domain.bounds)
    rows = collocate(system, basis, boxes, linearisers)
    check = held_out(system, basis, boxes, linearisers)
    return Marcher(system, layout, basis, rows, check, interrupted, report)
