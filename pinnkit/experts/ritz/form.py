"""Rayleigh-Ritz for -div(P grad u) + V u = E w u, on any conforming trial space.

Levels are stationary values of (int grad u . P grad u + V u^2 + oint s u^2) / int w u^2, where
n . P grad u = -s u on the natural part of the boundary. Continuity alone joins experts:
stationarity supplies the continuity of the flux. Levels of a richer space are never higher, and
never below the exact ones, provided that the integrals are exact (Courant and Hilbert, Methods of
Mathematical Physics I, chapter VI); a second, finer quadrature tells whether they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy

from pinnkit.errors import MethodError
from pinnkit.experts.ritz.krylov import largest
from pinnkit.experts.ritz.spaces import TrialSpace, require_room
from pinnkit.experts.ritz.tables import Table

SETTLED = 1e-12
"""Relative change of levels on a finer quadrature below which the integrals count as exact."""

REFINE = 1.6
MOST_NODES = 400
MOST_POINTS = 200_000
SPARE = 4
"""Levels found beyond those asked, so that a group of equal levels at the end is complete.

More are found as long as the group goes on."""

EQUAL = 1e-9
"""Relative distance below which levels count as one level of several modes."""

Coefficients = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
Stiffness = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Form:
    """The coefficients of the equation and of its natural boundary conditions.

    `coefficients(points (Q, d)) -> (P (Q, d, d), V (Q,), w (Q,))`. `stiffness` maps parts of the
    boundary to s(points (Q, d), normals (Q, d)) -> (Q,); a part that is left out has s = 0.
    """

    coefficients: Coefficients
    stiffness: Mapping[str, Stiffness]


@dataclass(frozen=True)
class Matrices:
    """Stiffness and mass (N, N), and the table on which they were integrated."""

    stiffness: np.ndarray
    mass: np.ndarray
    table: Table


@dataclass(frozen=True)
class Levels:
    """The lowest levels (m,) and their modes.

    `vectors` (N, m) are coefficients in the trial space with int w u_i u_j = delta_ij.
    `quadrature` (m,) is the change of each level on a finer quadrature, `scale` the multiple of
    the usual number of nodes that was taken.
    """

    values: np.ndarray
    vectors: np.ndarray
    quadrature: np.ndarray
    scale: float


def rayleigh_ritz(form: Form, space: TrialSpace, count: int, scale: float = 1.0) -> Levels:
    """The `count` lowest levels, and a few more; quadrature is refined until it is exact.

    Where it does not settle, `quadrature` says by how much levels still move. Raises `MethodError`
    if P or w is not positive, or the space holds fewer levels.
    """
    require_room(space, count)
    while True:
        matrices = assemble(form, space, scale)
        values, vectors = _whole_groups(matrices, count)
        finer = _again(form, space, vectors, REFINE * scale)
        change = np.abs(values - finer)
        small = change <= SETTLED * np.maximum(np.abs(values), np.abs(values).max() * 1e-3)
        if small[:count].all() or finest(space, len(matrices.table.points), scale):
            return Levels(values, vectors * signs(matrices.table, vectors), change, scale)
        scale *= REFINE


def finest(space: TrialSpace, points: int, scale: float) -> bool:
    """Whether the next finer quadrature than one of `points` would be too large."""
    too_many = points * REFINE**space.boxes.dim > MOST_POINTS
    return too_many or space.nodes(REFINE * scale) > MOST_NODES


def _whole_groups(matrices: Matrices, count: int) -> tuple[np.ndarray, np.ndarray]:
    """At least `count` levels, and all that equal the last of these."""
    size, spare = len(matrices.mass), SPARE
    while True:
        values, vectors = lowest(matrices.stiffness, matrices.mass, min(count + spare, size))
        # Levels that are equal in the limit may still differ here.
        ends = values[-1] - values[count - 1] > 1e-3 * np.abs(values).max()
        if ends or count + spare >= size:
            return values, vectors
        spare *= 3


def assemble(form: Form, space: TrialSpace, scale: float) -> Matrices:
    """Stiffness (boundary terms included) and mass of the space."""
    table = space.table(scale)
    p, v, w = checked(form, table.points)
    mass = table.gram(w)
    stiffness = table.gram(v) if v.any() else np.zeros_like(mass)
    for i, j in np.ndindex(p.shape[1:]):
        if p[:, i, j].any():
            stiffness += table.gram(p[:, i, j], i, j)
    for face in space.faces(tuple(form.stiffness), scale):
        density = form.stiffness[face.name](face.table.points, face.normals)
        if density.any():
            stiffness += face.table.gram(density)
    return Matrices(0.5 * (stiffness + stiffness.T), 0.5 * (mass + mass.T), table)


def checked(form: Form, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The coefficients at points; raises `MethodError` unless P and w are positive and finite."""
    p, v, w = form.coefficients(points)
    for name, array in (("p", p), ("V", v), ("w", w)):
        bad = ~np.isfinite(array.reshape(len(points), -1)).all(axis=1)
        if bad.any():
            raise MethodError(
                f"Eigen: the coefficient {name} is not finite at {_place(points[bad][0])}. "
                "Keep singular points out of the domain, or rewrite the equation."
            )
    negative = np.linalg.eigvalsh(p)[:, 0] <= 0
    for name, bad in (("p", negative), ("w", w <= 0)):
        if bad.any():
            raise MethodError(
                "Eigen needs -div(p grad u) + V u = E w u with p > 0 and w > 0 inside the domain, "
                f"but {name} changes sign or vanishes at {_place(points[bad][0])}. "
                "Check the signs of the equation."
            )
    return p, v, w


