"""Whether the conditions determine a solution and agree, asked of coarse polynomial spaces.

With R c = b all conditions on one polynomial, rows and columns scaled such that |R c - b| and |c|
are L2 norms over the regions and the domain (in units of the fields, lengths in those of the
domain), two numbers say how a problem is posed, once seen at two or three degrees:

- mu = min |R c| / |c| is the inverse of the amplification of data. It settles where a problem is
  well-posed; it is zero to rounding where a condition is missing or the equation resonates, and
  falls geometrically with the degree where conditions stand at the wrong place.
- rho = min |R c - b| / |b| falls with the degree where a solution exists. It settles where
  conditions contradict each other. An unresolved solution does not look like that: rho then
  changes with the points. Only a boundary layer does, so equations that a coarse space sees
  without their highest derivative are not judged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy

from pinnkit.compile import System
from pinnkit.errors import MethodError
from pinnkit.experts.assembly import Collocation, Lineariser, Site, point_data
from pinnkit.experts.bases import Tensor
from pinnkit.experts.collocate import held_out
from pinnkit.experts.families import Chebyshev, Shape
from pinnkit.experts.layout import Single
from pinnkit.experts.solvers import dense_matrix, one_blas_thread
from pinnkit.spec.condition import Kind

SIZES = {1: (24, 45, 90, 150), 2: (60, 150, 300, 550), 3: (60, 150, 350)}
UNDETERMINED = 1e-9
UNDETERMINED_AT_RANDOM = 1e-12
ROUNDING = 1e-15
LARGEST_ROUNDING = 1e-7
FALLS = 0.5
FIRST_PART = 1.0 / 8.0
GROWS = 1e-3
"""mu above this on the first part of time: what made it small was growth, not a lack."""

CONTRADICTORY = 1e-4
SETTLED = (5e-3, 2e-3)
"""Relative change of rho from each size to the next, of the first three."""

RELIABLE = 1e-3
INVOLVED = 0.05
LEADING = 30.0
DEPENDENT = 1e-8


@dataclass(frozen=True)
class Part:
    """One condition: rows (m, fields * k) over the orthonormal functions and right side (m,)."""

    name: str
    equation: bool
    linear: bool
    matrix: np.ndarray
    rhs: np.ndarray


@dataclass(frozen=True)
class Space:
    """All conditions on one polynomial space, as the parts of R c = b."""

    system: System
    degrees: tuple[int, ...]
    rows: Collocation
    parts: tuple[Part, ...]
    functions: np.ndarray
    """Values (P, k) of the orthonormal functions at the points of the first equation."""

    def stability(self) -> tuple[float, np.ndarray]:
        """mu, and the functions (r, fields, k) that are amplified without bound, mu first."""
        matrix = np.concatenate([p.matrix for p in self.parts])
        factor = np.linalg.qr(matrix, mode="r") if matrix.shape[0] > matrix.shape[1] else matrix
        shape = (-1, len(self.system.fields), self.functions.shape[1])
        lacking = np.zeros(max(matrix.shape[1] - len(factor), 0))
        singular = np.concatenate([np.linalg.svd(factor, compute_uv=False), lacking])
        limit = UNDETERMINED if self.system.traits.linear else UNDETERMINED_AT_RANDOM
        limit = max(limit, min(ROUNDING * singular[0], LARGEST_ROUNDING))
        if singular[-1] > limit:
            return float(singular[-1]), np.zeros((0, *shape[1:]))
        lost = np.linalg.svd(factor, full_matrices=True)[2][singular <= limit]
        return float(singular[-1]), lost[::-1].reshape(shape)

    def residual(self, without: str = "") -> tuple[float, dict[str, float]]:
        """rho of all linear conditions, and the share of each; one may be left out."""
        known = [p for p in self.parts if p.linear]
        parts = [p for p in known if p.name != without]
        matrix = np.concatenate([p.matrix for p in parts])
        rhs = np.concatenate([p.rhs for p in parts])
        found = scipy.linalg.lstsq(matrix, rhs, cond=1e-12, lapack_driver="gelsy")
        assert found is not None
        norms = {p.name: float(np.linalg.norm(p.rhs - p.matrix @ found[0])) for p in parts}
        size = max(np.linalg.norm(p.rhs) for p in known)
        whole = float(np.linalg.norm(list(norms.values())))
        return whole / max(float(size), 1e-300), norms


def require_determined(system: System, linearisers: Mapping[str, Lineariser]) -> None:
    """Raise `MethodError` if conditions are missing, contradict each other, or are not finite.

    Nonlinear equations are linearised at random coefficients to see whether conditions are
    missing; only the linear conditions among themselves are asked for contradictions.
    """
    _refuse_ends_of_time(system)
    with one_blas_thread(), np.errstate(all="ignore"):
        _require_determined(system, linearisers)


def _require_determined(system: System, linearisers: Mapping[str, Lineariser]) -> None:
    sizes = SIZES.get(len(system.axes), (100, 250, 500))
    first = _space(system, linearisers, sizes[0])
    _refuse_infinite(first)
    # With time alone the count of initial values, checked with the declaration, is enough.
    if system.domain.space_axes == ():
        return
    if all(_finite(p) for p in first.parts):
        _require_stable(system, linearisers, sizes)
    if not any(r.kind is Kind.OBSERVED for r in system.residuals):
        _require_agreement(system, linearisers, sizes)


def _refuse_ends_of_time(system: System) -> None:
    if system.time is None:
        return
    end = system.domain.bounds[system.time][1]
    for residual in system.residuals:
        for name in residual.regions:
            if system.domain.region(name).fixed.get(system.time) == end:
                raise MethodError(
                    f"Least squares marches in {system.time} and cannot look ahead to condition "
                    f"'{residual.name}' on '{name}'. Give it at the start, or declare the domain "
                    f"without time=, so that {system.time} is an axis like the others."
                )


def _require_stable(
    system: System, linearisers: Mapping[str, Lineariser], sizes: tuple[int, ...]
) -> None:
    before = np.inf
    for size in sizes if system.traits.linear else sizes[:1]:
        space = _space(system, linearisers, size)
        _refuse_infinite(space)
        mu, lost = space.stability()
        if len(lost) and not _only_grows(system, linearisers, size):
            raise MethodError(_undetermined(space, lost))
        if mu > FALLS * before:
            return
        before = mu


def _only_grows(system: System, linearisers: Mapping[str, Lineariser], size: int) -> bool:
    """Whether a short interval of time is harmless: the solution grows, as it may."""
    if system.time is None:
        return False
    return _space(system, linearisers, size, FIRST_PART).stability()[0] > GROWS


def _require_agreement(
    system: System, linearisers: Mapping[str, Lineariser], sizes: tuple[int, ...]
) -> None:
    before, spaces = np.inf, []
    for size, change in zip(sizes, (np.inf, *SETTLED), strict=False):
        space = _space(system, linearisers, size)
        parts = tuple(p for p in space.parts if p.linear)
        if not parts or not all(_finite(p) for p in parts):
            return
        rho, _ = space.residual()
        if rho <= CONTRADICTORY or (spaces and abs(rho - before) > change * before):
            return
        before = rho
        spaces.append(space)
    # Where solutions grow strongly, their data are lost in rounding.
    reliable = not system.traits.linear or spaces[-1].stability()[0] >= RELIABLE
    if reliable and _sees_highest_derivatives(spaces[-1]):
        raise MethodError(_contradiction(spaces[1]))


def _space(
    system: System, linearisers: Mapping[str, Lineariser], size: int, share: float = 1.0
) -> Space:
    periodic = tuple(system.axes.index(a) for a in system.traits.periodic)
    basis = Chebyshev().sized(size, Shape(len(system.axes), periodic))
    assert isinstance(basis, Tensor)
    bounds = dict(system.domain.bounds)
    if system.time is not None:
        low, high = bounds[system.time]
        bounds[system.time] = (low, low + share * (high - low))
    rows = held_out(system, basis, Single().boxes(system.axes, bounds), linearisers)
    shape = (1, len(system.fields), basis.size)
    at = np.zeros(shape)
    if not system.traits.linear:
        at = np.random.default_rng(0).normal(size=shape) / basis.size
    functions, change = _orthonormal(rows)
    parts = tuple(_part(*given, at, change) for given in _separately(rows))
    return Space(system, basis.degrees, rows, parts, functions)


def _orthonormal(rows: Collocation) -> tuple[np.ndarray, np.ndarray]:
    """Values (P, k) of functions orthonormal over the domain, and their coefficients (n, k)."""
    (piece,) = rows.plain
    table = piece.tables[(0,) * rows.boxes.dim]
    weights = np.sqrt(_measure(rows.sites[0]))
    _, sizes, right = np.linalg.svd(weights[:, None] * table, full_matrices=False)
    keep = sizes > DEPENDENT * sizes[0]
    change = right[keep].T / sizes[keep]
    return table @ change, change


def _measure(site: Site) -> np.ndarray:
    """Quadrature weights of the site's points, of sum one."""
    weights = site.points.weights
    if site.residual.kind is Kind.OBSERVED:
        weights = np.ones(len(weights))
    return weights / weights.sum()


