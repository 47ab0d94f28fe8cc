"""Memory of one solve, predicted from sizes before it is spent."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pinnkit.compile import System
from pinnkit.experts.bases import Basis
from pinnkit.experts.chain import chain_levels
from pinnkit.experts.layout import Boxes
from pinnkit.experts.points import EDGE_RATIO
from pinnkit.experts.solvers import CONDENSE_ABOVE, DENSE_LIMIT, REVEALING_LIMIT
from pinnkit.spec.condition import Kind

DOUBLE = 8.0
ACTIVE = 6
"""Experts whose rows are there at once."""
ROW_COPIES = 3.0
"""Rows of an expert as assembled, stacked, and in the factorisation."""
CHAIN_COPIES = 3.0
FREE = 0.77
"""Directions that an expert leaves to its neighbours, by polynomial degree and order per face."""


def predicted_bytes(system: System, basis: Basis, boxes: Boxes) -> float:
    """Peak memory of a linear solve with `basis` on `boxes`, mostly within 20 %.

    Counted are points and their data, tables, the rows between experts (2 R N for R rows and N
    unknowns per expert), one triangle N^2 per expert, and what the solver adds: for a chain of
    levels with w experts, (w N)^2 and w w' N^2 beside the next one.
    """
    count, unknowns = boxes.count, len(system.fields) * basis.size
    faces = boxes.interfaces()
    joint, traces = _joint_rows(system, basis, Counter(face.axis for face in faces))
    own, kept, tables = _own_rows(system, basis)
    active = min(count, ACTIVE) * own * unknowns * ROW_COPIES
    stored = tables * basis.size + count * kept + 2.0 * joint * unknowns + count * unknowns**2
    levels = [len(w) for w in chain_levels([(f.left, f.right) for f in faces], count)]
    solver = _solver(levels, count, unknowns, joint, FREE * traces / count)
    return DOUBLE * (stored + max(active, solver))


def _joint_rows(system: System, basis: Basis, faces: Counter[int]) -> tuple[float, float]:
    """Rows between experts, and what their traces would be as polynomials."""
    rows = traces = 0.0
    edge = np.ceil(EDGE_RATIO * np.asarray(basis.nodes()))
    degree = basis.size ** (1.0 / len(edge))
    for axis, name in enumerate(system.axes):
        order = sum(system.traits.order[field, name] for field in system.fields)
        rows += faces[axis] * order * float(np.prod(np.delete(edge, axis)))
        traces += faces[axis] * order * degree ** (len(edge) - 1)
    return rows, traces


def _own_rows(system: System, basis: Basis) -> tuple[float, float, float]:
    """Rows of an expert, the numbers that its points keep, and rows of all tables."""
    nodes = np.asarray(basis.nodes(), dtype=float)
    inside, both = float(np.prod(nodes)), float(np.prod(nodes) + np.prod(nodes + 1))
    rows = kept = tables = 0.0
    for residual in system.residuals:
        terms = len(residual.plan.terms)
        if residual.kind is Kind.EQUATION and residual.regions == ("interior",):
            rows += inside
            kept += both * (2 * len(nodes) + 2) + inside * (terms + 2)
            tables += both * terms
    return rows, kept, tables + both


def _solver(levels: Sequence[int], count: int, unknowns: int, joint: float, free: float) -> float:
    total = count * unknowns
    cost, own = _chain_work(levels, unknowns, joint / count), 4.0 * count * unknowns**3
    small = total <= REVEALING_LIMIT and cost >= 0.2 * total**3
    if len(levels) <= 2 or total <= DENSE_LIMIT or small:
        return 2.0 * total * (total + joint)
    if cost < CONDENSE_ABOVE * own or total <= REVEALING_LIMIT:
        return _chain(levels, unknowns, joint / count)
    settled = unknowns - free
    parts = count * (settled * free + free**2) + 2.0 * joint * free
    return parts + _chain(levels, free, joint / count)


def _chain(levels: Sequence[int], width: float, joint: float) -> float:
    """Triangles of all levels with what stands beside them, and the rows of the largest one."""
    w = np.array([*levels, 0], dtype=float) * width
    own, following = w[:-1], w[1:]
    at_once = CHAIN_COPIES * np.asarray(levels) * joint * (own + following) + 2.0 * own**2
    return float(np.sum(own**2 + own * following) + np.max(at_once))


def _chain_work(levels: Sequence[int], unknowns: int, joint: float) -> float:
    """As `chain_cost`, with `joint` rows per expert, all of them between levels."""
    experts = np.array([*levels, 0], dtype=float)
    own, following = experts[:-1] * unknowns, experts[1:] * unknowns
    pairs = (experts[:-1] + experts[1:]) * (experts[1:] > 0)
    out = joint * experts.sum() * pairs / max(pairs.sum(), 1.0)
    carried = np.minimum(np.concatenate([[0.0], out[:-1]]), own)
    return float(np.sum(own**3 + 2.0 * (carried + out) * own**2 + 4.0 * out * own * following))