def _place(point: np.ndarray) -> str:
    return "(" + ", ".join(f"{x:.4g}" for x in point) + ")"


def lowest(stiffness: np.ndarray, mass: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest levels (m,) and vectors (N, m), orthonormal in the mass.

    Found as the largest mu = 1/(E + shift) of mass against stiffness + shift mass. Directions of
    no mass go to E = infinity, never to 0, and in columns of unit length the metric is well
    conditioned, so small levels keep their relative accuracy.
    """
    diagonal, weight = np.diag(stiffness), np.diag(mass)
    ratio = np.sort(diagonal / weight)
    # The least ratio is a Rayleigh quotient: the lowest level lies below it, and may be negative.
    spread = float(ratio[min(count, len(ratio) - 1)] - ratio[0])
    shift = abs(float(ratio[0])) + max(spread, 0.0) + np.finfo(float).tiny
    values, vectors, shift = _inverted(stiffness, mass, shift, count)
    gap = max(float(values[-1] - values[0]), 1e-3 * abs(float(values[0])))
    if shift + values[0] > 10.0 * gap > 0.0:
        values, vectors, _ = _inverted(stiffness, mass, gap - float(values[0]), count)
    return values, vectors


def _inverted(
    stiffness: np.ndarray, mass: np.ndarray, shift: float, count: int
) -> tuple[np.ndarray, np.ndarray, float]:
    for _ in range(60):
        metric = stiffness + shift * mass
        length = np.sqrt(np.maximum(np.diag(metric), np.finfo(float).tiny))
        scaled = length[:, None] * length[None, :]
        try:
            found = largest(mass / scaled, metric / scaled, count)
        except np.linalg.LinAlgError:  # stiffness + shift mass is not positive yet
            shift = 2.0 * abs(shift) + 1.0
            continue
        vectors = found / length[:, None]
        values, rotation = _small(stiffness, mass, vectors)
        return values, vectors @ rotation, shift
    raise MethodError(
        "Eigen: the quadratic form has no lower bound that rounding leaves visible. Check the "
        "signs of the potential and of the boundary conditions."
    )


def _small(
    stiffness: np.ndarray, mass: np.ndarray, vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rayleigh-Ritz among given vectors (N, m): their error enters levels only squared."""
    k, m = vectors.T @ stiffness @ vectors, vectors.T @ mass @ vectors
    values, rotation = scipy.linalg.eigh(0.5 * (k + k.T), 0.5 * (m + m.T))
    return values, rotation


def _again(form: Form, space: TrialSpace, vectors: np.ndarray, scale: float) -> np.ndarray:
    """The levels of the same functions, integrated on `scale` times the nodes."""
    table = space.table(scale)
    p, v, w = checked(form, table.points)
    modes = table.values(vectors)
    slopes = [table.values(vectors, i) for i in range(table.points.shape[1])]
    k = modes.T @ ((table.weights * v)[:, None] * modes)
    for i, j in np.ndindex(p.shape[1:]):
        k += slopes[i].T @ ((table.weights * p[:, i, j])[:, None] * slopes[j])
    for face in space.faces(tuple(form.stiffness), scale):
        at = face.table.values(vectors)
        density = form.stiffness[face.name](face.table.points, face.normals)
        k += at.T @ ((face.table.weights * density)[:, None] * at)
    m = modes.T @ ((table.weights * w)[:, None] * modes)
    return scipy.linalg.eigh(0.5 * (k + k.T), 0.5 * (m + m.T), eigvals_only=True)


def signs(table: Table, vectors: np.ndarray) -> np.ndarray:
    """Signs (1, m) that make the first lobe, in the order of the table's points, positive."""
    modes = table.values(vectors)
    large = np.abs(modes) > 0.3 * np.abs(modes).max(axis=0)
    first = np.argmax(large, axis=0)
    return np.sign(modes[first, np.arange(modes.shape[1])])[None, :]


def groups(values: np.ndarray, spread: np.ndarray) -> list[list[int]]:
    """Indices of levels that are equal within `spread` (m,): each group spans one eigenspace."""
    found = [[0]]
    for i in range(1, len(values)):
        if values[i] - values[i - 1] <= spread[i] + spread[i - 1]:
            found[-1].append(i)
        else:
            found.append([i])
    return found
