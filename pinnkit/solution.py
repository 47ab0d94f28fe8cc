"""The answer: one type for networks, experts, operators and classical solvers."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit import precision
from pinnkit.errors import OptionError
from pinnkit.spec.problem import Problem

if TYPE_CHECKING:
    import matplotlib.figure
    import xarray

    from pinnkit.reference import Reference
    from pinnkit.report.compare import Comparison

CHUNK = 20_000
"""Points per dispatch when a solution is evaluated, so that memory stays bounded."""


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

    def __call__(self, **given: Any) -> dict[str, np.ndarray]:
        """Values at coordinates given by name, for example `solution(t=0.5, x=xs)["u"]`.

        Numbers go with arrays of any shape; arrays must agree in the number of dimensions and
        are broadcast against each other: `solution(t=ts[:, None], x=xs[None, :])` fills a grid.
        A solved operator also takes its input functions, each as an array on a uniform grid over
        its own coordinates or as a callable of arrays.

        Raises `OptionError` for missing or unknown names and for arrays of different rank.
        """
        inputs = {type(a).__name__ for a in self.problem.inputs}
        functions = {k: v for k, v in given.items() if k in inputs}
        coordinates = {k: np.asarray(v, dtype=float) for k, v in given.items() if k not in inputs}
        points, shape = _points(self.problem, coordinates)
        with precision.scope(self.precision):
            evaluator = self.evaluator.with_inputs(functions) if functions else self.evaluator
            values = np.asarray(evaluate(evaluator, points))
        return {name: values[:, i].reshape(shape) for i, name in enumerate(self.fields)}

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
        """Write for other programs, the format by suffix: .vtu, .nc, .csv, .h5, .npz."""
        from pinnkit.report.export import export

        return export(self, path, **options)

    def plot(self, path: str | Path | None = None, **options: Any) -> matplotlib.figure.Figure:
        """Profiles, x-t maps or 2-D fields, whichever suits the domain."""
        from pinnkit.report.plots import plot

        return plot(self, path, **options)

    def compare(self, other: Solution | Reference | str | Path, **options: Any) -> Comparison:
        """Norms of the difference from another solution, or from a file that others computed."""
        from pinnkit.report.compare import compare

        return compare(self, other, **options)

    def save(self, path: str | Path) -> Path:
        """Write a run file (HDF5, data only), atomically."""
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
    problem: Problem, given: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, tuple[int, ...]]:
    axes = problem.domain.axes
    unknown = [name for name in given if name not in axes]
    missing = [axis for axis in axes if axis not in given]
    if unknown or missing:
        raise OptionError(
            f"'{problem.name}' is evaluated at coordinates {', '.join(axes)}; "
            + (f"missing: {', '.join(missing)}. " if missing else "")
            + (f"unknown: {', '.join(unknown)}. " if unknown else "")
            + f"Call solution({', '.join(f'{a}=...' for a in axes)})."
        )
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
