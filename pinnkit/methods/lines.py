"""Method of lines for evolution problems on boxes, refined until its own error is small."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit import precision
from pinnkit.compile import System
from pinnkit.derivatives import Axis, ChebyshevAxis, FourierAxis, GridProvider, UniformAxis
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods.base import Method, Progress, Run
from pinnkit.methods.constrained import PROBE, ConstrainedModal, refusal
from pinnkit.methods.evolution import (
    components,
    initial_conditions,
    initial_values,
    space_axes,
    unsolvable,
)
from pinnkit.methods.faces import FaceRow, common_refusal, face_rows
from pinnkit.methods.gridfield import GridField
from pinnkit.methods.modal import Modal, parities, unsuited
from pinnkit.methods.semidiscrete import Semidiscrete
from pinnkit.solution import Solution, Status
from pinnkit.spec.condition import Kind

TIME_ACCURACY = 10
FIRST_POINTS = {"modal": (64, 32, 16), "walls": (33, 17, 9)}
MOST_POINTS = {"modal": (8192, 512, 64), "walls": (385, 65, 33)}
FIRST_STEPS, MANY_STEPS, MOST_STEPS = 64, 2**14, 2**18
FIRST_SNAPSHOTS, ODE_SNAPSHOTS, MOST_SNAPSHOTS = 64, 1024, 2048
MOST_VALUES = 40_000_000
FIRST_TOLERANCE, LAST_TOLERANCE, INITIAL_TAIL = 1e-6, 1e-13, 1e-4
LEVEL_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Level:
    """One resolution: points per axis, steps (or tolerance) in time, stored instants.

    `size` is the largest value found at the level before, 0 at the first.
    """

    points: Mapping[str, int]
    steps: int
    tolerance: float
    snapshots: int
    size: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """Fields (m, c, …grid) at a level, and what they cost, compilation apart."""

    level: Level
    grid: tuple[Axis, ...]
    data: np.ndarray
    seconds: float
    compiling: float = 0.0


class Lines(Method):
    """Method of lines: spectral in space, high order in time.

    Periodic axes are Fourier, axes between walls Chebyshev–Lobatto. Semi-linear problems that
    are periodic, or whose walls are symmetry planes, are stepped in Fourier modes by ETDRK4;
    others by diffrax (Dopri8, or Kvaerno5 where they are stiff). On periodic boxes fields without
    time derivatives may stand beside the others, if linear constraints with constant coefficients
    determine them: a streamfunction, a potential, the pressure of a flow. Points, steps and stored
    instants are refined until two successive resolutions differ by less than `rtol` (relative
    L2 over space and time), and that difference is the error estimate.

    - `points`: upper limit of the points along each space axis; None for as many as it takes.
    - `snapshots`: stored intervals in time; None for as many as interpolation in time needs.

    Raises `OptionError` for options out of range.
    """

    points: int | None = eqx.field(default=None, static=True)
    rtol: float = eqx.field(default=1e-8, static=True)
    snapshots: int | None = eqx.field(default=None, static=True)

    def __check_init__(self) -> None:
        if self.points is not None and self.points < 8:
            raise OptionError(f"Lines(points={self.points}) is too coarse. Give at least 8.")
        if not 0 < self.rtol < 1:
            raise OptionError(f"Lines(rtol={self.rtol}) is out of range. Give one in (0, 1).")
        if self.snapshots is not None and self.snapshots < 4:
            raise OptionError(f"Lines(snapshots={self.snapshots}) is too few. Give at least 4.")

    def supports(self, system: System) -> str | None:
        reason = common_refusal(system)
        if reason is not None:
            return reason
        if system.traits.steady:
            return "it has no time evolution (try Steady)"
        bound = system.constrained
        if system.evolution is None and bound is None:
            return unsolvable(system)
        reason = None if bound is None else _scoped(refusal, system, bound)
        if reason is not None:
            return reason
        if bound is None and any(r.kind is Kind.INTEGRAL for r in system.residuals):
            return "it has an integral condition, which no state between the steps need fulfil"
        given = initial_conditions(system)
        missing = [
            f"{f} ({j} time derivatives)" for f, j in components(system) if (f, j) not in given
        ]
        if missing:
            return f"it lacks initial values of {', '.join(missing)}"
        try:
            _scoped(face_rows, system)
        except MethodError as error:
            return str(error)
        return None

    def run(self, system: System, run: Run) -> Solution:
        with precision.scope("float64"):
            rows = face_rows(system)
            modal = system.constrained is not None or unsuited(system, rows) is None
            solve = _solver(system, rows, modal)
            results, errors, reason = _refine(self, system, run, solve, modal)
        return self._solution(system, run, results, errors, reason, modal)

    def _solution(self, system, run, results, errors, reason, modal) -> Solution:
        finite = [r for r in results if np.isfinite(r.data).all()]
        best = (finite or results)[-1]
        grid, data = _with_time(system, best)
        dtype = jnp.float32 if run.precision == "float32" else jnp.float64
        worst = max(errors[-1].values()) if errors else math.inf
        scheme = "ETDRK4 in Fourier modes" if modal else "diffrax on a collocation grid"
        stats = {"scheme": scheme, "wall_s": run.elapsed, "snapshots": best.level.snapshots}
        stats |= _left_open(system)
        stats |= {f"points {axis.name}": axis.n for axis in best.grid}
        stats |= {"steps": best.level.steps} if modal else {"tolerance": best.level.tolerance}
        return Solution(
            system.problem,
            GridField(jnp.asarray(data, dtype), grid),
            self.name,
            Status(bool(np.isfinite(worst)) and worst < 1e-2, reason, run.interrupted()),
            history={
                "step": np.arange(1, len(errors) + 1),
                "wall_s": np.cumsum([r.seconds for r in results])[1:],
                "error_estimate": np.array([max(e.values()) for e in errors]),
            },
            stats=stats,
            error_estimate=errors[-1] if errors else None,
            precision=run.precision,
        )


def _scoped(function: Callable, *arguments):
    with precision.scope("float64"):
        return function(*arguments)


def _left_open(system: System) -> dict[str, str]:
    """What is told of means that no condition fixes."""
    if system.constrained is None:
        return {}
    with precision.scope("float64"):
        small = ConstrainedModal(system, dict.fromkeys(space_axes(system), PROBE))
    fields = [field for field in small.open if field not in small.means]
    return {f"mean {field}": "left open by the problem, set to zero" for field in fields}


def _solver(system: System, rows: tuple[FaceRow, ...], modal: bool) -> Callable[[Level], Result]:
    """The function that solves one level; what is compiled serves all levels of one grid."""

    @functools.cache
    def scheme(points: tuple[tuple[str, int], ...]) -> Modal | Semidiscrete:
        if not modal:
            return Semidiscrete(system, rows, dict(points))
        if system.constrained is not None:
            return ConstrainedModal(system, dict(points))
        found = parities(system, rows)
        assert found is not None
        return Modal(system, found, dict(points))

    def solve(level: Level) -> Result:
        began = time.monotonic()
        made = scheme(tuple(level.points.items()))
        times = _times(system, level)
        if isinstance(made, Modal):
            data = made.solve(times, level.steps)
        else:
            data = made.solve(times, level.tolerance, level.size)
        seconds = time.monotonic() - began
        compiling = made.compiling if isinstance(made, Modal) else 0.0
        return Result(level, made.grid, data, seconds, compiling)

    return solve


def _times(system: System, level: Level) -> np.ndarray:
    lo, hi = system.domain.bounds[system.time or ""]
    return np.linspace(lo, hi, level.snapshots + 1)


def _first(method: Lines, system: System, modal: bool) -> Level:
    """The coarsest level: it represents the initial values to INITIAL_TAIL."""
    names = space_axes(system)
    first = FIRST_POINTS["modal" if modal else "walls"][max(len(names) - 1, 0)]
    limit = _most(method, len(names), modal) // 2
    points = dict.fromkeys(names, min(first, max(limit, 4)))
    while names and max(points.values()) <= limit // 2:
        grid = tuple(_plain_axis(system, name, points[name]) for name in names)
        snapshot = Result(Level(points, 1, 1, 1), grid, _initial(system, grid), 0.0)
        tails = {name: _tail(snapshot, i) for i, name in enumerate(names)}
        if max(tails.values()) <= INITIAL_TAIL:
            break
        points = {name: n * (2 if tails[name] > INITIAL_TAIL else 1) for name, n in points.items()}
    snapshots = method.snapshots or (FIRST_SNAPSHOTS if names else ODE_SNAPSHOTS)
    tolerance = FIRST_TOLERANCE if names else method.rtol / 10
    return Level(points, max(FIRST_STEPS, snapshots), tolerance, snapshots)


def _plain_axis(system: System, name: str, n: int) -> Axis:
    kind = FourierAxis if name in system.traits.periodic else ChebyshevAxis
    return kind(name, *system.domain.bounds[name], n)


def _most(method: Lines, dimension: int, modal: bool) -> int:
    """Upper limit of the points along each axis."""
    most = MOST_POINTS["modal" if modal else "walls"][max(dimension - 1, 0)]
    return min(method.points or most, most)


def _initial(system: System, grid: tuple[Axis, ...]) -> np.ndarray:
    """Initial values of the fields on a grid, (1, c, …grid)."""
    coordinates = GridProvider(grid).coordinates()
    values = [
        jax.jit(lambda z, f=field: initial_values(system, f, 0, z))(coordinates)
        for field, j in components(system)
        if j == 0
    ]
    return np.stack([np.asarray(v) for v in values])[None]


def _refine(method: Lines, system: System, run: Run, solve, modal: bool):
    """Solve at ever finer levels; returns results, their differences, and why it stopped."""
    results, errors = [solve(_first(method, system, modal))], []
    most = _most(method, len(results[0].grid), modal)
    while True:
        previous = results[-1]
        level = _next(method, system, previous, errors, modal)
        reason = _limit(run, level, results, len(system.fields), modal)
        if errors and reason is not None:
            worst = max(errors[-1].values())
            return results, errors, f"{reason}, with an estimated error of {worst:.1e}"
        results.append(solve(level))
        estimate = _difference(system.fields, previous, results[-1], most)
        errors.append(estimate)
        worst = max(estimate.values())
        run.report(Progress("refinement", len(errors), None, {}, run.elapsed, worst))
        if worst <= method.rtol:
            return results, errors, f"converged: two resolutions agree to {worst:.1e}"


def _next(method: Lines, system: System, last: Result, errors: list, modal: bool) -> Level:
    """Finer in time, and along the axes of space whose tails may be seen in the error.

    Where the solution grew beyond all bounds in Fourier modes, the steps were too long.
    """
    level = last.level
    worst = max(errors[-1].values()) if errors else 0.0
    seen = 0.03 * max(method.rtol, worst if math.isfinite(worst) else 0.0)
    points = dict(level.points)
    most = _most(method, len(points), modal)
    finite = bool(np.isfinite(last.data).all())
    for i, axis in enumerate(last.grid):
        name = axis.name
        finer = 2 * points[name] if isinstance(axis, FourierAxis) else 2 * points[name] - 1
        blown_up = not finite and (not modal or level.steps >= MANY_STEPS)
        if blown_up or (finite and _tail(last, i) > seen):
            points[name] = min(finer, most)
    snapshots = level.snapshots
    if method.snapshots is None and finite and _gap(last) > 0.1 * method.rtol:
        size = len(system.fields) * math.prod(points.values())
        snapshots = min(2 * snapshots, MOST_SNAPSHOTS, max(snapshots, MOST_VALUES // size))
    factor = 2 if finite or not modal else 4
    steps = snapshots * max(1, round(factor * level.steps / snapshots))
    size = float(np.abs(last.data).max()) if finite else level.size
    return Level(points, steps, max(level.tolerance / 30, LAST_TOLERANCE), snapshots, size)


def _limit(run: Run, level: Level, results: list[Result], fields: int, modal: bool) -> str | None:
    """Why the next level should not be run, or None."""
    last = results[-1]
    ratio = math.prod(level.points.values()) / math.prod(last.level.points.values())
    marching = last.seconds - last.compiling
    expected = marching * ratio * (2 if not modal else level.steps / last.level.steps)
    expected += last.compiling
    if not np.isfinite(last.data).all():
        expected = last.seconds
    if run.interrupted():
        return "interrupted"
    if not modal and level.points == last.level.points and last.level.tolerance <= LAST_TOLERANCE:
        return "stopped at the finest resolution"
    if level.steps > MOST_STEPS:
        return "stopped at the largest number of steps"
    if expected > run.remaining:
        return "stopped within the time budget"
    if run.seconds is None and expected > LEVEL_SECONDS:
        return f"stopped, as the next refinement would take some {expected:.0f} s"
    if fields * math.prod(level.points.values()) * level.snapshots > 4 * MOST_VALUES:
        return "stopped at the largest grid that is kept in memory"
    return None


def _tail(result: Result, i: int) -> float:
    """Relative L2 part of the data in the highest tenth of the modes that axis i carries."""
    axis, data = result.grid[i], result.data
    thin = data[:: max(1, len(data) // 32)]
    if isinstance(axis, FourierAxis):
        modes = np.moveaxis(np.abs(np.fft.rfft(thin, axis=i + 2)), i + 2, -1)
        high = modes[..., int(0.3 * axis.n) :]
    else:
        fewer = dataclasses.replace(axis, n=int(0.9 * axis.n))
        smooth = fewer.interpolation_matrix(axis.nodes) @ axis.interpolation_matrix(fewer.nodes)
        modes = np.moveaxis(thin, i + 2, -1)
        high = modes - modes @ smooth.T
    norms = [
        np.linalg.norm(high[:, c]) / max(np.linalg.norm(modes[:, c]), 1e-300)
        for c in range(data.shape[1])
    ]
    return float(max(norms))


def _gap(result: Result) -> float:
    """Estimated relative error of the interpolation in time between the stored instants.

    Every second instant is interpolated from the others; halving the interval gains the order.
    """
    data = result.data
    if len(data) < 2 * TIME_ACCURACY + 5:
        return 0.0
    axis = UniformAxis("t", 0.0, 1.0, (len(data) + 1) // 2, TIME_ACCURACY)
    nodes = np.linspace(0.0, 1.0, 2 * axis.n - 1)[1::2]
    rows = axis.interpolation_matrix(nodes)
    fraction = 2.0 ** (TIME_ACCURACY - 2)
    return max(
        _relative(np.tensordot(rows, data[::2, c], 1), data[1::2, c]) / fraction
        for c in range(data.shape[1])
    )


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-300))


def _difference(
    fields: tuple[str, ...], coarse: Result, fine: Result, most: int
) -> dict[str, float]:
    """Relative L2 difference on the common nodes, by field, plus what it does not show.

    That is the gap in time and the tails along axes that could have been refined, but were not.
    """
    pairs = enumerate(zip(coarse.grid, fine.grid, strict=True))
    thin = fine.data[:: fine.level.snapshots // coarse.level.snapshots]
    for i, (old, new) in enumerate(zip(coarse.grid, fine.grid, strict=True)):
        if new.n == old.doubled().n:
            thin = np.take(thin, np.arange(0, new.n, 2), axis=i + 2)
        elif new.n != old.n:
            thin = np.asarray(new.resample(jnp.asarray(thin), i + 2, old.n))
    same = [i for i, (a, b) in pairs if a.n == b.n and fine.level.points[b.name] < most]
    hidden = _gap(fine) + sum(_tail(fine, i) for i in same)
    found = {}
    for c, name in enumerate(fields):
        error = _relative(coarse.data[:, c], thin[:, c]) + hidden
        found[name] = error if math.isfinite(error) else math.inf
    return found


def _with_time(system: System, result: Result) -> tuple[tuple[Axis, ...], np.ndarray]:
    """The grid with time in the system's order of axes, and data (c, …) to match."""
    name = system.time or ""
    lo, hi = system.domain.bounds[name]
    where = system.axes.index(name)
    times = UniformAxis(name, lo, hi, result.level.snapshots + 1, TIME_ACCURACY)
    grid = (*result.grid[:where], times, *result.grid[where:])
    return grid, np.moveaxis(result.data, 0, where + 1)
