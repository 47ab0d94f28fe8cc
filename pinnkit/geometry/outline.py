"""The smooth curves that the boundary nodes of a mesh outline.

Edges between two corners that lie on a line become one segment, those on a circle one arc, others
a spline of fifth degree. The nodes of a mesh lie on the boundary that was meshed, its edges do not:
on a circle of radius R an edge of length h is off by h^2 / (8 R).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from pinnkit.geometry.curves import FULL, Arc, Curve, Segment

Names = tuple[str, ...]

STRAIGHT = 1e-6
"""Edges that turn by a smaller angle lie on one line."""

SHARP = np.radians(35.0)
"""A node at which the boundary turns by more is a corner; circles of eleven edges turn by less."""

GENTLE = np.radians(2.0)
"""A node at which it turns by less is none."""

CURVATURE_JUMP = 2.5
"""Between the two angles, a corner turns more per length than its neighbours, by this factor."""

ROUND = 1e-4
"""Nodes are on a circle if they are off by less than this share of the largest edge's sagitta."""

EXACT = 1e-10
"""... or by less than this share of the size of the loop."""


@dataclass(frozen=True)
class Loop:
    """A closed chain of nodes (n, 2), the domain on its left; `names` of the edge after each."""

    nodes: np.ndarray
    names: tuple[Names, ...]

    def turns(self) -> tuple[np.ndarray, np.ndarray]:
        """Angle by which the boundary turns at each node, and the mean length of its two edges."""
        after = np.roll(self.nodes, -1, axis=0) - self.nodes
        before = np.roll(after, 1, axis=0)
        cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
        lengths = np.linalg.norm(after, axis=1)
        mean = 0.5 * (lengths + np.roll(lengths, 1))
        return np.arctan2(cross, np.sum(before * after, axis=1)), mean

    def curves(self) -> tuple[Curve, ...]:
        """The smooth curves, split where names change."""
        turns, lengths = self.turns()
        breaks = _breaks(turns, lengths)
        if not breaks.size:
            return _named(*_fitted(self.nodes, turns, closed=True), self.names)
        found: list[Curve] = []
        count = len(self.nodes)
        for first, last in zip(breaks, [*breaks[1:], breaks[0] + count], strict=True):
            run = np.arange(first, last + 1) % count
            curve, at = _fitted(self.nodes[run], turns[run][1:-1], closed=False)
            found += _named(curve, at, [self.names[k] for k in run[:-1]])
        return tuple(found)


def loops(vertices: np.ndarray, edges: np.ndarray, names: Sequence[Names]) -> list[Loop]:
    """Directed edges (E, 2), each with its names, chained to loops."""
    leaving: dict[int, list[int]] = {}
    for k, start in enumerate(edges[:, 0].tolist()):
        leaving.setdefault(start, []).append(k)
    found = []
    while leaving:
        start = here = next(iter(leaving))
        chain = []
        while here in leaving:
            chain.append(leaving[here].pop())
            if not leaving[here]:
                del leaving[here]
            here = int(edges[chain[-1], 1])
            if here == start:
                break
        found.append(Loop(vertices[edges[chain, 0]], tuple(names[k] for k in chain)))
    return found


def _breaks(turns: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Numbers of the nodes that end a curve: corners, and where a straight stretch ends."""
    size = np.abs(turns)
    rate = size / lengths
    beside = np.maximum(np.roll(rate, 1), np.roll(rate, -1))
    corner = (size > SHARP) | ((size > GENTLE) & (rate > CURVATURE_JUMP * beside))
    flat = size < STRAIGHT
    straight = ~corner & ~flat & (np.roll(flat, 1) != np.roll(flat, -1))
    return np.flatnonzero(corner | straight)


class Fit(NamedTuple):
    """A curve and the parameters at which it meets the nodes."""

    curve: Curve
    at: np.ndarray


def _fitted(nodes: np.ndarray, turns: np.ndarray, closed: bool) -> Fit:
    """One smooth curve through `nodes` (n, 2) that turns by `turns` at the inner ones."""
    if np.all(np.abs(turns) < STRAIGHT):
        first, last = nodes[0], nodes[-1]
        segment = Segment((), (float(first[0]), float(first[1])), (float(last[0]), float(last[1])))
        return Fit(segment, segment.nearest(nodes))
    arc = _arc(nodes, closed)
    if arc is not None:
        return arc
    from pinnkit.geometry.spline import Spline  # loads SciPy's interpolation, which few need

    return Fit(*Spline.through(nodes, closed))


def _arc(nodes: np.ndarray, closed: bool) -> Fit | None:
    """The arc through nodes that lie on a circle; None if they do not, or are fewer than four."""
    if len(nodes) < 4:
        return None
    # |p|^2 = 2 c.p + (r^2 - |c|^2) is linear in what is sought.
    middle = nodes.mean(axis=0)
    shifted = nodes - middle
    rows = np.column_stack([2.0 * shifted, np.ones(len(nodes))])
    a, b, c = np.linalg.lstsq(rows, np.sum(shifted**2, axis=1), rcond=None)[0]
    radius = float(np.sqrt(c + a * a + b * b))
    offsets = shifted - (a, b)
    size = float(np.ptp(nodes, axis=0).max())
    around = np.concatenate([nodes, nodes[:1]]) if closed else nodes
    sagitta = float(np.max(np.sum(np.diff(around, axis=0) ** 2, axis=1))) / (8.0 * radius)
    off = np.abs(np.linalg.norm(offsets, axis=1) - radius).max()
    if not off <= max(ROUND * sagitta, EXACT * size) or radius > 1e4 * size:
        return None
    angles = np.unwrap(np.arctan2(offsets[:, 1], offsets[:, 0]))
    begin = float(angles[0])
    end = begin + np.sign(angles[1] - angles[0]) * FULL if closed else float(angles[-1])
    centre = float(middle[0] + a), float(middle[1] + b)
    return Fit(Arc((), centre, (radius, radius), begin, end), (angles - begin) / (end - begin))


def _named(curve: Curve, at: np.ndarray, names: Sequence[Names]) -> tuple[Curve, ...]:
    """The pieces of a curve along which the names of its edges do not change."""
    changes = [k for k in range(1, len(names)) if names[k] != names[k - 1]]
    if not changes:
        return (replace(curve, names=names[0]),)
    pieces = curve.cut(at[changes])
    return tuple(
        replace(piece, names=names[k]) for piece, k in zip(pieces, [0, *changes], strict=True)
    )
