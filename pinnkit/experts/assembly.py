"""Rows of one mixture of experts: a compiled system, linearised, on collocation points."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pinnkit.compile import Residual, System, Term
from pinnkit.derivatives import basis as along_basis
from pinnkit.experts.bases import Basis, Orders
from pinnkit.experts.collocation import (
    EDGE_RATIO,
    Pairs,
    Points,
    merged,
    region_points,
    shared_points,
    volume_points,
    wrapped_points,
)
from pinnkit.experts.integrals import Total, totals
from pinnkit.experts.layout import Boxes
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.pieces import Piece, pieces, piecewise_rows, piecewise_values, runs
from pinnkit.experts.rows import Rows
from pinnkit.spec.condition import Kind

SIDE_WEIGHT = 10.0
"""Weight of boundary, initial and interface rows against equation rows, in the field's units."""

CONSTRAINT_WEIGHT = 6.0
"""Weight of equations of lower order than their fields, such as continuity.

Measured on the flow past a cylinder (DFG 2D-1): 6 leaks 28 times less mass than 1.
"""

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
class Join:
    """Equality of the derivatives `orders` of one field across pairs of experts."""

    field: str
    orders: Orders
    pairs: Pairs
    left: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Handover:
    """The derivatives `orders` of all fields in time, where a slab begins, from the slab before."""

    orders: Orders
    fields: tuple[str, ...]
    points: Points
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Linear:
    """Rows of the linearised system; `residuals` are those of the nonlinear one, in row units."""

    rows: list[Rows]
    residuals: np.ndarray

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
        rows: list[Rows] = []
        residuals: list[np.ndarray] = []
        for site in self.sites if before else (*self.sites, *self.first):
            self._site_rows(site, coefficients, load, rows, residuals)
        for join in self.joins:
            self._join_rows(join, coefficients, rows, residuals)
        if before is not None:
            for handover in self.handover:
                self._handover_rows(handover, coefficients, before, rows, residuals)
        for total in self.totals:
            total.add(self.boxes, coefficients, self.magnitudes, load, rows, residuals)
        return Linear(rows, np.concatenate(residuals))

    def imbalance(self, coefficients: np.ndarray) -> tuple[float, str]:
        """The largest residual of an equation, relative to its own terms, and that equation.

        rms(fn) / rms(sum_T |d fn/dT T| + |rest|), over all points of the equation: of order one
        where conditions contradict each other, however small the experts are. Terms are not
        counted below those of a field of its magnitude that varies over the whole domain.
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
            least = 0.0
            for t in terms:
                size = self.magnitudes[fields.index(t.field)] * _rms(slopes[t])
                least += size * float(along_basis.chart_factor(extent, t.orders))
            worst = max(worst, (_rms(value) / max(_rms(whole), 1e-3 * least), site.residual.name))
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

    def _site_rows(
        self,
        site: Site,
        coefficients: np.ndarray,
        load: float,
        rows: list[Rows],
        residuals: list[np.ndarray],
    ) -> None:
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
        for piece, matrix in piecewise_rows(site.pieces, self.boxes, weights, fields):
            rows.append(Rows((piece.expert,), (matrix,), rhs[piece.where]))
        residuals.append(scale * value)

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

    def _sides(self, join: Join, left: Boxes, right: Boxes) -> tuple[np.ndarray, np.ndarray]:
        scale = self._join_scale(join, left, right)
        factors = (
            scale * along_basis.chart_factor(left.half[join.pairs.left], join.orders),
            scale * along_basis.chart_factor(right.half[join.pairs.right], join.orders),
        )
        return join.left * factors[0][:, None], join.right * factors[1][:, None]

    def _join_rows(
        self, join: Join, coefficients: np.ndarray, rows: list[Rows], residuals: list[np.ndarray]
    ) -> None:
        index, n = self.system.fields.index(join.field), self.basis.size
        left, right = self._sides(join, self.boxes, self.boxes)
        pairs = join.pairs
        residuals.append(
            np.einsum("pn,pn->p", left, coefficients[pairs.left, index])
            - np.einsum("pn,pn->p", right, coefficients[pairs.right, index])
        )
        columns = slice(index * n, (index + 1) * n)
        for piece in runs(pairs.left * self.boxes.count + pairs.right):
            blocks = np.zeros((2, piece.stop - piece.start, self.width))
            blocks[0][:, columns], blocks[1][:, columns] = left[piece], -right[piece]
            ends = int(pairs.left[piece.start]), int(pairs.right[piece.start])
            nothing = np.zeros(piece.stop - piece.start)
            if ends[0] == ends[1]:
                rows.append(Rows(ends[:1], (blocks[0] + blocks[1],), nothing))
            else:
                rows.append(Rows(ends, (blocks[0], blocks[1]), nothing))

    def _handover_rows(
        self,
        handover: Handover,
        coefficients: np.ndarray,
        before: Mixture,
        rows: list[Rows],
        residuals: list[np.ndarray],
    ) -> None:
        fields, points = self.system.fields, handover.points
        terms = tuple(Term(name, handover.orders, self.system.axes) for name in handover.fields)
        values = piecewise_values(handover.pieces, self.boxes, coefficients, fields, terms)
        known = before.on_host(points.physical, handover.orders)
        kappa = np.asarray(self.wavenumbers)[None, :] / self.boxes.half
        enlarged = np.prod(kappa ** np.asarray(handover.orders), axis=1)[points.owner]
        for term in terms:
            index = fields.index(term.field)
            scale = SIDE_WEIGHT / (enlarged * self.magnitudes[index])
            target = scale * known[:, index]
            residuals.append(scale * values[term] - target)
            for piece, matrix in piecewise_rows(handover.pieces, self.boxes, {term: scale}, fields):
                rows.append(Rows((piece.expert,), (matrix,), target[piece.where]))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if np.size(values) else 0.0


def collocate(
    system: System,
    basis: Basis,
    boxes: Boxes,
    linearisers: Mapping[str, Lineariser],
) -> Collocation:
    """Choose points and tabulate the basis, for rows to be solved.

    Raises `GeometryError` for unknown regions.
    """
    return _collocate(system, basis, boxes, linearisers, basis.nodes(), basis.wavenumbers())


def held_out(
    system: System, basis: Basis, boxes: Boxes, linearisers: Mapping[str, Lineariser]
) -> Collocation:
    """Points between those of `collocate`, to judge a solution by its residual."""
    nodes = tuple(q + 1 for q in basis.nodes())
    return _collocate(system, basis, boxes, linearisers, nodes, (1.0,) * boxes.dim)


def _collocate(
    system: System,
    basis: Basis,
    boxes: Boxes,
    linearisers: Mapping[str, Lineariser],
    nodes: tuple[int, ...],
    wavenumbers: tuple[float, ...],
) -> Collocation:
    sites = [
        _site(system, basis, boxes, residual, linearisers[residual.name], nodes)
        for residual in system.residuals
        if residual.kind is not Kind.INTEGRAL
    ]
    initial = tuple(s for s in sites if s.residual.kind is Kind.INITIAL)
    always = tuple(s for s in sites if s.residual.kind is not Kind.INITIAL)
    magnitudes = field_magnitudes(system)
    integrals = [r for r in system.residuals if r.kind is Kind.INTEGRAL]
    return Collocation(
        system,
        basis,
        boxes,
        always,
        initial,
        _joins(system, basis, boxes, nodes),
        _handover(system, basis, boxes, nodes),
        totals(system, basis, boxes, integrals, linearisers, nodes, SIDE_WEIGHT),
        magnitudes,
        wavenumbers,
    )


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


def _site(
    system: System,
    basis: Basis,
    boxes: Boxes,
    residual: Residual,
    linearise: Lineariser,
    nodes: tuple[int, ...],
) -> Site:
    domain = system.domain
    if residual.points is not None:
        owner = boxes.owners(residual.points)
        order = np.argsort(owner, kind="stable")
        owner, physical = owner[order], residual.points[order]
        # Observations keep their place in the data where quadrature weights usually stand.
        points = Points(owner, boxes.local(owner, physical), physical, order.astype(float))
    else:
        found = [
            region_points(domain, domain.region(name), boxes, nodes, system.axes)
            for name in residual.regions
        ]
        points = found[0] if len(found) == 1 else merged(found)
    parts = pieces(basis, points, residual.plan.terms)
    return Site(residual, linearise, points, parts, _weight(system, residual))


def _weight(system: System, residual: Residual) -> float:
    if residual.kind is not Kind.EQUATION or residual.regions != ("interior",):
        return SIDE_WEIGHT
    fields = {t.field for t in residual.plan.terms}
    highest = max(system.traits.order[f, a] for f in fields for a in system.axes)
    return CONSTRAINT_WEIGHT if residual.plan.max_order < highest else 1.0


def _joins(system: System, basis: Basis, boxes: Boxes, nodes: tuple[int, ...]) -> tuple[Join, ...]:
    """C^0 ... C^(m-1) for a field of order m along the axis: interfaces and periodic ends."""
    pairs = shared_points(system.domain, boxes, boxes.interfaces(), nodes)
    found = [pairs]
    for name in system.traits.periodic:
        axis = system.axes.index(name)
        if not exactly_periodic(basis, boxes, axis):
            found.append(wrapped_points(boxes, axis, nodes))
    joins: list[Join] = []
    for pair in found:
        for axis, name in enumerate(system.axes):
            on_axis = _on_axis(pair, axis)
            if len(on_axis.left):
                for field in system.fields:
                    joins += _smooth(basis, on_axis, field, axis, system.traits.order[field, name])
    return tuple(joins)


def exactly_periodic(basis: Basis, boxes: Boxes, axis: int) -> bool:
    """Whether every feature has the period of the one box along the axis."""
    one_box = len(np.unique(boxes.lower[:, axis])) == 1
    ends = np.zeros((8, boxes.dim)) + np.linspace(-0.9, 0.9, 8)[:, None]
    low, high = ends.copy(), ends.copy()
    low[:, axis], high[:, axis] = -1.0, 1.0
    value = (0,) * boxes.dim
    slope = tuple(int(i == axis) for i in range(boxes.dim))
    same = all(
        np.allclose(basis.features(low, o), basis.features(high, o), rtol=0, atol=1e-9)
        for o in (value, slope)
    )
    return one_box and same


def _smooth(basis: Basis, pairs: Pairs, field: str, axis: int, order: int) -> list[Join]:
    joins = []
    for o in range(order):
        orders = tuple(o if i == axis else 0 for i in range(pairs.local_left.shape[1]))
        left = basis.features(pairs.local_left, orders)
        joins.append(Join(field, orders, pairs, left, basis.features(pairs.local_right, orders)))
    return joins


def _on_axis(pairs: Pairs, axis: int) -> Pairs:
    keep = pairs.axis == axis
    return Pairs(*(getattr(pairs, f)[keep] for f in pairs.__dataclass_fields__))


def _handover(
    system: System, basis: Basis, boxes: Boxes, nodes: tuple[int, ...]
) -> tuple[Handover, ...]:
    """Continuity in time with the slab before: of each field and its rates below the highest."""
    if system.time is None or not any(system.traits.time_order.values()):
        return ()
    axis = system.axes.index(system.time)
    counts = [1 if i == axis else int(np.ceil(EDGE_RATIO * q)) for i, q in enumerate(nodes)]
    inner = volume_points(system.domain, boxes, counts)
    local = inner.local.copy()
    local[:, axis] = -1.0
    points = replace(inner, local=local, physical=boxes.physical(inner.owner, local))
    found = []
    for order in range(max(system.traits.time_order.values())):
        fields = tuple(f for f in system.fields if system.traits.time_order[f] > order)
        orders = tuple(order if i == axis else 0 for i in range(boxes.dim))
        terms = [Term(name, orders, system.axes) for name in fields]
        found.append(Handover(orders, fields, points, pieces(basis, points, terms)))
    return tuple(found)
