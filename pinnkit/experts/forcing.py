"""One slab linearised at its solution: its rows, and what moves them besides coefficients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from pinnkit.derivatives.basis import chart_factor
from pinnkit.derivatives.parameters import parameter_slopes
from pinnkit.experts.assembly import Collocation, Handover, Site, point_data
from pinnkit.experts.factors import Factors, factorise
from pinnkit.experts.integrals import Total
from pinnkit.experts.layout import Boxes
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.pieces import piecewise_values


@dataclass(frozen=True)
class Forcing:
    """How the residuals of one slab change at fixed fields, in `count` directions.

    `site(s)` is the change at the points of a site, (P, count), or None where there is none;
    `total(t, j)` an integral condition changed in direction j, or None.
    """

    count: int
    site: Callable[[Site], np.ndarray | None]
    total: Callable[[Total, int], Total | None]


def parameter_forcing(
    rows: Collocation, coefficients: np.ndarray, names: tuple[str, ...]
) -> Forcing:
    """d residual / dp for every parameter in `names`, by JAX from the compiled conditions."""
    parameters = rows.system.parameters

    def site(at: Site) -> np.ndarray | None:
        symbols = {str(s) for s in at.residual.expression.free_symbols}
        if not symbols & set(names):
            return None
        values = piecewise_values(
            at.pieces, rows.boxes, coefficients, rows.system.fields, at.residual.plan.terms
        )
        slopes = parameter_slopes(at.residual.fn, names)
        return slopes(values, point_data(rows.system, at.points), parameters)

    def total(of: Total, j: int) -> Total | None:
        symbols = {str(s) for s in of.residual.expression.free_symbols}
        if names[j] not in symbols:
            return None
        whole = parameter_slopes(of.residual.fn, names[j : j + 1])
        datum = parameter_slopes(of.value, names[j : j + 1])

        def linearise(values: Mapping, z: Mapping, params: Mapping) -> Any:
            value, slopes = of.linearise(values, z, params)
            return value + whole(values, z, params)[:, 0], slopes

        def value(values: Mapping, z: Mapping, params: Mapping) -> np.ndarray:
            return np.asarray(of.value(values, z, params)) + datum(values, z, params)[:, 0]

        return replace(of, linearise=linearise, value=value)

    return Forcing(len(names), site, total)


@dataclass(frozen=True)
class LinearSlab:
    """The linearised rows of one slab, factorised, at its coefficients (K, fields, n).

    `scale` is the factor of every row; for rows of the hand-over, minus that factor.
    """

    rows: Collocation
    coefficients: np.ndarray
    before: Mixture | None
    factors: Factors
    residuals: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, rows: Collocation, coefficients: np.ndarray, before: Mixture | None) -> LinearSlab:
        linear = rows.linear(coefficients, before)
        # All residuals one unit larger, all profiles of the slab before too: the difference is
        # the scale of the rows, whatever their weights are made of.
        raised = replace(
            rows,
            sites=tuple(_raised(s) for s in rows.sites),
            first=tuple(_raised(s) for s in rows.first),
        )
        profile = None if before is None else cast(Mixture, _Raised(before))
        scale = raised.linear(coefficients, profile).residuals - linear.residuals
        sizes = [rows.width] * rows.boxes.count
        factors = factorise(linear.rows, sizes)
        return cls(rows, coefficients, before, factors, linear.residuals, scale)

    def forcing(self, given: Forcing) -> np.ndarray:
        """dF of every row, (rows, directions)."""
        result = np.zeros((len(self.residuals), given.count))
        place = 0
        for site in self.sites:
            here = slice(place, place + len(site.points.owner))
            change = given.site(site)
            if change is not None:
                result[here] = self.scale[here, None] * change
            place = here.stop
        if self.rows.totals:
            tail = len(self.residuals) - sum(int(t.row.max()) + 1 for t in self.rows.totals)
            for j in range(given.count):
                result[tail:, j] = self._totals(given, j) - self.residuals[tail:]
        return result

    def carried(self, tangent: np.ndarray) -> np.ndarray:
        """dF where the slab before changes by `tangent` (K', fields, n, r): (rows, r)."""
        assert self.before is not None
        k, fields, n, count = tangent.shape
        names = tuple(str(i) for i in range(fields * count))
        moved = np.moveaxis(tangent, 2, 3).reshape(k, fields * count, n)
        before = self.before
        change = Mixture(before.basis, before.lower, before.upper, moved, names)
        result = np.zeros((len(self.residuals), count))
        for handover, index, here in self._handovers():
            known = change.on_host(handover.points.physical, handover.orders)
            known = known.reshape(len(known), fields, count)
            result[here] = self.scale[here, None] * known[:, index]
        return result

    def returned(self, rows: np.ndarray) -> np.ndarray:
        """The transpose of `carried` for one direction: (rows,) to (K', fields, n)."""
        before = self.before
        assert before is not None
        result = np.zeros(np.shape(before.coefficients))
        for handover, index, here in self._handovers():
            weights = self.scale[here] * rows[here]
            add_transposed(
                before, handover.points.physical, handover.orders, index, weights, result
            )
        return result

    @property
    def sites(self) -> Sequence[Site]:
        """In the order of their rows."""
        return self.rows.sites if self.before else (*self.rows.sites, *self.rows.first)

    def _totals(self, given: Forcing, j: int) -> np.ndarray:
        """Residuals of the integral conditions, changed in direction j."""
        changed = tuple(given.total(t, j) or t for t in self.rows.totals)
        alone = replace(self.rows, sites=(), first=(), joins=(), handover=(), totals=changed)
        return alone.linear(self.coefficients, self.before).residuals

    def _handovers(self) -> list[tuple[Handover, int, slice]]:
        """Each field handed over, its index and its rows."""
        place = sum(len(s.points.owner) for s in self.sites)
        place += sum(len(j.pairs.left) for j in self.rows.joins)
        found = []
        for handover in self.rows.handover:
            for name in handover.fields:
                here = slice(place, place + len(handover.points.owner))
                found.append((handover, self.rows.system.fields.index(name), here))
                place = here.stop
        return found


def add_transposed(
    mixture: Mixture,
    points: np.ndarray,
    orders: tuple[int, ...],
    index: int,
    weights: np.ndarray,
    result: np.ndarray,
) -> None:
    """Add sum_p weights_p d(derivative of field `index` at point p)/dc to `result` (K, fields, n).

    The transpose of `mixture.on_host(points, orders)[:, index]` as a function of coefficients.
    """
    boxes = Boxes(np.asarray(mixture.lower), np.asarray(mixture.upper))
    owner = boxes.owners(points)
    weights = weights * chart_factor(boxes.half[owner], orders)
    for k in np.unique(owner):
        own = owner == k
        features = mixture.basis.features(boxes.local(owner[own], points[own]), orders)
        result[k, index] += weights[own] @ features


def _raised(site: Site) -> Site:
    def linearise(values: Mapping, z: Mapping, params: Mapping) -> Any:
        value, slopes = site.linearise(values, z, params)
        return value + 1.0, slopes

    return replace(site, linearise=linearise)


@dataclass(frozen=True)
class _Raised:
    """Profiles of a slab, one unit larger in every derivative."""

    mixture: Mixture

    def on_host(self, points: np.ndarray, orders: tuple[int, ...] | None = None) -> np.ndarray:
        return self.mixture.on_host(points, orders) + 1.0
