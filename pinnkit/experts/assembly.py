"""Rows of one mixture of experts: a compiled system, linearised, on collocation points."""

import functools
import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pinnkit.compile import Residual, System, Term
from pinnkit.derivatives import basis as along_basis
from pinnkit.experts.bases import Basis, Orders
from pinnkit.experts.collocation import (
    Pairs,
    Points,
)
from pinnkit.experts.integrals import Total
from pinnkit.experts.layout import Boxes
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.pieces import Piece, pieces, piecewise_rows, piecewise_values
from pinnkit.experts.rows import Rows
from pinnkit.spec.condition import Kind

SIDE_WEIGHT = 10.0
"""Weight of boundary, initial and interface rows against equation rows, in the field's units."""

CONSTRAINT_WEIGHT = 6.0
"""Weight of equations of lower order than their fields, such as continuity.

Measured on the flow past a cylinder (DFG 2D-1): 6 leaks 28 times less mass than 1.
"""

Part = tuple[np.ndarray, Callable[[], Iterator[Rows]]]
"""Residuals, and the rows behind them."""

Lineariser = Callable[[Mapping, Mapping, Mapping], along_basis.Linearised]


@dataclass(frozen=True)
class Site:
    """One residual on the points of one region, with the tabulated features."""

    residual: Residual
    linearise: Lineariser
    points: Points
    pieces: tuple[Piece, ...]
    weight: float


@dataclass(frozen=True)
class Face:
    """The pairs `where` of two experts, with the derivatives of the features on either side."""

    left: int
    right: int
    where: slice
    tables: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Join:
    """Equality of the derivatives `orders` of one field across pairs of experts."""

    field: str
    orders: Orders
    pairs: Pairs
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class Handover:
    """The derivatives `orders` of all fields in time, where a slab begins, from the slab before."""

    orders: Orders
    fields: tuple[str, ...]
    points: Points
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Linear:
    """The linearised system; `residuals` are those of the nonlinear one, in row units.

    Rows are assembled when they are asked for: a residual alone needs none.
    """

    parts: tuple[Part, ...]

    @functools.cached_property
    def residuals(self) -> np.ndarray:
        return np.concatenate([residual for residual, _ in self.parts])

    @functools.cached_property
    def rows(self) -> list[Rows]:
        return [row for _, assembled in self.parts for row in assembled()]

    def rows_by_expert(self) -> Iterator[Rows]:
        """All rows, assembled while they are taken, each expert's own ones one after the other."""
        parts = (assembled() for _, assembled in self.parts)
        return heapq.merge(*parts, key=lambda row: row.experts[0])

    @property
    def norm(self) -> float:
        """Root mean square of the residuals; infinite where one is not finite."""
        value = float(np.sqrt(np.mean(self.residuals**2))) if self.residuals.size else 0.0
        return value if np.isfinite(value) else np.inf


