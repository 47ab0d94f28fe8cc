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
WAITING = 8
"""Experts whose rows are there at once."""
ROW_COPIES = 2.0
"""Rows of one of them, stacked and in the factorisation."""
CHAIN_COPIES = 3.0


def predicted_bytes(system: System, basis: Basis, boxes: Boxes) -> float:
    """Peak memory of a linear solve with `basis` on `boxes`, mostly within 20 %.

    Counted are points and their data, tables, the rows between experts (2 R N for R rows and N
    unknowns per expert), one triangle N^2 per expert, and what the solver adds: for a chain of
    levels with w experts, (w N)^2 and w w' N^2 beside the next one.
    """
    count, unknowns = boxes.count, len(system.fields) * basis.size
    faces = boxes.interfaces()
    joint = _joint_rows(system, basis, Counter(face.axis for face in faces))
    own, kept, tables = _own_rows(system, basis)
    tables += _face_rows(system, basis, 2 * (boxes.dim * count - len(faces)))
    active = (min(count, WAITING) + ROW_COPIES) * own * unknowns
    stored = tables * basis.size + count * kept + 2.0 * joint * unknowns + count * unknowns**2
    levels = [len(w) for w in chain_levels([(f.left, f.right) for f in faces], count)]
    solver = _solver(levels, count, unknowns, joint, min(_harmonics(system, basis), unknowns))
    if any(residual.kind is Kind.INTEGRAL for residual in system.residuals):
        partial_sums = 2.0 * joint * unknowns + count * unknowns**2
        solver = max(solver, partial_sums)
    return DOUBLE * (stored + max(active, solver))


def _joint_rows(system: System, basis: Basis, faces: Counter[int]) -> float:
    """Rows between experts."""
    edge = np.ceil(EDGE_RATIO * np.asarray(basis.nodes()))
    across = [np.prod(np.delete(edge, axis)) for axis in range(len(edge))]
    return float(sum(faces[i] * order * across[i] for i, order in enumerate(_orders(system))))


def _face_rows(system: System, basis: Basis, outer: int) -> float:
    """Rows of the tables at `outer` faces on the boundary and at those between experts.

    Experts share tables where they have the same faces on the boundary: 3^d kinds have some.
    """
    dim = len(system.axes)
    rows = 0.0
    for more in (0, 1):
        edge = np.ceil(EDGE_RATIO * (np.asarray(basis.nodes()) + more))
        across = [float(np.prod(np.delete(edge, axis))) for axis in range(dim)]
        rows += min(outer, 2 * dim * 3 ** (dim - 1)) * sum(across) / dim
        rows += sum(2.0 * order * n for order, n in zip(_orders(system), across, strict=True))
    return rows


def _orders(system: System) -> list[int]:
    """Order of the system along each axis: the sum of its fields' orders."""
    return [sum(system.traits.order[f, axis] for f in system.fields) for axis in system.axes]


def _harmonics(system: System, basis: Basis) -> float:
    """Polynomials of the basis' degree that satisfy an elliptic equation of the system's order.

    These an expert's own rows leave to its neighbours: binom(p+d-1, d-1) + binom(p+d-2, d-1) for
    Laplace's equation, half the order times as many for others.
    """
    dim = len(system.axes)
    degree = basis.size ** (1.0 / dim) - 1.0
    laplace = 2.0 if dim == 1 else 2 * degree + 1 if dim == 2 else (degree + 1) ** (dim - 1)
    return 0.5 * float(np.mean(_orders(system))) * laplace


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
    return rows, kept, tables + inside


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
