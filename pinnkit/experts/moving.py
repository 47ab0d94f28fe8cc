"""How the conditions of one slab change where the boundary of the domain moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pinnkit.experts.assembly import Collocation, Site
from pinnkit.experts.forcing import Forcing
from pinnkit.experts.mixture import Mixture
from pinnkit.geometry import Domain

STEP = 1e-5
"""Displacement of the boundary in central differences, relative to the domain's extent."""


def boundary_forcing(
    rows: Collocation, coefficients: np.ndarray, domain: Callable[[float], Domain], at: float
) -> Forcing:
    """d residual / ds of boundary conditions on `domain(s)`, at s = `at`.

    At a point x of the boundary with normal n, moved to x + d(s) n with the boundary, the
    condition at the moved point is evaluated on the fields continued there.
    """
    system, boxes = rows.system, rows.boxes
    extent = float(np.max(boxes.upper.max(axis=0) - boxes.lower.min(axis=0)))
    step = STEP * max(extent, abs(at))
    ends = (domain(at - step), domain(at + step))
    fields = Mixture(rows.basis, boxes.lower, boxes.upper, coefficients, system.fields)
    space = [i for i, axis in enumerate(system.axes) if axis != system.time]

    def site(of: Site) -> np.ndarray | None:
        if of.points.normals is None or of.residual.regions == ("interior",):
            return None
        values = [_moved(of, fields, end, rows, space) for end in ends]
        return ((values[1] - values[0]) / (2.0 * step))[:, None]

    return Forcing(1, site, lambda total, j: None)


def _moved(
    site: Site, fields: Mixture, domain: Domain, rows: Collocation, space: Sequence[int]
) -> np.ndarray:
    """The residual of a site on the same region of another domain, (P,)."""
    points, normals = site.points.physical, site.points.normals
    assert normals is not None
    parts = [part for name in site.residual.regions for part in domain.region(name).parts]
    gaps = np.stack([part.distance(points) for part in parts])
    nearest = np.argmin(gaps, axis=0)
    size = max(high - low for low, high in domain.bounds.values())
    outside = ~domain.contains(points - 1e-9 * size * _outward(normals, points, space))
    moved = points + (np.where(outside, -1.0, 1.0) * gaps.min(axis=0))[:, None] * _outward(
        normals, points, space
    )
    turned = np.empty_like(normals)
    for index, part in enumerate(parts):
        mine = nearest == index
        if mine.any():
            turned[mine] = part.normals(moved[mine])
    system = rows.system
    values = {
        term: fields.on_host(moved, term.orders)[:, system.fields.index(term.field)]
        for term in site.residual.plan.terms
    }
    z = {axis: moved[:, i] for i, axis in enumerate(system.axes)}
    z |= {f"n_{axis}": turned[:, i] for i, axis in enumerate(system.domain.space_axes)}
    return np.asarray(site.linearise(values, z, system.parameters)[0])


def _outward(normals: np.ndarray, points: np.ndarray, space: Sequence[int]) -> np.ndarray:
    result = np.zeros_like(points)
    result[:, list(space)] = normals
    return result
