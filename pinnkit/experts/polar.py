"""Functions of the distance and the angle around holes as extra features.

With w = (z - z0)/r0 around a hole of radius r0, the features are the real and imaginary parts of
w^a conj(w)^b = (r0/r)^k exp(i m angle), a = (m - k)/2, b = -(m + k)/2: a complete set outside the
hole that decays away from it, whatever the equation. Derivatives are exact, by
d/dx = d/dw + d/dconj(w) and d/dy = i (d/dw - d/dconj(w)), over r0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np

from pinnkit.experts.bases import Basis, Numbers, Orders, Tensor, namespace, tensor_basis
from pinnkit.experts.families import Chebyshev, Family, Shape, Tried, bare

FIRST_DEGREE = 13
GROWTH = 1.25


class Polar(Basis):
    """The features of `base`; around each hole (r0/r)^k times cos m t, sin m t; and log r.

    For one expert only, whose box has `centre` (2,) and half widths `half` (2,). `places` (H, 2)
    and `radii` (H,) are the holes, k <= `degree` and m <= `modes`, without the constant.
    """

    base: Basis
    centre: Numbers
    half: Numbers
    places: Numbers
    radii: Numbers
    degree: int = eqx.field(static=True)
    modes: int = eqx.field(static=True)

    @property
    def size(self) -> int:
        per_hole = (self.degree + 1) * (2 * self.modes + 1)
        return self.base.size + self.radii.shape[0] * per_hole

    def features(self, xi: Any, orders: Orders) -> Any:
        tables = [self.base.features(xi, orders)]
        for hole in range(self.radii.shape[0]):
            tables += self._around(hole, xi, orders)
        return namespace(xi).concatenate(tables, axis=1)

    def _around(self, hole: int, xi: Any, orders: Orders) -> list[Any]:
        xp, order = namespace(xi), sum(orders)
        radius = self.radii[hole]
        x = (self.centre[0] + self.half[0] * xi[:, 0] - self.places[hole, 0]) / radius
        y = (self.centre[1] + self.half[1] * xi[:, 1] - self.places[hole, 1]) / radius
        # Inside the hole, where nothing is asked, the features stay bounded.
        log = 0.5 * xp.log(xp.maximum(x * x + y * y, 1e-2))[:, None]
        angle = xp.arctan2(y, x)[:, None]
        k, m, shift = self._kinds()
        total = 0.0
        for power, weight in enumerate(_expansion(orders)):
            other = order - power
            falling = _falling(0.5 * (m - k), power) * _falling(-0.5 * (m + k), other)
            turned = (m - power + other)[None, :] * angle
            phase = turned + (0.5 * np.pi * (orders[1] - shift))[None, :]
            total = total + (weight * falling)[None, :] * xp.cos(phase)
        factor = (self.half[0] / radius) ** orders[0] * (self.half[1] / radius) ** orders[1]
        return [
            factor * total * xp.exp(-(k[None, :] + order) * log),
            factor * self._logarithm(log, angle, orders, xp),
        ]

    def _kinds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """k, m, and 0 for the cosine or 1 for the sine, of all features of a hole."""
        found = [
            (float(k), float(m), float(part))
            for k in range(self.degree + 1)
            for m in range(0 if k else 1, self.modes + 1)
            for part in ((0, 1) if m else (0,))
        ]
        k, m, part = np.array(found).T
        return k, m, part

    def _logarithm(self, log: Any, angle: Any, orders: Orders, xp: Any) -> Any:
        order = sum(orders)
        if order == 0:
            return log
        # d^n log w / dw^n = (-1)^(n-1) (n-1)! w^-n
        lead = -float(np.prod(-np.arange(1, order), initial=-1.0))
        return lead * xp.exp(-order * log) * xp.cos(0.5 * np.pi * orders[1] - order * angle)

    def wavenumbers(self) -> tuple[float, ...]:
        return self.base.wavenumbers()

    def nodes(self) -> tuple[int, ...]:
        return self.base.nodes()


def _expansion(orders: Orders) -> np.ndarray:
    """Coefficients of u^j in (u + 1)^p (u - 1)^q: weights of d^j/dw^j d^(n-j)/dconj(w)^(n-j)."""
    result = np.ones(1)
    for factor, count in (((1.0, 1.0), orders[0]), ((-1.0, 1.0), orders[1])):
        for _ in range(count):
            result = np.convolve(result, factor)
    return result


def _falling(a: np.ndarray, count: int) -> np.ndarray:
    result = np.ones_like(a)
    for j in range(count):
        result = result * (a - j)
    return result


class Around(Family):
    """A family of bases with functions of distance and angle around `holes` (x, y, radius).

    For the one expert with box `centre` +- `half`. A `Chebyshev()` of free degree is enlarged by a
    quarter per step, with degrees in proportion to the root of the box's sides: what is far from
    the holes is smooth along the longer side. Distances and angles get 0.55 of the smallest degree,
    divided by the root of the number of holes.
    """

    family: Family
    centre: tuple[float, float]
    half: tuple[float, float]
    holes: tuple[tuple[float, float, float], ...]

    def sized(self, size: int, shape: Shape) -> Basis:
        return self.extended(self.family.sized(size, shape))

    def resolving(self, degree: int, shape: Shape) -> Basis:
        return self.extended(self.family.resolving(degree, shape))

    def following(self, tried: Sequence[Tried], shape: Shape) -> Basis | None:
        if isinstance(self.family, Chebyshev) and self.family.degree is None:
            lead = FIRST_DEGREE * GROWTH ** len(tried)
            degrees = tuple(int(round(lead * (h / min(self.half)) ** 0.5)) for h in self.half)
            return self.extended(tensor_basis(degrees, ("chebyshev",) * 2))
        base = self.family.following(bare(tried), shape)
        return None if base is None else self.extended(base)

    def extended(self, base: Basis) -> Polar:
        """`base` with as many polar functions as suit its degree."""
        degree = min(base.degrees) if isinstance(base, Tensor) else int(np.sqrt(base.size))
        modes = max(int(np.ceil(0.55 * degree / np.sqrt(len(self.holes)))), 3)
        places = np.array(self.holes, dtype=float)
        sides = np.array(self.centre), np.array(self.half)
        return Polar(base, *sides, places[:, :2], places[:, 2], modes, modes)
