"""The answer: one type for networks, experts, operators and classical solvers."""

from __future__ import annotations

import abc
import dataclasses
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit import precision
from pinnkit.errors import OptionError
from pinnkit.spec.problem import Problem

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas
    import xarray

    from pinnkit.data import Dataset
    from pinnkit.derivatives import Axis
    from pinnkit.reference import Reference
    from pinnkit.report.compare import Comparison
    from pinnkit.report.held_out import HeldOut

CHUNK = 20_000
"""Points per dispatch when a solution is evaluated, so that memory stays bounded."""

ROUNDING = 1e-9
"""Points may lie outside the bounds by so much of the extent: bounds are rounded numbers."""

ON_CURVES = 1e-6
"""The same for edges of the domain that are not parallel to an axis."""


class Evaluator(eqx.Module):
    """A solution's values at points: (N, d) -> (N, c), columns as the solution's `fields`."""

    @abc.abstractmethod
    def __call__(self, points: jax.Array) -> jax.Array:
        """Values (N, c) at points (N, d)."""

    def with_inputs(self, inputs: Mapping[str, Any]) -> Evaluator:
        """The evaluator for given input functions; only operators take some."""
        raise OptionError(
            f"This solution takes no input functions, but {', '.join(inputs)} was given. "
            "Leave it out, or solve the family with Operator(...)."
        )


@runtime_checkable
class Learned(Protocol):
    """An evaluator that maps an input function, called `name`, to fields on grids."""

    @property
    def name(self) -> str: ...

    def predict(self, inputs: np.ndarray, grid: tuple[Axis, ...]) -> np.ndarray:
        """Fields (S, c, *grid) for input functions (S, *sensors)."""
        ...

    def predicted(self, fields: Any, skip: int = 1) -> Any:
        """Fields without what is given; the grid's axes follow after `skip` dimensions."""
        ...


class Pointwise(Evaluator):
    """A function of one point, (d,) -> (c,), mapped over points."""

    function: eqx.Module

    def __call__(self, points: jax.Array) -> jax.Array:
        return jax.vmap(self.function)(points)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Status:
    """Why a run ended, in words; `ok` is false if its result should not be used."""

    ok: bool
    reason: str
    interrupted: bool = False

    def __str__(self) -> str:
        return self.reason


class UnknownField(OptionError, KeyError):
    """A field that a solution does not have."""

    __str__ = Exception.__str__  # a KeyError would print its message in quotation marks


