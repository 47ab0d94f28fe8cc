"""The march of the periodic experts through time: grid, length of slabs, acceptance."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pinnkit.compile import System
from pinnkit.experts.assembly import Lineariser
from pinnkit.experts.periodic.check import HeldOut
from pinnkit.experts.periodic.modes import (
    Modes,
    components,
    cut,
    fitting,
    initial_modes,
    kept_modes,
)
from pinnkit.experts.periodic.slab import SlabSolver, Solved

MOST_POINTS = {1: 6144, 2: 384, 3: 64}
FIRST_POINTS = {1: 128, 2: 32, 3: 16}
MOST_VALUES = 20_000_000
MOST_SLABS = 20_000
SHORTEST = 2.0**-22
TIME_SHARE, SPACE_SHARE = 0.1, 0.1
LARGE = 4096
"""Grids of as many points are left for smaller ones once those would do."""
FAR = 1e3
"""A spectrum as far above the limit calls for four times the points at once."""
WORST = 1e-5
"""On the largest grid a tail may grow to this, then the solution counts as not resolved."""
MANY = 30
REACH = 9.0
"""With the Picard operator bounded so, 9^m / m! falls below 1e-9 at m = 39."""
MOST_BYTES = 4e8
"""Limit of the operators of one slab, which hold (s p)^2 numbers per mode if fields couple."""


@dataclass(frozen=True)
class PeriodicSlab:
    """One slab: `modes` (p + 1, fields, ...modes) of T_j in time, and how it was found.

    `time_tail`, `space_tail`: size of the last coefficients in time and of the upper quarter of
    the modes, relative to the state. `held`: residual between the collocation points.
    """

    start: float
    end: float
    modes: np.ndarray
    points: tuple[int, ...]
    iterations: int
    time_tail: float
    space_tail: float
    held: float


class Engine:
    """Compiled slab solvers by grid, and the march with them."""

    def __init__(
        self,
        system: System,
        linearisers: Mapping[str, Lineariser],
        degree: int,
        interrupted: Callable[[], bool],
        report: Callable[[int, float, float], None],
    ) -> None:
        self.system, self.degree = system, degree
        self.interrupted, self.report = interrupted, report
        self.check = HeldOut(system, linearisers)
        initial = initial_modes(system)
        self.finite = bool(np.isfinite(initial).all())
        self.initial = initial if self.finite else np.zeros_like(initial)
        self.fields = [components(system).index((f, 0)) for f in system.fields]

        @functools.cache
        def solver(points: tuple[int, ...]) -> SlabSolver:
            return SlabSolver(Modes(system, points), degree)

        self.solver = solver

    def ladder(self) -> tuple[int, ...]:
        """Grid sizes per axis whose operators fit into memory."""
        axes, s = len(self.system.domain.space_axes), len(self.initial)
        modes = MOST_BYTES / (16.0 * s * (s * self.degree) ** 2)
        most = 3.0 * (modes / 2.0 ** (axes - 1)) ** (1.0 / axes)
        return fitting(int(min(MOST_POINTS[axes], most)))


class Walk:
    """One march: the state, the grid, the length of the next slab."""

    def __init__(
        self, engine: Engine, tolerance: float, ladder: tuple[int, ...], least: tuple[int, ...]
    ) -> None:
        self.engine, self.tolerance, self.ladder = engine, tolerance, ladder
        system = engine.system
        self.low, self.high = system.domain.bounds[str(system.time)]
        self.now, self.length = self.low, (self.high - self.low) / 16
        self.resolved = max(SPACE_SHARE * tolerance, 1e-14)
        self.slabs: list[PeriodicSlab] = []
        self.points = self._first_points(least)
        self.accepted = max(self.resolved, 1.5 * self._tail(self.points))
        self.solver = engine.solver(self.points)
        self.state = cut(engine.initial, self.solver.modes.kept)
        self.values, self.calm = 0, 0

    def _first_points(self, least: tuple[int, ...]) -> tuple[int, ...]:
        """The smallest grid on which the initial state has a short tail along every axis."""
        axes = len(self.engine.system.domain.space_axes)
        points = least or (min(FIRST_POINTS[axes], self.ladder[-1]),) * axes
        while self._tail(points) > self.resolved:
            grown = self._grown(points, _tails(cut(self.engine.initial, kept_modes(points))))
            if grown is None:
                break
            points = grown
        return points

    def _tail(self, points: tuple[int, ...]) -> float:
        return float(max(_tails(cut(self.engine.initial, kept_modes(points)))))

    def _grown(self, points: tuple[int, ...], tails: Sequence[float]) -> tuple[int, ...] | None:
        """Twice the points along the axes with the longest tail; None at the end of the ladder."""
        worst = max(tails)
        steps = 4 if self.slabs and worst > FAR * self.resolved else 2
        long = [t > max(0.1 * self.resolved, 0.03 * worst) for t in tails]
        grown = tuple(
            self._rung(n, steps) if grow else n for n, grow in zip(points, long, strict=True)
        )
        return grown if grown != points else None

    def _rung(self, n: int, steps: int) -> int:
        place = self.ladder.index(n) + steps
        return self.ladder[max(0, min(place, len(self.ladder) - 1))]

    def run(self) -> str:
        """March to the end of time; returns why it stopped early, or ""."""
        if not self.engine.finite:
            return "the initial values are not finite"
        while self.now < self.high:
            if self.slabs and self.engine.interrupted():
                return "interrupted, or out of time"
            if self.values > MOST_VALUES or len(self.slabs) >= MOST_SLABS:
                return f"too many slabs: {len(self.slabs)} reach t = {self.now:.3g}"
            if not math.isfinite(self.length):
                return f"the iteration does not converge at t = {self.now:.3g}"
            end, length = self._next()
            solved = self._solve(length)
            why = self._judge(solved, length)
            if why == "":
                self._accept(solved, end, length)
            elif why != "again":
                return why
        return ""

    def hold(self) -> None:
        """The initial state for all times, so that a march without slabs has values."""
        state = self.state[self.engine.fields]
        modes = np.zeros((self.engine.degree + 1, *state.shape), complex)
        modes[0] = state
        self.slabs.append(
            PeriodicSlab(self.low, self.high, modes, self.points, 0, 1.0, 1.0, math.inf)
        )

    def _next(self) -> tuple[float, float]:
        """End and length of the next slab; lengths are few, so that operators are used again."""
        rest, whole = self.high - self.now, self.high - self.low
        length = whole * 2.0 ** (math.floor(4.0 * math.log2(self.length / whole) + 1e-9) / 4.0)
        if rest <= 1.02 * length:
            return self.high, rest
        if rest < 2.0 * length:
            length = 0.5 * rest
        return self.now + length, length

    def _solve(self, length: float) -> Solved:
        guess = np.repeat(self.state[None], self.engine.degree, axis=0)
        precise = max(1e-13, 1e-5 * self.tolerance)
        return self.solver(self.state, guess, self.now, length, precise)

    def _judge(self, solved: Solved, length: float) -> str:
        """ "" to accept the slab, "again" to try anew, else why the march ends here."""
        at = f"at t = {self.now:.3g}"
        shortest = length <= SHORTEST * (self.high - self.low)
        limit = max(1e3 * max(1e-13, 1e-5 * self.tolerance), 1e-10)
        if not (np.isfinite(solved.end).all() and solved.change <= limit):
            self.length = self._convergent(solved, 0.5 * length)
            return f"the iteration does not converge {at}" if shortest else "again"
        tail = float(solved.space_tails.max())
        if tail > self.accepted:
            grown = self._grown(self.points, solved.space_tails.tolist())
            if grown is not None:
                self._regrid(grown)
                return "again"
            if tail > max(self.accepted, WORST):
                largest = " x ".join(map(str, self.points))
                return f"not resolved: the spectrum does not decay on {largest} points {at}"
        if solved.time_tail > self._time_target() and not shortest:
            self.length = self._convergent(solved, length * self._factor(solved))
            return "again"
        return ""

    def _time_target(self) -> float:
        """Tail in time that is allowed: where space limits the accuracy, a part of its tail."""
        return max(TIME_SHARE * self.tolerance, 0.01 * self.accepted)

    def _factor(self, solved: Solved) -> float:
        """Change of a slab's length: the tail falls like its power p."""
        wanted = 0.5 * self._time_target() / max(float(solved.time_tail), 1e-300)
        factor = wanted ** (1.0 / self.engine.degree)
        if solved.iterations > MANY:
            factor = min(factor, MANY / float(solved.iterations))
        return float(np.clip(factor, 0.2, 2.0))

    def _convergent(self, solved: Solved, length: float) -> float:
        """The length, shortened until Picard's iteration contracts soon in every mode."""
        slopes = [np.asarray(s) for s in solved.slopes]
        while self.solver.modes.reach(slopes, length, self.engine.degree) > REACH:
            length *= 0.84
        return length

    def _accept(self, solved: Solved, end: float, length: float) -> None:
        coefficients = np.asarray(solved.coefficients)
        fields = coefficients[:, self.engine.fields]
        held = self.engine.check(self.solver.modes, coefficients, self.now, length, not self.slabs)
        slab = PeriodicSlab(
            self.now,
            end,
            fields,
            self.points,
            int(solved.iterations),
            float(solved.time_tail),
            float(solved.space_tails.max()),
            held,
        )
        self.slabs.append(slab)
        self.values += fields.size
        self.state, self.now = np.asarray(solved.end), end
        self.length = self._convergent(solved, length * self._factor(solved))
        self.accepted = max(self.resolved, 1.5 * slab.space_tail)
        self._shrink()
        self.engine.report(len(self.slabs), end, held)

    def _shrink(self) -> None:
        """A much smaller grid, once that would do, where the present one is large."""
        if math.prod(self.points) < LARGE:
            return
        fewer = tuple(self._rung(n, -2) for n in self.points)
        small = max(_tails(cut(self.state, kept_modes(fewer)))) <= 0.01 * self.resolved
        self.calm = self.calm + 1 if small else 0
        if self.calm >= 3:
            self.calm = 0
            self._regrid(fewer)

    def _regrid(self, points: tuple[int, ...]) -> None:
        self.points, self.solver = points, self.engine.solver(points)
        kept = self.solver.modes.kept
        # Before the first slab the truncated modes are still known.
        self.state = cut(self.state if self.slabs else self.engine.initial, kept)


def _tails(state: np.ndarray) -> list[float]:
    """Norm of the upper quarter of the modes along each axis, relative, of the worst component."""
    square = np.abs(state) ** 2
    total = np.sqrt(square.reshape(len(state), -1).sum(axis=1))
    total = np.maximum(total, 1e-8 * total.max() + 1e-300)
    tails = []
    for axis in range(1, state.ndim):
        n, last = state.shape[axis], axis == state.ndim - 1
        top = n - 1 if last else (n - 1) // 2
        index = np.arange(n) if last else np.minimum(np.arange(n), n - np.arange(n))
        high = np.compress(index > 0.75 * top, square, axis=axis)
        tails.append(float(np.max(np.sqrt(high.reshape(len(state), -1).sum(axis=1)) / total)))
    return tails
