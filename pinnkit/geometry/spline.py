"""Smooth curves through given places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.interpolate import BSpline, PPoly, make_interp_spline

from pinnkit.errors import GeometryError
from pinnkit.geometry.curves import Curve
from pinnkit.geometry.sampling import gauss_unit

DEGREE = 5
PER_KNOT = 4
"""Places tried between two knots when the nearest point is looked for."""

PASSES = 3
"""How often places are moved to the arc lengths of the spline through them.

By lengths of chords alone a spline of any degree is only of fourth order.
"""


@dataclass(frozen=True, eq=False)
class Spline(Curve):
    """The points `spline`(p) for p from `begin` to `end`, backwards if that is less."""

    spline: BSpline
    begin: float
    end: float

    @classmethod
    def through(cls, places: np.ndarray, closed: bool = False) -> tuple[Spline, np.ndarray]:
        """Through `places` (n, 2), n >= 3, in order, and the parameters s (n,) at which they are.

        A `closed` curve ends at the first place once more, as smoothly as anywhere else.
        """
        nodes = np.concatenate([places, places[:1]]) if closed else places
        p = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(nodes, axis=0), axis=1))])
        degree, ends = min(DEGREE, len(places) - 1), "periodic" if closed else None
        s, weights = gauss_unit(8)
        for _ in range(PASSES):
            slope = make_interp_spline(p, nodes, degree, bc_type=ends).derivative()
            steps = np.diff(p)
            speed = np.linalg.norm(slope(p[:-1, None] + steps[:, None] * s), axis=2)
            p = np.concatenate([[0.0], np.cumsum(steps * (speed @ weights))])
        spline = make_interp_spline(p, nodes, degree, bc_type=ends)
        return cls((), spline, 0.0, float(p[-1])), p[: len(places)] / p[-1]

    @property
    def span(self) -> float:
        return self.end - self.begin

    @property
    def closed(self) -> bool:
        first, last = self.at(np.array([0.0, 1.0]))
        return bool(np.linalg.norm(last - first) < 1e-9 * self.length)

    def at(self, s: np.ndarray) -> np.ndarray:
        return self.spline(self.begin + self.span * s)

    def velocity(self, s: np.ndarray) -> np.ndarray:
        return self.span * self.spline(self.begin + self.span * s, 1)

    def acceleration(self, s: np.ndarray) -> np.ndarray:
        return self.span**2 * self.spline(self.begin + self.span * s, 2)

    def part(self, start: float, stop: float) -> Spline:
        begin, end = self.begin + self.span * start, self.begin + self.span * stop
        return replace(self, begin=begin, end=end)

    def turned(self) -> Spline:
        return replace(self, begin=self.end, end=self.begin)

    @cached_property
    def _knots(self) -> np.ndarray:
        """Parameters s of the knots, ends included."""
        s = (np.unique(self.spline.t) - self.begin) / self.span
        return np.unique(np.concatenate([[0.0, 1.0], s[(s > 0.0) & (s < 1.0)]]))

    @cached_property
    def _rule(self) -> tuple[np.ndarray, np.ndarray]:
        """Gauss's rule between all knots."""
        nodes, weights = gauss_unit(8)
        steps = np.diff(self._knots)
        places = self._knots[:-1, None] + steps[:, None] * nodes
        return places.ravel(), np.outer(steps, weights).ravel()

    @cached_property
    def length(self) -> float:
        s, weights = self._rule
        return float(np.linalg.norm(self.velocity(s), axis=1) @ weights)

    @cached_property
    def turn(self) -> float:
        s, weights = self._rule
        v, a = self.velocity(s), self.acceleration(s)
        rate = (v[:, 0] * a[:, 1] - v[:, 1] * a[:, 0]) / np.sum(v * v, axis=1)
        return float(np.abs(rate) @ weights)

    def area(self) -> float:
        s, weights = self._rule
        x, v = self.at(s), self.velocity(s)
        return 0.5 * float((x[:, 0] * v[:, 1] - x[:, 1] * v[:, 0]) @ weights)

    def nearest(self, points: np.ndarray) -> np.ndarray:
        return self._foot(points, PER_KNOT * len(self._knots))

    def crossings(self, axis: int, value: float) -> np.ndarray:
        return self._roots(self._coordinate(axis), value)

    def extrema(self, axis: int) -> np.ndarray:
        s = self._roots(self._coordinate(axis).derivative(), 0.0)
        return s[(s > 0.0) & (s < 1.0)]

    def _coordinate(self, axis: int) -> PPoly:
        alone = BSpline(self.spline.t, self.spline.c[:, axis], self.spline.k)
        return PPoly.from_spline(alone)

    def _roots(self, coordinate: PPoly, value: float) -> np.ndarray:
        """Parameters in [0, 1] at which a polynomial in p takes a value it does not keep."""
        found = coordinate.solve(value, extrapolate=False)
        s = (found[np.isfinite(found)] - self.begin) / self.span
        return s[(s >= 0.0) & (s <= 1.0)]

    def across(self, y: np.ndarray) -> np.ndarray:
        low, high = np.zeros_like(y), np.ones_like(y)
        rising = float(np.diff(self.at(np.array([0.0, 1.0]))[:, 1])[0]) > 0.0
        for _ in range(52):
            middle = 0.5 * (low + high)
            below = (self.at(middle)[:, 1] < y) == rising
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return self.at(0.5 * (low + high))[:, 0]

    @property
    def levels(self) -> tuple[float, float]:
        ends = np.array([0.0, 1.0])
        v, heights = self.velocity(ends), self.at(ends)[:, 1]
        level = np.abs(v[:, 1]) < 1e-6 * np.linalg.norm(v, axis=1)
        order = np.argsort(heights)
        low, high = (float(heights[k]) if level[k] else None for k in order)
        return -np.inf if low is None else low, np.inf if high is None else high

    def _proper_meetings(self, other: Curve) -> np.ndarray:
        raise GeometryError(
            "a boundary that a mesh outlines cannot be cut or joined; mesh the whole domain"
        )