class Values(dict[str, np.ndarray]):
    """Arrays by field name; an unknown name raises `UnknownField` with the names there are."""

    def __missing__(self, name: object) -> np.ndarray:
        raise UnknownField(
            f"The solution has no field {name!r}. Choose from {', '.join(map(repr, self))}."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """Fields on a domain, with the account of how they were found.

    - `fields`: names of the components that `evaluator` returns.
    - `history`: arrays of equal length by name, with "step" and "wall_s".
    - `stats`: numbers and words about the run; "wall_s" is always there.
    - `error_estimate`: relative L2 error by field as the method itself estimates it, or None.
    - `provenance`: versions, digest, key, precision, device.
    """

    problem: Problem
    evaluator: Evaluator
    method: str
    status: Status
    fields: tuple[str, ...] = ()
    history: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    stats: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    error_estimate: Mapping[str, float] | None = None
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    precision: str = "float64"

    def __post_init__(self) -> None:
        if not self.fields:
            object.__setattr__(self, "fields", self.problem.field_names)

    def __call__(self, *unnamed: Any, **given: Any) -> dict[str, np.ndarray]:
        """Values at coordinates given by name, for example `solution(t=0.5, x=xs)["u"]`.

        Numbers go with arrays of any shape; arrays must agree in the number of dimensions and
        are broadcast against each other: `solution(t=ts[:, None], x=xs[None, :])` fills a grid.
        A solved operator also takes its input functions, each as an array on a uniform grid over
        its own coordinates or as a callable of arrays.

        A solution means nothing outside its domain: points outside the bounds of an axis (by more
        than 1e-9 of its extent) are an error, points within the bounds but outside the domain, in
        a hole for example, give NaN.

        Raises `OptionError` for missing, unknown or unnamed coordinates, for what is not a number,
        for arrays of different rank, and for points outside the bounds. An unknown field in the
        result is an `OptionError` and a `KeyError`.
        """
        inputs = {type(a).__name__ for a in self.problem.inputs}
        functions = {k: v for k, v in given.items() if k in inputs}
        coordinates = {k: v for k, v in given.items() if k not in inputs}
        points, shape = _points(self.problem, unnamed, coordinates)
        _refuse_outside(self.problem, points)
        values = self.at_points(points, functions)
        values[~self.problem.domain.contains(points, ON_CURVES)] = np.nan
        return Values({name: values[:, i].reshape(shape) for i, name in enumerate(self.fields)})

    def at_points(
        self, points: np.ndarray, functions: Mapping[str, Any] | None = None
    ) -> np.ndarray:
        """Values (N, c) at points (N, d), columns in the order of `domain.axes` and of `fields`.

        For points that are known to lie in the domain: nothing is checked.
        """
        with precision.scope(self.precision):
            evaluator = self.evaluator.with_inputs(functions) if functions else self.evaluator
            return np.array(evaluate(evaluator, points))

    @property
    def eigenvalues(self) -> dict[str, float]:
        """`{"E[0]": 0.5, "E[1]": 1.5}` of an eigenvalue problem; empty for any other."""
        heads = tuple(f"{e.name}[" for e in self.problem.eigenvalues)
        return {
            name: float(value)
            for name, value in self.stats.items()
            if heads and name.startswith(heads) and name.endswith("]")
        }

    def to_xarray(self, resolution: int | Mapping[str, int] = 101) -> xarray.Dataset:
        """Values on a uniform grid of the domain, as an `xarray.Dataset`."""
        from pinnkit.report.export import to_xarray

        return to_xarray(self, resolution)

    def export(self, path: str | Path, **options: Any) -> Path:
        """Write for other programs, the format by suffix; returns the path.

        - `.vtu`, `.vtk`: space at one time only, `time=`, by default the last.
        - `.pvd`: all of time for ParaView, as 51 `.vtu` files beside it.
        - `.h5`, `.nc`, `.npz`, `.csv`: all of time, or the one `time=`.
        - `.stablehlo`: of an operator, the function from inputs to fields as compiled code, which
          needs JAX alone (`report.compiled`).

        `resolution=` gives points per axis, as one number or by name; without it a domain with a
        mesh of its own keeps that in `.vtu`.

        Raises `OptionError` for another suffix or a time outside the domain.
        """
        from pinnkit.report.export import export

        return export(self, path, **options)

    def plot(self, path: str | Path | None = None, **options: Any) -> matplotlib.figure.Figure:
        """Profiles, x-t maps or 2-D fields, whichever suits the domain.

        With `path` written to a file (`.png`, `.pdf`, `.svg`); missing folders are made.
        """
        from pinnkit.report.plots import plot

        return plot(self, path, **options)

    def animate(self, path: str | Path, **options: Any) -> Path:
        """Write a film over time, `.gif` or `.mp4`; see `report.animate.animate` for options."""
        from pinnkit.report.animate import animate

        return animate(self, path, **options)

    def integrals(self, expressions: Mapping[str, Any], **options: Any) -> pandas.DataFrame:
        """Integrals over space by time of SymPy expressions of the problem's own fields.

        For example `{"energy": u**2 / 2}`; see `report.integrals.integrals` for options.
        """
        from pinnkit.report.integrals import integrals

        return integrals(self, expressions, **options)

    def compare(
        self,
        other: Solution | Reference | Dataset | str | Path,
        *,
        rename: Mapping[str, str] | None = None,
        time: float | None = None,
        resolution: int | Mapping[str, int] | None = None,
        every: int | Mapping[str, int] = 1,
        **unknown: Any,
    ) -> Comparison | HeldOut:
        """Norms of the difference from another solution, or from a file that others computed.

        - `rename`: name in the file -> name in the problem, such as `{"usol": "u"}`; also
          `"u[x,t]"` to state the order of an array's dimensions, and `"0.5": "x"` for a coordinate
          that the file leaves out.
        - `time`: compare at this stored time only.
        - `resolution`: points per axis of the uniform grid on which two solutions meet.

        An operator is also compared with the samples of a `Dataset`, or of a file in which
        `rename` names the input function; `every` thins these (`pk.read_dataset`). The result is
        then a `report.held_out.HeldOut`.

        Raises `ReferenceFileError` if the file cannot be used, and `OptionError` for unknown
        options, or if the two have nothing in common.
        """
        from pinnkit.report.compare import compare
        from pinnkit.report.held_out import compare_held_out, samples_in

        if unknown:
            raise OptionError(
                f"compare() has no option {', '.join(unknown)}. Choose from rename, time, "
                'resolution and every; names in a file are mapped by rename={"usol": "u"}.'
            )
        samples = samples_in(self, other, rename or {}, every)
        if samples is not None:
            return compare_held_out(self, *samples)
        return compare(self, other, rename=rename, time=time, resolution=resolution)

    def save(self, path: str | Path) -> Path:
        """Write a run file (`.h5` or `.hdf5`, data only), atomically; missing folders are made.

        Raises `OptionError` for another suffix (`export` writes values in other formats), and if
        the folder cannot be written.
        """
        from pinnkit.runfile import save

        return save(self, path)

    @staticmethod
    def load(path: str | Path, *classes: type) -> Solution:
        """Read a run file; nothing in it is executed.

        `classes` are network classes of your own that the file may hold.
        """
        from pinnkit.runfile import load

        return load(path, *classes)

    def __str__(self) -> str:
        lines = [f"{self.problem.name} by {self.method}: {self.status.reason}"]
        if "wall_s" in self.stats:
            lines.append(f"  wall time {self.stats['wall_s']:.2f} s, {self.precision}")
        if "boundary" in self.stats:
            lines.append(f"  boundary: {self.stats['boundary']}")
        if "error budget" in self.stats:
            table = str(self.stats["error budget"]).splitlines()
            lines.append("  error budget of the windows, in units of the fields' scales:")
            lines += [f"    {row}" for row in table]
        for name, error in (self.error_estimate or {}).items():
            lines.append(f"  {name}: estimated relative L2 error {error:.1e}")
        return "\n".join(lines)


def evaluate(evaluator: Evaluator, points: np.ndarray) -> np.ndarray:
    """Values (N, c) at points (N, d), compiled and in chunks of one shape."""
    if len(points) <= CHUNK:
        return np.asarray(_apply(evaluator, jnp.asarray(points)))
    padded = np.concatenate([points, np.repeat(points[-1:], -len(points) % CHUNK, axis=0)])
    parts = [
        np.asarray(_apply(evaluator, jnp.asarray(part)))
        for part in padded.reshape(-1, CHUNK, points.shape[1])
    ]
    return np.concatenate(parts)[: len(points)]


@eqx.filter_jit
def _apply(evaluator: Evaluator, points: jax.Array) -> jax.Array:
    return evaluator(points)


def _points(
    problem: Problem, unnamed: tuple[Any, ...], coordinates: Mapping[str, Any]
) -> tuple[np.ndarray, tuple[int, ...]]:
    axes = problem.domain.axes
    unknown = [name for name in coordinates if name not in axes]
    missing = [axis for axis in axes if axis not in coordinates]
    if unnamed or unknown or missing:
        raise OptionError(
            f"'{problem.name}' is evaluated at coordinates {', '.join(axes)}, given by name; "
            + (f"without a name: {len(unnamed)}. " if unnamed else "")
            + (f"missing: {', '.join(missing)}. " if missing and not unnamed else "")
            + (f"unknown: {', '.join(unknown)}. " if unknown else "")
            + f"Call solution({', '.join(f'{a}=...' for a in axes)})."
        )
    given = {axis: _numbers(axis, coordinates[axis]) for axis in axes}
    shapes = {name: array.shape for name, array in given.items() if array.ndim}
    if len({len(shape) for shape in shapes.values()}) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise OptionError(
            f"Coordinates have different numbers of dimensions ({listed}), which would broadcast "
            "silently. Scalars per point are (N,): use array[:, 0] or np.meshgrid."
        )
    try:
        arrays = np.broadcast_arrays(*(given[axis] for axis in axes))
    except ValueError as error:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise OptionError(
            f"Coordinates of shapes {listed} do not fit together. Give arrays of one shape."
        ) from error
    return np.stack([a.ravel() for a in arrays], axis=-1), arrays[0].shape


def _numbers(axis: str, given: Any) -> np.ndarray:
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"{axis}={reprlib.repr(given)}: not a number, nor an array of numbers. "
            f"Write for example {axis}=0.5 or {axis}=np.linspace(0, 1, 11)."
        ) from error


def _refuse_outside(problem: Problem, points: np.ndarray) -> None:
    """`OptionError` for points outside the bounding box, axis by axis."""
    complaints = []
    for axis, column in zip(problem.domain.axes, points.T, strict=True):
        low, high = problem.domain.bounds[axis]
        slack = ROUNDING * (high - low)
        out = column[(column < low - slack) | (column > high + slack)]
        if len(out):
            which = f"{out.min():.6g}" + (f" to {out.max():.6g}" if np.ptp(out) else "")
            complaints.append(
                f"{len(out)} of {len(column)} points lie outside {low:.6g} <= {axis} <= {high:.6g} "
                f"({axis} = {which})"
            )
    if complaints:
        raise OptionError(
            f"'{problem.name}' is solved on its domain only: {'; '.join(complaints)}. "
            "Evaluate inside, or solve on a larger domain."
        )
