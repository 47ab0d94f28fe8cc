"""Integral conditions: rows that touch every expert."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np

from pinnkit.compile import Residual, System
from pinnkit.compile.compiler import lower
from pinnkit.compile.emit import Emitted
from pinnkit.experts.bases import Basis
from pinnkit.experts.collocation import Points, volume_points
from pinnkit.experts.layout import Boxes
from pinnkit.experts.pieces import Piece, pieces, piecewise_rows, piecewise_values
from pinnkit.experts.rows import Rows
from pinnkit.geometry import Box


@dataclass(frozen=True)
class Total:
    """sum_q w_q target(point_q) = value, one row per time node (`row` numbers it per point)."""

    system: System
    residual: Residual
    linearise: Callable
    value: Callable
    points: Points
    row: np.ndarray
    pieces: tuple[Piece, ...]
    weight: float

    def moved(self, boxes: Boxes) -> "Total":
        return replace(self, points=self.points.moved(boxes))

    def part(
        self, boxes: Boxes, coefficients: np.ndarray, magnitudes: Sequence[float], load: float
    ) -> tuple[np.ndarray, Callable[[], Iterator[Rows]]]:
        """Residuals and rows, for data scaled by `load`."""
        system, points = self.system, self.points
        terms = self.residual.plan.terms
        values = piecewise_values(self.pieces, boxes, coefficients, system.fields, terms)
        z = {axis: points.physical[:, i] for i, axis in enumerate(system.axes)}
        value, slopes = self.linearise(values, z, system.parameters)
        datum = np.broadcast_to(np.asarray(self.value({}, z, system.parameters)), value.shape)
        count = int(self.row.max()) + 1
        known = sum((slopes[t] * values[t] for t in terms), np.zeros(len(value)))
        integral = np.bincount(self.row, points.weights * (value + datum), count)
        linear = np.bincount(self.row, points.weights * known, count)
        wanted = load * datum[np.unique(self.row, return_index=True)[1]]
        size = max(magnitudes) * np.bincount(self.row, points.weights, count)
        scale = self.weight / size
        weights = {t: points.weights * s for t, s in slopes.items()}
        width = len(system.fields) * coefficients.shape[2]

        def assembled() -> Iterator[Rows]:
            blocks = [np.zeros((count, width)) for _ in range(boxes.count)]
            for piece, matrix in piecewise_rows(self.pieces, boxes, weights, system.fields):
                np.add.at(blocks[piece.expert], self.row[piece.where], matrix)
            scaled = tuple(scale[:, None] * block for block in blocks)
            experts = tuple(range(boxes.count))
            yield Rows(experts, scaled, scale * (wanted - integral + linear))

        return scale * (integral - wanted), assembled


def totals(
    system: System,
    basis: Basis,
    boxes: Boxes,
    residuals: Sequence[Residual],
    linearisers: Mapping[str, Callable],
    nodes: tuple[int, ...],
    weight: float,
) -> tuple[Total, ...]:
    """Quadrature for every integral condition; over space at every node of the time axis."""
    conditions = {c.name: c for c in system.problem.conditions}
    found = []
    for residual in residuals:
        what = f"Condition '{residual.name}'"
        value = Emitted(lower(conditions[residual.name].value, system.axes, what), what)
        points = _quadrature(system, boxes, residual.regions[0], nodes)
        row = np.zeros(len(points.owner), dtype=int)
        if system.time is not None:
            axis = system.axes.index(system.time)
            times = np.round(points.local[:, axis], 12)
            row = np.unique(times, return_inverse=True)[1].reshape(-1)
        found.append(
            Total(
                system,
                residual,
                linearisers[residual.name],
                jax.jit(value),
                points,
                row,
                pieces(basis, points, residual.plan.terms),
                weight,
            )
        )
    return tuple(found)


def _quadrature(system: System, boxes: Boxes, region: str, nodes: tuple[int, ...]) -> Points:
    domain = system.domain
    axis = None if system.time is None else system.axes.index(system.time)
    if isinstance(domain, Box) and region == "interior":
        points = volume_points(domain, boxes, nodes)
        if axis is None:
            return points
        gauss = np.polynomial.legendre.leggauss(nodes[axis])
        share = dict(zip(np.round(gauss[0], 12).tolist(), gauss[1].tolist(), strict=True))
        along = np.array([share[t] for t in np.round(points.local[:, axis], 12).tolist()])
        return replace(points, weights=points.weights / (along * boxes.half[points.owner, axis]))
    orders = {a: (1 if a == system.time else max(nodes) // 2) for a in system.axes}
    physical, weights = domain.region(region).quadrature(orders)
    if axis is not None:
        low, high = domain.bounds[str(system.time)]
        weights = weights / (high - low)
        times = boxes.lower[:, axis].min(), boxes.upper[:, axis].max()
        x = np.polynomial.legendre.leggauss(nodes[axis])[0]
        inner = times[0] + 0.5 * (times[1] - times[0]) * (x + 1.0)
        physical = np.tile(physical, (len(x), 1))
        physical[:, axis] = np.repeat(inner, len(weights))
        weights = np.tile(weights, len(x))
    owner = boxes.owners(physical)
    order = np.argsort(owner, kind="stable")
    owner, physical, weights = owner[order], physical[order], weights[order]
    return Points(owner, boxes.local(owner, physical), physical, weights)
