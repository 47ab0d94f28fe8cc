"""The finished solution against its conditions, at places that no collocation rule knows."""

from collections.abc import Iterator, Mapping

import numpy as np

from pinnkit.compile import Residual, System, Term
from pinnkit.derivatives.basis import chart_factor
from pinnkit.experts.assembly import Lineariser
from pinnkit.experts.layout import Boxes
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.periodic import TensorMixture
from pinnkit.geometry import Region
from pinnkit.spec.condition import Kind

AUDITED = (Kind.EQUATION, Kind.BOUNDARY, Kind.INITIAL)
SPREAD = 16384
VALUES = 4_000_000
"""Feature values that are tabulated at once."""


def violation(
    system: System,
    linearisers: Mapping[str, Lineariser],
    mixture: Mixture | TensorMixture,
    since: float = -np.inf,
) -> tuple[float, str]:
    """The worst condition: rms of its residual over rms of the sum of its terms, and its name.

    16384 evenly spread points of each region see data that every Gauss point has missed, such as
    a source narrower than the spacing of the points; those would otherwise be solved as zero.
    Terms are not counted below those of a field of its size that varies over the whole domain.
    A residual of order m in an expert of half width h displaces the field by h^m times itself:
    points weigh so, or else the smallest experts at a corner where derivatives are unbounded
    would decide alone, whatever the distance at which the solution is good.
    Equations are judged at times after `since`. A `TensorMixture`, which has no derivatives on the
    host, is asked for its values only.
    """
    worst = (0.0, "")
    interior = system.domain.region("interior").sample(SPREAD // 8, 0)
    sizes = np.sqrt(np.mean(mixture.on_host(interior) ** 2, axis=0))
    extent = 0.5 * np.array([high - low for low, high in system.domain.bounds.values()])
    for residual in system.residuals:
        derived = any(t.order for t in residual.plan.terms)
        if residual.kind not in AUDITED or (derived and isinstance(mixture, TensorMixture)):
            continue
        squares: list[np.ndarray] = []
        for name in residual.regions:
            for data, values in _samples(system, system.domain.region(name), residual, mixture):
                if residual.kind is Kind.EQUATION and system.time is not None:
                    judged = data[system.time] > since
                    data = {axis: z[judged] for axis, z in data.items()}
                    values = {term: v[judged] for term, v in values.items()}
                value, slopes = linearisers[residual.name](values, data, system.parameters)
                parts = [slopes[t] * values[t] for t in values]
                whole = np.abs(value - sum(parts)) + sum(np.abs(part) for part in parts)
                least = np.zeros(len(value))
                for t in values:
                    size = sizes[system.fields.index(t.field)] * chart_factor(extent, t.orders)
                    least += size * np.abs(slopes[t])
                weight = _displacement(mixture, extent, residual, data)
                squares.append((weight * np.stack([value, np.maximum(whole, least)])) ** 2)
        value, whole = np.sqrt(np.concatenate(squares, axis=1).mean(axis=1))
        if value > 0.0:
            worst = max(worst, (float(value / whole), residual.name))
    return worst


def _displacement(
    mixture: Mixture | TensorMixture,
    extent: np.ndarray,
    residual: Residual,
    data: Mapping[str, np.ndarray],
) -> np.ndarray:
    """min over the terms of (h / extent)^orders at each point, h being its expert's half width."""
    points = np.stack([data[axis] for axis in residual.plan.terms[0].axes], axis=1)
    if isinstance(mixture, TensorMixture):
        return np.ones(len(points))
    boxes = Boxes(np.asarray(mixture.lower), np.asarray(mixture.upper))
    half = boxes.half[boxes.owners(points)] / extent
    return 1.0 / np.max([chart_factor(half, t.orders) for t in residual.plan.terms], axis=0)


def _samples(
    system: System, region: Region, residual: Residual, mixture: Mixture | TensorMixture
) -> Iterator[tuple[dict[str, np.ndarray], dict[Term, np.ndarray]]]:
    """Coordinates by name and term values at spread points of a region, in batches."""
    spread = region.sample(SPREAD if region.dim else 1, 0)
    for points in np.array_split(spread, len(spread) * mixture.basis.size // VALUES + 1):
        data = {axis: points[:, i] for i, axis in enumerate(system.axes)}
        if residual.kind is Kind.BOUNDARY:
            normals = region.normals(points)
            data |= {f"n_{a}": normals[:, i] for i, a in enumerate(system.domain.space_axes)}
        known: dict[tuple[int, ...], np.ndarray] = {}
        values = {}
        for term in residual.plan.terms:
            if term.orders not in known:
                given = (term.orders,) if isinstance(mixture, Mixture) else ()
                known[term.orders] = mixture.on_host(points, *given)
            values[term] = known[term.orders][:, system.fields.index(term.field)]
        yield data, values
