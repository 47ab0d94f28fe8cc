"""Choice of collocation points: where the rows of a system on given boxes are written."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pinnkit.compile import Residual, System, Term
from pinnkit.experts.assembly import (
    CONSTRAINT_WEIGHT,
    SIDE_WEIGHT,
    Collocation,
    Face,
    Handover,
    Join,
    Lineariser,
    Site,
    field_magnitudes,
)
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
from pinnkit.experts.integrals import totals
from pinnkit.experts.layout import Boxes
from pinnkit.experts.pieces import pieces, runs
from pinnkit.experts.points import place_key
from pinnkit.spec.condition import Kind


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
    dim = pairs.local_left.shape[1]
    every = [tuple(o if i == axis else 0 for i in range(dim)) for o in range(order)]
    return [Join(field, orders, pairs, _faces(basis, pairs, orders)) for orders in every]


def _faces(basis: Basis, pairs: Pairs, orders: Orders) -> tuple[Face, ...]:
    """Features on both sides of every face, tabulated once for equal local points."""
    known: dict[bytes, np.ndarray] = {}

    def table(local: np.ndarray) -> np.ndarray:
        key = place_key(local)
        if key not in known:
            known[key] = basis.features(local, orders)
        return known[key]

    # Equal pairs of experts follow each other; the number names a pair.
    count = int(pairs.right.max()) + 1
    return tuple(
        Face(
            int(pairs.left[here.start]),
            int(pairs.right[here.start]),
            here,
            (table(pairs.local_left[here]), table(pairs.local_right[here])),
        )
        for here in runs(pairs.left * count + pairs.right)
    )


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