def _separately(rows: Collocation) -> Iterator[tuple[str, bool, bool, Collocation, np.ndarray]]:
    """Each condition's name, whether it is an equation, whether linear, rows and weights."""
    none = replace(rows, sites=(), first=(), joins=(), handover=(), totals=())
    for site in (*rows.sites, *rows.first):
        residual = site.residual
        equation = residual.kind is Kind.EQUATION
        alone = replace(none, sites=(site,))
        yield residual.name, equation, residual.linear, alone, _measure(site)
    for total in rows.totals:
        count = int(total.row.max()) + 1
        one = np.full(count, 1.0 / count)
        alone = replace(none, totals=(total,))
        yield total.residual.name, False, total.residual.linear, alone, one
    if rows.joins:
        count = sum(len(j.pairs.left) for j in rows.joins)
        one = np.full(count, 1.0 / count)
        yield "periodicity", False, True, replace(none, joins=rows.joins), one


def _part(
    name: str,
    equation: bool,
    linear: bool,
    rows: Collocation,
    weights: np.ndarray,
    at: np.ndarray,
    change: np.ndarray,
) -> Part:
    matrix, rhs = dense_matrix(rows.linear(at).rows, [rows.width])
    root = np.sqrt(weights)
    blocks = matrix.reshape(len(matrix), -1, len(change)) @ change
    return Part(name, equation, linear, root[:, None] * blocks.reshape(len(rhs), -1), root * rhs)


