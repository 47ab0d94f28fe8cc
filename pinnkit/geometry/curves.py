"""Directed pieces of plane curves: segments and arcs of axis-parallel ellipses.

A curve runs over s in [0, 1] with the domain on its left, so that its outward normal is its unit
tangent turned by -90 degrees. All methods take and return arrays over N points.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy

from pinnkit.geometry.sampling import gauss_unit

FULL = 2.0 * np.pi
SAME_PLACE = 1e-7
"""Cuts of a curve closer than this fraction of it are one: a tangency splits into two by rounding.
"""


@dataclass(frozen=True)
class Curve(abc.ABC):
    """A directed smooth curve; `names` are the regions to which it belongs."""

    names: tuple[str, ...]

    @property
    def length(self) -> float:
        """Arc length."""
        return float(self._arc_length[1][-1])

    @property
    @abc.abstractmethod
    def turn(self) -> float:
        """By how much the tangent turns from begin to end, all turns counted as positive."""

    @abc.abstractmethod
    def at(self, s: np.ndarray) -> np.ndarray:
        """Points (N, 2) at the parameters s (N,)."""

    @abc.abstractmethod
    def velocity(self, s: np.ndarray) -> np.ndarray:
        """d/ds of the point, (N, 2)."""

    @abc.abstractmethod
    def part(self, start: float, stop: float) -> Curve:
        """The piece start <= s <= stop."""

    @abc.abstractmethod
    def turned(self) -> Curve:
        """The same points, run backwards."""

    @abc.abstractmethod
    def acceleration(self, s: np.ndarray) -> np.ndarray:
        """d^2/ds^2 of the point, (N, 2)."""

    @abc.abstractmethod
    def extrema(self, axis: int) -> np.ndarray:
        """Parameters inside (0, 1) at which coordinate `axis` is stationary."""

    @abc.abstractmethod
    def across(self, y: np.ndarray) -> np.ndarray:
        """First coordinate at heights y (N,) that the curve, monotone in height, takes."""

    @property
    def levels(self) -> tuple[float, float]:
        """Nearest heights below and above at which the tangent is level, infinite if there is none.

        The curve is monotone in height; its smooth continuation counts.
        """
        return -np.inf, np.inf

    @cached_property
    def _arc_length(self) -> tuple[np.ndarray, np.ndarray]:
        """Arc length up to 257 equidistant parameters, by Gauss's rule on each stretch."""
        s, weights = gauss_unit(8)
        edges = np.linspace(0.0, 1.0, 257)
        places = (edges[:-1, None] + s[None, :] / 256.0).ravel()
        v = self.velocity(places)
        parts = np.hypot(v[:, 0], v[:, 1]).reshape(256, -1) @ weights / 256.0
        return edges, np.concatenate([[0.0], np.cumsum(parts)])

    def along(self, fraction: np.ndarray) -> np.ndarray:
        """Parameters s (N,) at these fractions of the arc length."""
        edges, lengths = self._arc_length
        return np.interp(fraction * lengths[-1], lengths, edges)

    @property
    def closed(self) -> bool:
        """Whether it ends where it began."""
        return False

    def _foot(self, points: np.ndarray, tries: int) -> np.ndarray:
        """Newton's method for the foot of the perpendicular, from the best of `tries` places."""
        tried = np.linspace(0.0, 1.0, tries + 1)
        s = tried[scipy.spatial.KDTree(self.at(tried)).query(points)[1]]
        stride = 1.0 / tries
        for _ in range(8):
            gap, v = self.at(s) - points, self.velocity(s)
            slope = np.sum(v * v, axis=1) + np.sum(gap * self.acceleration(s), axis=1)
            step = np.sum(gap * v, axis=1) / np.where(slope > 0.0, slope, np.sum(v * v, axis=1))
            s = s - np.clip(step, -stride, stride)
            s = s % 1.0 if self.closed else np.clip(s, 0.0, 1.0)
        return s

    @abc.abstractmethod
    def nearest(self, points: np.ndarray) -> np.ndarray:
        """Parameters s (N,) of the nearest points of the curve."""

    @abc.abstractmethod
    def crossings(self, axis: int, value: float) -> np.ndarray:
        """Parameters at which coordinate `axis` equals `value`."""

    def meetings(self, other: Curve, near: float) -> np.ndarray:
        """Parameters at which the curve meets `other`; at least the ends of common stretches.

        A few more than there are do no harm: they only cut the curve.
        """
        ends = other.at(np.array([0.0, 1.0]))
        place = self.nearest(ends)
        touching = np.linalg.norm(self.at(place) - ends, axis=1) <= near
        return np.concatenate([place[touching], self._proper_meetings(other)])

    @abc.abstractmethod
    def _proper_meetings(self, other: Curve) -> np.ndarray:
        """Parameters at which the curve crosses `other`."""

    @abc.abstractmethod
    def area(self) -> float:
        """1/2 of the integral of x dy - y dx: the areas of a closed chain of curves add up."""

    def normal(self, s: np.ndarray) -> np.ndarray:
        """Outward unit normals (N, 2)."""
        v = self.velocity(s)
        return np.stack([v[:, 1], -v[:, 0]], axis=1) / np.hypot(v[:, 0], v[:, 1])[:, None]

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Distance of `points` (N, 2), (N,)."""
        return np.linalg.norm(points - self.at(self.nearest(points)), axis=1)

    def rule(self, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """Gauss nodes s (nodes,) and weights in arc length."""
        s, weights = gauss_unit(nodes)
        v = self.velocity(s)
        return s, weights * np.hypot(v[:, 0], v[:, 1])

    def cut(self, at: np.ndarray) -> list[Curve]:
        """The pieces between the parameters `at`."""
        inner = np.sort(at[(at > SAME_PLACE) & (at < 1.0 - SAME_PLACE)])
        if inner.size:
            inner = inner[np.concatenate([[True], np.diff(inner) > SAME_PLACE])]
        cuts = [0.0, *inner.tolist(), 1.0]
        return [self.part(a, b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


@dataclass(frozen=True)
class Segment(Curve):
    """From `start` straight to `stop`."""

    start: tuple[float, float]
    stop: tuple[float, float]

    @property
    def _step(self) -> np.ndarray:
        return np.subtract(self.stop, self.start)

    @property
    def length(self) -> float:
        return float(np.hypot(*self._step))

    @property
    def turn(self) -> float:
        return 0.0

    def acceleration(self, s: np.ndarray) -> np.ndarray:
        return np.zeros((len(s), 2))

    def extrema(self, axis: int) -> np.ndarray:
        return np.zeros(0)

    def across(self, y: np.ndarray) -> np.ndarray:
        (x0, y0), (x1, y1) = self.start, self.stop
        return x0 + (x1 - x0) * (y - y0) / (y1 - y0)

    def along(self, fraction: np.ndarray) -> np.ndarray:
        return fraction

    def at(self, s: np.ndarray) -> np.ndarray:
        # Both forms are exact at one end; constant coordinates stay what they are.
        low = np.asarray(self.start)[None, :] + s[:, None] * self._step[None, :]
        high = np.asarray(self.stop)[None, :] - (1.0 - s[:, None]) * self._step[None, :]
        return np.where(s[:, None] < 0.5, low, high)

    def velocity(self, s: np.ndarray) -> np.ndarray:
        return np.tile(self._step, (len(s), 1))

    def part(self, start: float, stop: float) -> Segment:
        ends = self.at(np.array([start, stop])).tolist()
        return replace(self, start=tuple(ends[0]), stop=tuple(ends[1]))

    def turned(self) -> Segment:
        return replace(self, start=self.stop, stop=self.start)

    def nearest(self, points: np.ndarray) -> np.ndarray:
        step = self._step
        return np.clip((points - np.asarray(self.start)) @ step / (step @ step), 0.0, 1.0)

    def crossings(self, axis: int, value: float) -> np.ndarray:
        step = float(self._step[axis])
        if step == 0.0:
            return np.zeros(0)
        s = (value - self.start[axis]) / step
        return np.array([s]) if 0.0 <= s <= 1.0 else np.zeros(0)

    def _proper_meetings(self, other: Curve) -> np.ndarray:
        if isinstance(other, Segment):
            step, across = self._step, other._step
            cross = step[0] * across[1] - step[1] * across[0]
            if abs(cross) <= 1e-12 * self.length * other.length:
                return np.zeros(0)
            gap = np.subtract(other.start, self.start)
            s = (gap[0] * across[1] - gap[1] * across[0]) / cross
            t = (gap[0] * step[1] - gap[1] * step[0]) / cross
            return np.array([s]) if 0.0 <= s <= 1.0 and 0.0 <= t <= 1.0 else np.zeros(0)
        if not isinstance(other, Arc):
            return self.nearest(other.at(other._proper_meetings(self)))
        ends = other.unit(np.array([self.start, self.stop]))
        step = ends[1] - ends[0]
        a, b, c = step @ step, ends[0] @ step, ends[0] @ ends[0] - 1.0
        root = b * b - a * c
        if root < -1e-9 * a:
            return np.zeros(0)
        s = (-b + np.sqrt(max(root, 0.0)) * np.array([-1.0, 1.0])) / a
        s = s[(s >= 0.0) & (s <= 1.0)]
        return s[other.holds(self.at(s))]

    def area(self) -> float:
        return 0.5 * (self.start[0] * self.stop[1] - self.start[1] * self.stop[0])


@dataclass(frozen=True)
class Arc(Curve):
    """(c_x + r_x cos a, c_y + r_y sin a) for a from `begin` to `end`, backwards if that is less."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    begin: float
    end: float

    @property
    def span(self) -> float:
        """Angle from begin to end, negative when clockwise."""
        return self.end - self.begin

    @property
    def closed(self) -> bool:
        return abs(self.span) > FULL * (1.0 - SAME_PLACE)

    @property
    def round(self) -> bool:
        return self.radii[0] == self.radii[1]

    def unit(self, points: np.ndarray) -> np.ndarray:
        """The points (N, 2) in the coordinates in which the ellipse is the unit circle."""
        return (points - np.asarray(self.centre)) / np.asarray(self.radii)

    def angles(self, s: np.ndarray) -> np.ndarray:
        return self.begin + self.span * s

    def place(self, angles: np.ndarray) -> np.ndarray:
        """Parameters s of the angles; outside [0, 1] where the arc does not reach them."""
        turns = np.sign(self.span) * (angles - self.begin)
        s = np.mod(turns, FULL) / abs(self.span)
        return np.where(s > 1.0 + 0.5 * (FULL / abs(self.span) - 1.0), s - FULL / abs(self.span), s)

    def holds(self, points: np.ndarray) -> np.ndarray:
        """Whether the arc reaches the angles of points of its ellipse, (N,)."""
        s = self.place(self._angle(points))
        return (s >= -SAME_PLACE) & (s <= 1.0 + SAME_PLACE)

    def _angle(self, points: np.ndarray) -> np.ndarray:
        unit = self.unit(points)
        return np.arctan2(unit[:, 1], unit[:, 0])

    @property
    def length(self) -> float:
        return self.turn * self.radii[0] if self.round else super().length

    @property
    def turn(self) -> float:
        return abs(self.span)

    def along(self, fraction: np.ndarray) -> np.ndarray:
        return fraction if self.round else super().along(fraction)

    def at(self, s: np.ndarray) -> np.ndarray:
        angle = self.angles(s)
        unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return np.asarray(self.centre) + np.asarray(self.radii) * unit

    def velocity(self, s: np.ndarray) -> np.ndarray:
        angle = self.angles(s)
        unit = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
        return self.span * np.asarray(self.radii) * unit

    def acceleration(self, s: np.ndarray) -> np.ndarray:
        return -(self.span**2) * (self.at(s) - np.asarray(self.centre))

    def extrema(self, axis: int) -> np.ndarray:
        s = self.place(0.5 * np.pi * axis + np.array([0.0, np.pi]))
        return s[(s > 0.0) & (s < 1.0)]

    def across(self, y: np.ndarray) -> np.ndarray:
        height = np.clip((y - self.centre[1]) / self.radii[1], -1.0, 1.0)
        side = np.sign(self.at(np.array([0.5]))[0, 0] - self.centre[0])
        return self.centre[0] + side * self.radii[0] * np.sqrt(1.0 - height**2)

    @property
    def levels(self) -> tuple[float, float]:
        return self.centre[1] - self.radii[1], self.centre[1] + self.radii[1]

    def part(self, start: float, stop: float) -> Arc:
        begin, end = self.angles(np.array([start, stop])).tolist()
        return replace(self, begin=begin, end=end)

    def turned(self) -> Arc:
        return replace(self, begin=self.end, end=self.begin)

    def nearest(self, points: np.ndarray) -> np.ndarray:
        s = self.place(self._angle(points)) if self.round else self._foot(points, 64)
        # Beyond an end, the nearer of the two ends.
        ends = np.linalg.norm(points[:, None, :] - self.at(np.array([0.0, 1.0])), axis=2)
        outside = (s < 0.0) | (s > 1.0)
        return np.where(outside, np.argmin(ends, axis=1).astype(float), s)

    def crossings(self, axis: int, value: float) -> np.ndarray:
        unit = (value - self.centre[axis]) / self.radii[axis]
        if abs(unit) > 1.0:
            return np.zeros(0)
        angle = math.acos(unit) if axis == 0 else math.asin(unit)
        s = self.place(np.array([angle, -angle if axis == 0 else np.pi - angle]))
        return s[(s >= 0.0) & (s <= 1.0)]

    def _proper_meetings(self, other: Curve) -> np.ndarray:
        if isinstance(other, Arc):
            found = self._on_ellipse(other)
            found = found[other.holds(found)]
        else:
            found = other.at(other._proper_meetings(self))
        s = self.place(self._angle(found))
        return s[(s >= -SAME_PLACE) & (s <= 1.0 + SAME_PLACE)]

    def _on_ellipse(self, other: Arc) -> np.ndarray:
        """Points (N, 2) of this ellipse that lie on the ellipse of `other`.

        On z = exp(i a) the equation of `other` is a trigonometric polynomial of degree two, so
        z^2 times it has degree four; its roots of modulus one are the common points.
        """
        ratio = np.asarray(self.radii) / np.asarray(other.radii)
        shift = np.subtract(self.centre, other.centre) / np.asarray(other.radii)
        p = np.array([0.5 * ratio[0], shift[0], 0.5 * ratio[0]], complex)
        q = np.array([-0.5j * ratio[1], shift[1], 0.5j * ratio[1]], complex)
        polynomial = np.convolve(p, p) + np.convolve(q, q)
        polynomial[2] -= 1.0
        polynomial[np.abs(polynomial) <= 1e-13 * np.abs(polynomial).max(initial=1.0)] = 0.0
        roots = np.roots(polynomial)
        angles = np.angle(roots[np.abs(np.abs(roots) - 1.0) < 1e-4])
        angles = self._polished(angles, ratio, shift)
        unit = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.asarray(self.centre) + np.asarray(self.radii) * unit

    @staticmethod
    def _polished(angles: np.ndarray, ratio: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Newton's method on the real equation; only those angles that satisfy it."""

        def offset(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            x, y = ratio[0] * np.cos(a) + shift[0], ratio[1] * np.sin(a) + shift[1]
            slope = 2.0 * (-x * ratio[0] * np.sin(a) + y * ratio[1] * np.cos(a))
            return x * x + y * y - 1.0, slope

        for _ in range(3):
            value, slope = offset(angles)
            safe = np.abs(slope) > 1e-6
            step = np.where(safe, value / np.where(safe, slope, 1.0), 0.0)
            angles = angles - np.clip(step, -1e-3, 1e-3)
        return angles[np.abs(offset(angles)[0]) < 1e-8]

    def area(self) -> float:
        ends = self.at(np.array([0.0, 1.0]))
        chord = ends[1] - ends[0]
        turned = self.centre[0] * chord[1] - self.centre[1] * chord[0]
        return 0.5 * float(self.radii[0] * self.radii[1] * self.span + turned)


def joined(curves: list[Curve]) -> tuple[Curve, ...]:
    """Consecutive pieces of one segment or ellipse made one again."""
    result: list[Curve] = []
    for curve in curves:
        whole = _together(result[-1], curve) if result else None
        if whole is None:
            result.append(curve)
        else:
            result[-1] = whole
    if len(result) > 1:
        whole = _together(result[-1], result[0])
        if whole is not None:
            result = [whole, *result[1:-1]]
    return tuple(result)


def _together(first: Curve, second: Curve) -> Curve | None:
    if first.names != second.names:
        return None
    if isinstance(first, Arc) and isinstance(second, Arc):
        same = (first.centre, first.radii) == (second.centre, second.radii)
        gap = np.mod(second.begin - first.end + 1.0, FULL) - 1.0
        if same and first.span * second.span > 0.0 and abs(gap) < 1e-9:
            return replace(first, end=first.end + second.span)
    if isinstance(first, Segment) and isinstance(second, Segment):
        a, b = first._step, second._step
        scale = first.length + second.length
        level = abs(a[0] * b[1] - a[1] * b[0]) <= 1e-12 * first.length * second.length
        if level and a @ b > 0.0 and math.dist(first.stop, second.start) < 1e-9 * scale:
            return replace(first, stop=second.stop)
    return None