@dataclass(frozen=True)
class Collocation:
    """All that must hold for one mixture: sites, joins between experts, hand-over in time.

    Coefficients are arrays (K, fields, n). `magnitudes` are the fields' typical sizes, in which
    rows are measured, `wavenumbers` the local ones by which a derivative is taken to enlarge a
    field: those of the basis where rows are to be solved, 1 where a residual is to be judged, lest
    richer bases look better than they are.

    Local coordinates, hence all tables, are those of the experts' shape: `moved` re-uses them in
    another slab of time.
    """

    system: System
    basis: Basis
    boxes: Boxes
    sites: tuple[Site, ...]
    first: tuple[Site, ...]
    joins: tuple[Join, ...]
    handover: tuple[Handover, ...]
    totals: tuple[Total, ...]
    magnitudes: tuple[float, ...]
    wavenumbers: tuple[float, ...]

    def moved(self, boxes: Boxes) -> "Collocation":
        """The same collocation in boxes that differ in their extent of time only."""

        def move(sites: tuple) -> tuple:
            return tuple(replace(s, points=s.points.moved(boxes)) for s in sites)

        return replace(
            self,
            boxes=boxes,
            sites=move(self.sites),
            first=move(self.first),
            handover=move(self.handover),
            totals=tuple(t.moved(boxes) for t in self.totals),
        )

    @property
    def width(self) -> int:
        return len(self.system.fields) * self.basis.size

    def linear(
        self, coefficients: np.ndarray, before: Mixture | None = None, load: float = 1.0
    ) -> Linear:
        """Linearise at `coefficients`; `before` is the slab before, on boxes of its own.

        With `load` s, every residual F(u) becomes F(u) - (1 - s) F(0): all data (sources, boundary
        values) are scaled by s, between rest and the problem itself.
        """
        sites = self.sites if before else (*self.sites, *self.first)
        parts = [self._site_part(site, coefficients, load) for site in sites]
        parts += [self._join_part(join, coefficients) for join in self.joins]
        if before is not None:
            for handover in self.handover:
                parts += self._handover_parts(handover, coefficients, before)
        for total in self.totals:
            parts.append(total.part(self.boxes, coefficients, self.magnitudes, load))
        return Linear(tuple(parts))

    def imbalance(self, coefficients: np.ndarray) -> tuple[float, str]:
        """The largest residual of an equation, relative to its own terms, and that equation.

        rms(s fn) / rms(s (sum_T |d fn/dT T| + |rest|)) over all points of the equation, with the
        row scale s of each expert: of order one where conditions contradict each other, however
        small the experts are. Terms are not counted below those of a field of its magnitude that
        varies over the whole domain.
        """
        worst = (0.0, "")
        extent = 0.5 * (self.boxes.upper.max(axis=0) - self.boxes.lower.min(axis=0))
        for site in self.sites:
            if site.residual.kind is not Kind.EQUATION or not site.pieces:
                continue
            fields, terms = self.system.fields, site.residual.plan.terms
            values = piecewise_values(site.pieces, self.boxes, coefficients, fields, terms)
            z = point_data(self.system, site.points)
            value, slopes = site.linearise(values, z, self.system.parameters)
            parts = [slopes[t] * values[t] for t in terms]
            whole = np.abs(value - sum(parts)) + sum(np.abs(part) for part in parts)
            scale, least = self._row_scale(site.points.owner, slopes), 0.0
            for t in terms:
                size = self.magnitudes[fields.index(t.field)] * _rms(scale * slopes[t])
                least += size * float(along_basis.chart_factor(extent, t.orders))
            share = _rms(scale * value) / max(_rms(scale * whole), 1e-3 * least)
            worst = max(worst, (share, site.residual.name))
        return worst

    def values(self, coefficients: np.ndarray) -> np.ndarray:
        """Fields at the points of the first equation, (P, fields), in units of `magnitudes`."""
        values = piecewise_values(
            self.plain, self.boxes, coefficients, self.system.fields, self.plain_terms
        )
        sizes = zip(values.values(), self.magnitudes, strict=True)
        return np.stack([value / size for value, size in sizes], axis=1)

    @property
    def plain_terms(self) -> tuple[Term, ...]:
        """The fields themselves, underived."""
        zero = (0,) * self.boxes.dim
        return tuple(Term(name, zero, self.system.axes) for name in self.system.fields)

    @functools.cached_property
    def plain(self) -> tuple[Piece, ...]:
        """The features themselves at the points of the first equation."""
        return pieces(self.basis, self.sites[0].points, self.plain_terms)

    def _site_part(self, site: Site, coefficients: np.ndarray, load: float) -> Part:
        points, fields, terms = site.points, self.system.fields, site.residual.plan.terms
        values = piecewise_values(site.pieces, self.boxes, coefficients, fields, terms)
        value, slopes = site.linearise(
            values, point_data(self.system, points), self.system.parameters
        )
        if load != 1.0:
            rest, _ = site.linearise(
                {t: np.zeros_like(v) for t, v in values.items()},
                point_data(self.system, points),
                self.system.parameters,
            )
            value = value - (1.0 - load) * rest
        if site.residual.observed is not None:
            value = value - load * site.residual.observed[np.asarray(points.weights, dtype=int)]
        scale = site.weight * self._row_scale(points.owner, slopes)
        known = sum((slopes[t] * values[t] for t in terms), np.zeros(len(value)))
        rhs = scale * (known - value)
        weights = {t: scale * s for t, s in slopes.items()}
        return scale * value, self._own_rows(site.pieces, weights, rhs)

    def _own_rows(
        self, parts: tuple[Piece, ...], weights: Mapping[Term, np.ndarray], rhs: np.ndarray
    ) -> Callable[[], Iterator[Rows]]:
        """Rows that touch one expert each."""

        def assembled() -> Iterator[Rows]:
            for piece, matrix in piecewise_rows(parts, self.boxes, weights, self.system.fields):
                yield Rows((piece.expert,), (matrix,), rhs[piece.where])

        return assembled

    def _row_scale(self, owner: np.ndarray, slopes: Mapping[Term, np.ndarray]) -> np.ndarray:
        """1 / sum_T |d fn/dT| kappa^T U per expert: residuals in units of the fields.

        kappa = wavenumber/h, |.| the root mean square over the expert's points, U the field's
        magnitude.
        """
        count = np.bincount(owner, minlength=self.boxes.count)
        total = np.zeros(self.boxes.count)
        wavenumber = np.asarray(self.wavenumbers)[None, :] / self.boxes.half
        for term, slope in slopes.items():
            square = np.bincount(owner, slope**2, minlength=self.boxes.count)
            size = np.sqrt(square / np.maximum(count, 1))
            magnitude = self.magnitudes[self.system.fields.index(term.field)]
            total += size * magnitude * np.prod(wavenumber ** np.asarray(term.orders), axis=1)
        return 1.0 / np.where(total > 0.0, total, 1.0)[owner]

    def _join_scale(self, join: Join, left: Boxes, right: Boxes) -> np.ndarray:
        wavenumber = np.asarray(self.wavenumbers)
        order = np.asarray(join.orders)
        kappa = np.maximum(
            np.prod((wavenumber / left.half[join.pairs.left]) ** order, axis=1),
            np.prod((wavenumber / right.half[join.pairs.right]) ** order, axis=1),
        )
        return SIDE_WEIGHT / (kappa * self.magnitudes[self.system.fields.index(join.field)])

    def _join_part(self, join: Join, coefficients: np.ndarray) -> Part:
        index, n = self.system.fields.index(join.field), self.basis.size
        pairs = join.pairs
        columns = slice(index * n, (index + 1) * n)
        scale = self._join_scale(join, self.boxes, self.boxes)
        left = scale * along_basis.chart_factor(self.boxes.half[pairs.left], join.orders)
        right = scale * along_basis.chart_factor(self.boxes.half[pairs.right], join.orders)
        jump = np.empty(len(pairs.left))
        for face in join.faces:
            here, (one, other) = face.where, face.tables
            jump[here] = left[here] * (one @ coefficients[face.left, index])
            jump[here] -= right[here] * (other @ coefficients[face.right, index])

        def assembled() -> Iterator[Rows]:
            for face in join.faces:
                here, (one, other) = face.where, face.tables
                blocks = np.zeros((2, here.stop - here.start, self.width))
                blocks[0][:, columns] = left[here, None] * one
                blocks[1][:, columns] = -right[here, None] * other
                nothing = np.zeros(here.stop - here.start)
                if face.left == face.right:
                    yield Rows((face.left,), (blocks[0] + blocks[1],), nothing)
                else:
                    yield Rows((face.left, face.right), (blocks[0], blocks[1]), nothing)

        return jump, assembled

    def _handover_parts(
        self, handover: Handover, coefficients: np.ndarray, before: Mixture
    ) -> list[Part]:
        fields, points = self.system.fields, handover.points
        terms = tuple(Term(name, handover.orders, self.system.axes) for name in handover.fields)
        values = piecewise_values(handover.pieces, self.boxes, coefficients, fields, terms)
        known = before.on_host(points.physical, handover.orders)
        kappa = np.asarray(self.wavenumbers)[None, :] / self.boxes.half
        enlarged = np.prod(kappa ** np.asarray(handover.orders), axis=1)[points.owner]
        parts: list[Part] = []
        for term in terms:
            index = fields.index(term.field)
            scale = SIDE_WEIGHT / (enlarged * self.magnitudes[index])
            target = scale * known[:, index]
            assembled = self._own_rows(handover.pieces, {term: scale}, target)
            parts.append((scale * values[term] - target, assembled))
        return parts


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if np.size(values) else 0.0


def field_magnitudes(system: System) -> tuple[float, ...]:
    """Typical sizes of the fields: `Problem.scales`, else 1."""
    given = {type(u).__name__: float(v) for u, v in system.problem.scales.items()}
    return tuple(given.get(name, 1.0) for name in system.fields)


def point_data(system: System, points: Points) -> dict[str, np.ndarray]:
    """Coordinates by axis name, and normal components `n_x`, ... where there are some."""
    data = {axis: points.physical[:, i] for i, axis in enumerate(system.axes)}
    if points.normals is not None:
        space = system.domain.space_axes
        data |= {f"n_{axis}": points.normals[:, i] for i, axis in enumerate(space)}
    return data