def _finite(part: Part) -> bool:
    return bool(np.isfinite(part.matrix).all() and np.isfinite(part.rhs).all())


def _refuse_infinite(space: Space) -> None:
    """Linear conditions have no unknown to blame: their data or coefficients are singular."""
    sites = {s.residual.name: s for s in (*space.rows.sites, *space.rows.first)}
    for part in space.parts:
        site = sites.get(part.name)
        if site is None or not part.linear or _finite(part):
            continue
        good = np.isfinite(part.matrix).all(axis=1) & np.isfinite(part.rhs)
        place = _place(space.system, site.points.physical[int(np.argmin(good))])
        raise MethodError(
            f"Condition '{part.name}' has no finite real value at {place}: it divides by zero, or "
            "takes a root or logarithm of a negative number there. Change the expression, or the "
            "domain so that it leaves that place out."
        )


def _place(system: System, point: np.ndarray) -> str:
    return ", ".join(f"{a} = {float(v):.3g}" for a, v in zip(system.axes, point, strict=True))


def _undetermined(space: Space, lost: np.ndarray) -> str:
    system = space.system
    values = np.einsum("pk,rfk->prf", space.functions, lost)
    energy = (lost**2).sum(axis=(0, 2))
    index = int(np.argmax(energy))
    name = system.fields[index]
    subject = f"Least squares: the conditions of '{system.problem.name}'"
    own = values[:, 0, index]
    if len(lost) == 1 and energy[index] > 0.99 and np.ptp(own) <= 1e-3 * np.abs(own).max():
        return (
            f"{subject} determine '{name}' only up to a constant. "
            f"Add Integral({name}, 0) or a value of {name} on a region."
        )
    peak = int(np.argmax((values[:, :, index] ** 2).sum(axis=1)))
    where = _place(system, space.rows.sites[0].points.physical[peak])
    if len(lost) == 1:
        return (
            f"{subject} determine '{name}' only up to multiples of a function, largest near "
            f"{where}, that satisfies all of them with zero data: a condition is missing, or the "
            f"equation is in resonance. Add a condition on {name} there, or Integral({name}, 0); "
            "or change the coefficient that resonates."
        )
    return (
        f"{subject} leave {len(lost)} of {lost[0].size} coefficients of a coarse polynomial "
        f"undetermined, most of '{name}', near {where}. Add the missing boundary, initial or "
        f"Integral conditions on {name}, or move those that stand at the wrong side."
    )


