"""Singular harmonic functions as extra features: multipoles in holes, corner functions.

All are real or imaginary parts of w^a or w^a log w with w = (z - z0) exp(-i turn)/scale, so that
derivatives of any order are exact: d^p/dx^p d^q/dy^q Re f(w) = Re(i^q c^(p+q) f^(p+q)(w)) with
c = exp(-i turn)/scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pinnkit.compile import System
from pinnkit.compile.terms import TermSymbol
from pinnkit.experts.bases import Basis, Numbers, Orders, Tensor, namespace
from pinnkit.experts.cut import footprint
from pinnkit.experts.families import Family, Shape, Tried, bare
from pinnkit.experts.layout import Boxes
from pinnkit.experts.polar import Around
from pinnkit.geometry.plane import Corner
from pinnkit.spec.condition import Kind

HIGHEST_CORNER_POWER = 6.0
FEWEST_MULTIPOLES = 4


class Enriched(Basis):
    """The features of `base`, and P singular functions of physical coordinates.

    For one expert only, whose box has `centre` (2,) and half widths `half` (2,). Feature j is the
    real (`imaginary` = 0) or imaginary part of w^power (log w where `logs` is 1), with its
    singular point at `places` (P, 2). Its branch cut runs in the direction `turns` + pi.
    """

    base: Basis
    centre: Numbers
    half: Numbers
    places: Numbers
    powers: Numbers
    logs: Numbers
    turns: Numbers
    scales: Numbers
    imaginary: Numbers

    @property
    def size(self) -> int:
        return self.base.size + self.powers.shape[0]

    def features(self, xi: Any, orders: Orders) -> Any:
        xp = namespace(xi)
        return xp.concatenate([self.base.features(xi, orders), self._singular(xi, orders)], axis=1)

    def _singular(self, xi: Any, orders: Orders) -> Any:
        xp, order = namespace(xi), sum(orders)
        x = self.centre[0] + self.half[0] * xi[:, :1] - self.places[None, :, 0]
        y = self.centre[1] + self.half[1] * xi[:, 1:] - self.places[None, :, 1]
        cos = (xp.cos(self.turns) / self.scales)[None, :]
        sin = (xp.sin(self.turns) / self.scales)[None, :]
        a, b = x * cos + y * sin, y * cos - x * sin
        # The singular point itself is outside the domain, or a corner of it.
        square = xp.maximum(a * a + b * b, 1e-60)
        log, angle = 0.5 * xp.log(square), xp.arctan2(b, a)
        with_log, without = 1.0 * self.logs, 1.0 - self.logs
        for n in range(order):
            with_log, without = with_log * (self.powers - n), with_log + without * (self.powers - n)
        left = (self.powers - order)[None, :]
        turned = 0.5 * np.pi * (orders[1] - self.imaginary) - order * self.turns
        phase = left * angle + turned[None, :]
        whole = (with_log[None, :] * log + without[None, :]) * xp.cos(phase)
        whole = whole - with_log[None, :] * angle * xp.sin(phase)
        factor = self.half[0] ** orders[0] * self.half[1] ** orders[1] * self.scales**-order
        return whole * xp.exp(left * log) * xp.broadcast_to(factor, whole.shape)

    def wavenumbers(self) -> tuple[float, ...]:
        return self.base.wavenumbers()

    def nodes(self) -> tuple[int, ...]:
        more = (self.size / self.base.size) ** 0.5
        return tuple(int(np.ceil(more * q)) for q in self.base.nodes())


@dataclass(frozen=True)
class Source:
    """w^power, times log w where `log`, with w = 0 at `place`; both parts of it or the real one."""

    place: tuple[float, float]
    power: float
    log: bool
    turn: float
    scale: float
    both: bool


class Singular(Family):
    """A family of bases with singular functions added, more of them as the basis grows.

    `holes` are (x, y, radius); `corners` (x, y, turn, power, log). Multipoles log |w|, Re and
    Im w^-k, k <= m, are added per hole, with m half the degree of the basis.
    """

    family: Family
    centre: tuple[float, float]
    half: tuple[float, float]
    holes: tuple[tuple[float, ...], ...]
    corners: tuple[tuple[float, ...], ...]

    def sized(self, size: int, shape: Shape) -> Basis:
        return self.extended(self.family.sized(size, shape))

    def resolving(self, degree: int, shape: Shape) -> Basis:
        return self.extended(self.family.resolving(degree, shape))

    def following(self, tried: Sequence[Tried], shape: Shape) -> Basis | None:
        base = self.family.following(bare(tried), shape)
        return None if base is None else self.extended(base)

    def extended(self, base: Basis) -> Enriched:
        """`base` with the singular functions that suit its degree."""
        degree = max(base.degrees) if isinstance(base, Tensor) else int(np.sqrt(2.0 * base.size))
        most = max(degree // 2, FEWEST_MULTIPOLES)
        sources = [s for hole in self.holes for s in _multipoles(hole, most)]
        for x, y, turn, power, log in self.corners:
            sources.append(Source((x, y), power, bool(log), turn, max(self.half), True))
        return enriched(base, self.centre, self.half, sources)


def enriched(
    base: Basis, centre: Sequence[float], half: Sequence[float], sources: Sequence[Source]
) -> Enriched:
    """`base` with the functions of `sources`, on the box `centre` +- `half`."""
    rows = [(s, part) for s in sources for part in ((0.0, 1.0) if s.both else (0.0,))]

    def column(values: list) -> np.ndarray:
        return np.array(values, dtype=float)

    return Enriched(
        base,
        column(list(centre)),
        column(list(half)),
        column([s.place for s, _ in rows]).reshape(-1, 2),
        column([s.power for s, _ in rows]),
        column([s.log for s, _ in rows]),
        column([s.turn for s, _ in rows]),
        column([s.scale for s, _ in rows]),
        column([part for _, part in rows]),
    )


def _multipoles(hole: tuple[float, ...], most: int) -> list[Source]:
    x, y, radius = hole
    powers = [Source((x, y), -float(k), False, 0.0, radius, True) for k in range(1, most + 1)]
    return [Source((x, y), 0.0, True, 0.0, radius, False), *powers]


def with_singular(system: System, boxes: Boxes, family: Family) -> Family:
    """`family` with the singular functions that the domain's holes and corners call for.

    Only for one expert on a plane domain. Where every equation's principal part is a multiple of
    the Laplacian of one field, the leading singularities are harmonic: multipoles in holes and
    corner functions. For other equations, functions of distance and angle around the holes; where
    nothing applies, `family` itself.
    """
    found = footprint(system.domain)
    if found is None or len(system.axes) != 2 or boxes.count != 1:
        return family
    domain = found.plane
    holes = tuple((*hole.centre, hole.radius) for hole in domain.holes)
    (x, y), (a, b) = boxes.centre[0].tolist(), boxes.half[0].tolist()
    if not laplacian(system):
        return Around(family, (x, y), (a, b), holes) if holes else family
    corners = tuple(row for c in domain.corners for row in _corner_rows(system, c))
    if not holes and not corners:
        return family
    return Singular(family, (x, y), (a, b), holes, corners)


def laplacian(system: System) -> bool:
    """Whether the highest derivatives of every equation are a multiple of one Laplacian."""
    return all(_has_laplacian(r.expression) for r in system.equations)


def _has_laplacian(expression: Any) -> bool:
    symbols = [s for s in expression.atoms(TermSymbol) if s.term.order >= 2]
    if len(symbols) != 2 or symbols[0].term.field != symbols[1].term.field:
        return False
    if {s.term.orders for s in symbols} != {(2, 0), (0, 2)}:
        return False
    first, second = (expression.diff(s) for s in symbols)
    return bool((first - second).simplify() == 0)


def _corner_rows(system: System, corner: Corner) -> list[tuple[float, ...]]:
    """Exponents k pi / opening, or (k - 1/2) pi / opening between a value and a slope.

    Whole exponents belong to polynomials; with a source term, or data that are not polynomials,
    they come with a logarithm.
    """
    kinds = [_slope_given(system, names) for names in corner.sides]
    shift = 0.5 if kinds[0] != kinds[1] else 0.0
    turn = corner.start + 0.5 * corner.opening
    rows, k = [], 1
    while (power := (k - shift) * np.pi / corner.opening) < HIGHEST_CORNER_POWER + 1e-9:
        whole = abs(power - round(power)) < 1e-9
        rows.append((*corner.point, turn, float(round(power)) if whole else power, float(whole)))
        k += 1
    return rows


def _slope_given(system: System, names: Sequence[str]) -> bool:
    """Whether a condition on one of the regions holds derivatives."""
    for residual in system.conditions:
        here = set(residual.regions) & {*names, "boundary"}
        if residual.kind is Kind.BOUNDARY and here:
            return any(term.order > 0 for term in residual.plan.terms)
    return False
