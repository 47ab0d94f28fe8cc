"""Rayleigh-Ritz for -(p u')' + V u = E w u on an interval, experts split at given edges.

Levels are stationary values of (int p u'^2 + V u^2) / int w u^2 over continuous piecewise smooth u.
Continuity alone joins experts: stationarity supplies the continuity of the flux p u'. Levels of a
richer space of exact quadrature are never higher, and never below the exact ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from pinnkit.errors import MethodError
from pinnkit.experts.bases import Basis
from pinnkit.experts.layout import Boxes, tensor_boxes

CUT = 1e-8
"""Relative singular value below which columns are dropped: about the root of the rounding unit.

Amplified rounding grows like (eps/cut)^2 and lost approximation like cut^2."""

EXTRA_NODES = 20


@dataclass(frozen=True)
class End:
    """Condition at an end: u = 0 (`essential`), else p n u' = -`stiffness` u, or periodic."""

    essential: bool
    stiffness: float = 0.0
    periodic: bool = False


@dataclass(frozen=True)
class SturmLiouville:
    """Coefficients at points: `coefficients(x (P,)) -> (p, V, w)`, each (P,), of one smooth piece.

    It is called once per expert with the expert's number. `edges` increase strictly.
    """

    edges: tuple[float, ...]
    coefficients: Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
    left: End
    right: End


@dataclass(frozen=True)
class Levels:
    """The lowest levels (m,), modes as coefficients (K, m, n) with int w u^2 = 1, and the boxes."""

    values: np.ndarray
    coefficients: np.ndarray
    boxes: Boxes


def rayleigh_ritz(problem: SturmLiouville, basis: Basis, count: int) -> Levels:
    """The `count` lowest levels in the space of `basis` on every expert.

    Raises `MethodError` if p or w is not positive, or the space holds fewer levels.
    """
    boxes = tensor_boxes((problem.edges,))
    pieces = [_piece(problem, basis, boxes, k) for k in range(boxes.count)]
    stiffness = np.asarray(scipy.linalg.block_diag(*(p[0] for p in pieces)))
    mass = np.asarray(scipy.linalg.block_diag(*(p[1] for p in pieces)))
    transforms = [p[2] for p in pieces]
    starts = np.concatenate([[0], np.cumsum([t.shape[1] for t in transforms])])
    at_ends = [basis.features(np.array([[-1.0], [1.0]]), (0,)) @ t for t in transforms]
    _add_end(stiffness, at_ends[0][0], slice(0, starts[1]), problem.left)
    _add_end(stiffness, at_ends[-1][1], slice(starts[-2], starts[-1]), problem.right)
    free = _free_space(problem, at_ends, starts)
    if free.shape[1] < count:
        raise MethodError(
            f"{count} levels were asked of a trial space of dimension {free.shape[1]}. "
            "Ask for fewer levels or give more features."
        )
    values, vectors = _lowest(free.T @ stiffness @ free, free.T @ mass @ free, count)
    modes = free @ vectors
    coefficients = np.stack(
        [(t @ modes[a:b]).T for t, a, b in zip(transforms, starts[:-1], starts[1:], strict=True)]
    )
    return Levels(values, coefficients * _signs(coefficients, basis)[None, :, None], boxes)


def _piece(
    problem: SturmLiouville, basis: Basis, boxes: Boxes, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stiffness and mass of one expert in columns that are orthonormal in H1, and the columns."""
    nodes, weights = np.polynomial.legendre.leggauss(3 * basis.nodes()[0] // 2 + EXTRA_NODES)
    half = float(boxes.half[k, 0])
    value = basis.features(nodes[:, None], (0,))
    slope = basis.features(nodes[:, None], (1,)) / half
    root = np.sqrt(weights * half)[:, None]
    _, singular, right = scipy.linalg.svd(
        np.concatenate([root * value, root * half * slope]), full_matrices=False
    )
    keep = singular > CUT * singular[0]
    transform = right[keep].T / singular[keep][None, :]
    value, slope = value @ transform, slope @ transform
    p, v, w = problem.coefficients(k, float(boxes.centre[k, 0]) + half * nodes)
    if (p <= 0).any() or (w <= 0).any():
        raise MethodError(
            "Eigen needs -(p u')' + V u = E w u with p > 0 and w > 0 inside the domain, but "
            f"{'p' if (p <= 0).any() else 'w'} changes sign or vanishes on "
            f"[{problem.edges[k]:g}, {problem.edges[k + 1]:g}]. Check the signs of the equation."
        )
    measure = weights * half
    stiffness = slope.T @ ((measure * p)[:, None] * slope) + value.T @ (
        (measure * v)[:, None] * value
    )
    return stiffness, value.T @ ((measure * w)[:, None] * value), transform


def _add_end(stiffness: np.ndarray, at_end: np.ndarray, place: slice, end: End) -> None:
    if not end.essential:
        stiffness[place, place] += end.stiffness * np.outer(at_end, at_end)


def _free_space(
    problem: SturmLiouville, at_ends: list[np.ndarray], starts: np.ndarray
) -> np.ndarray:
    """Orthonormal basis of the coefficients that satisfy the joins and essential conditions."""
    rows = []
    for k in range(len(at_ends) - 1):
        row = np.zeros(starts[-1])
        row[starts[k] : starts[k + 1]] = at_ends[k][1]
        row[starts[k + 1] : starts[k + 2]] = -at_ends[k + 1][0]
        rows.append(row)
    first, last = np.zeros(starts[-1]), np.zeros(starts[-1])
    first[: starts[1]], last[starts[-2] :] = at_ends[0][0], at_ends[-1][1]
    if problem.left.periodic:
        rows.append(first - last)
    rows += [row for row, end in ((first, problem.left), (last, problem.right)) if end.essential]
    if not rows:
        return np.eye(starts[-1])
    return scipy.linalg.null_space(np.stack(rows))


def _lowest(stiffness: np.ndarray, mass: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest levels by the largest mu = 1/(E + shift) of mass against stiffness + shift mass.

    In this form the metric is well conditioned, so small levels keep their relative accuracy.
    """
    stiffness, mass = 0.5 * (stiffness + stiffness.T), 0.5 * (mass + mass.T)
    rough = scipy.linalg.eigh(stiffness, mass, eigvals_only=True)
    gap = float(rough[min(count, len(rough) - 1)] - rough[0])
    shift = max(gap, 1e-3 * abs(float(rough[0]))) - float(rough[0])
    inverse, vectors = scipy.linalg.eigh(mass, stiffness + shift * mass)
    order = np.argsort(inverse)[::-1][:count]
    chosen = vectors[:, order]
    levels = np.einsum("ij,ik,kj->j", chosen, stiffness, chosen) / np.einsum(
        "ij,ik,kj->j", chosen, mass, chosen
    )
    norms = np.sqrt(np.einsum("ij,ik,kj->j", chosen, mass, chosen))
    return levels, chosen / norms[None, :]


def _signs(coefficients: np.ndarray, basis: Basis) -> np.ndarray:
    """Signs that make the first lobe from the left positive."""
    nodes = np.linspace(-1.0, 1.0, 33)[:, None]
    features = basis.features(nodes, (0,))
    modes = np.einsum("qn,kmn->mkq", features, coefficients).reshape(coefficients.shape[1], -1)
    large = np.abs(modes) > 0.3 * np.abs(modes).max(axis=1, keepdims=True)
    first = np.argmax(large, axis=1)
    return np.sign(modes[np.arange(len(modes)), first])