def _contradiction(space: Space) -> str:
    rho, norms = space.residual()
    conditions = [p.name for p in space.parts if p.linear and not p.equation]
    some = len(conditions) > 1 or len(norms) > 1
    involved = [n for n in conditions if some and space.residual(n)[0] <= INVOLVED * rho]
    subject = (
        f"Least squares: the conditions of '{space.system.problem.name}' contradict each other; "
        f"the best compromise leaves {rho:.2g} of the data unmatched."
    )
    if involved:
        names = ", ".join(f"'{n}'" for n in involved)
        which = "condition" if len(involved) == 1 else "any one of the conditions"
        return (
            f"{subject} Without {which} {names} there would be a solution. Change its value (or "
            "the source of the equation, which must balance the flux through the boundary), or "
            "remove it."
        )
    worst = sorted(norms, key=lambda n: -norms[n])[:2]
    names = " and ".join(f"'{n}'" for n in worst)
    return f"{subject} Most violated: {names}. Change their values, or remove one."


def _sees_highest_derivatives(space: Space) -> bool:
    """Whether the highest derivatives along each axis matter at the space's finest scale.

    An equation whose highest derivative is too small to be seen has boundary layers, which in the
    coarse space look like a contradiction.
    """
    rows, system = space.rows, space.system
    walls = [i for i, a in enumerate(system.axes) if a not in system.traits.periodic]
    equations = [s for s in rows.sites if s.residual.kind is Kind.EQUATION and s.residual.linear]
    return all(
        _share(system, rows, site, axis, space.degrees[axis]) >= LEADING
        for site in equations
        for axis in walls
        if any(t.orders[axis] for t in site.residual.plan.terms)
    )


def _share(system: System, rows: Collocation, site: Site, axis: int, degree: int) -> float:
    """Size of the highest derivative along the axis over that of the rest, at scale degree^-2."""
    nothing = np.zeros(len(site.points.owner))
    terms = site.residual.plan.terms
    data = point_data(system, site.points)
    _, slopes = site.linearise(dict.fromkeys(terms, nothing), data, system.parameters)
    wavenumber = 1.0 / rows.boxes.half[0]
    wavenumber[axis] *= degree**2
    highest = max(t.orders[axis] for t in terms)
    sizes = {True: 0.0, False: 0.0}
    for term in terms:
        size = float(np.sqrt(np.mean(np.square(slopes[term]))))
        size *= rows.magnitudes[system.fields.index(term.field)]
        sizes[term.orders[axis] == highest] += size * float(
            np.prod(wavenumber ** np.asarray(term.orders))
        )
    return sizes[True] / sizes[False] if sizes[False] else np.inf
