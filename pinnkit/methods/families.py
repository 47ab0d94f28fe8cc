"""Families: random input functions, with a classical solver for batches of them.

A problem without input function is made a family around itself: a Gaussian random field is added
to its initial state or to its source.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from pinnkit.compile import System, Term, compile_problem
from pinnkit.derivatives import Axis
from pinnkit.errors import MethodError
from pinnkit.methods.faces import FaceRow, face_rows
from pinnkit.methods.random_functions import sample
from pinnkit.spec.condition import Kind
from pinnkit.spec.laws import Above, Exponential, GaussianField, Threshold, UniformConstant


@dataclasses.dataclass(frozen=True, eq=False)
class Inputs:
    """Random input functions of a family.

    `declared(z)` is the function of an ordinary problem around which the law's fields, times
    `amplitude`, vary; None for a family, whose functions follow the law itself.
    """

    name: str
    law: object
    bounds: tuple[tuple[float, float], ...]
    declared: Callable[[Sequence[np.ndarray]], np.ndarray] | None = None
    amplitude: float = 1.0

    def draw(self, nodes: Sequence[np.ndarray], samples: Iterable[int], seed: int) -> np.ndarray:
        """(S, *grid) functions on the tensor grid of `nodes`."""
        fields = sample(self.law, nodes, self.bounds, samples, seed)
        if self.declared is None:
            return fields
        return self.declared(nodes)[None] + self.amplitude * fields


@dataclasses.dataclass(frozen=True, eq=False)
class Ensemble:
    """Input functions (S, *sensors) and solutions (S, c, *grid), axes in the system's order.

    `errors` (S,): relative L2 difference of each solution from the one on half the grid with half
    the steps, the largest over the fields. That is the error of the coarser one, so that the
    solution itself is better. `declared`: the input function of the problem as it was declared,
    or None.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    errors: np.ndarray
    declared: np.ndarray | None


class Family(abc.ABC):
    """A problem with one random input function and a classical solver for batches of it.

    `sensors`: axes of the grid on which input functions are given; `grid`: those of solutions;
    `walls`: per axis of the grid, whether all fields vanish or are fixed at both its ends;
    `boundary`: per axis of the sensors, what the conditions say of the solution at its ends:
    "periodic", "dirichlet" (fixed values), "neumann" (fixed slopes) or "free" (none of these).
    """

    inputs: Inputs
    sensors: tuple[Axis, ...]
    grid: tuple[Axis, ...]
    walls: tuple[bool, ...]
    boundary: tuple[str, ...]

    @abc.abstractmethod
    def solve(self, samples: range, seed: int) -> Ensemble:
        """Draw and solve the samples with these indices; each depends on (seed, index) only.

        Raises MethodError for a sample without finite solution.
        """


def differences(fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Relative L2 differences (S, c, *grid) -> (S,), the largest over the fields.

    A field that is zero counts its absolute difference; infinite where one is not finite.
    """
    over = tuple(range(2, fine.ndim))
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.sum(fine**2, axis=over)
        square = np.sum((fine - coarse) ** 2, axis=over) / np.where(size > 0, size, 1.0)
    return np.nan_to_num(np.sqrt(square.max(axis=1)), nan=np.inf)


def require_finite(outputs: np.ndarray, samples: range, seed: int) -> None:
    """Raises MethodError that names the first sample with a value that is not finite."""
    bad = np.flatnonzero(~np.isfinite(outputs).all(axis=tuple(range(1, outputs.ndim))))
    if len(bad):
        raise MethodError(
            f"The solution of sample {samples[bad[0]]} (seed {seed}) is not finite: it grew beyond "
            "all bounds, or its steps are too long. Lower the law's scale (for an ordinary "
            "problem, the spread), shorten the time, or ask for more frames."
        )


def input_axes(system: System) -> tuple[str, ...]:
    """Coordinates of the input function."""
    return tuple(str(a) for a in system.problem.inputs[0].args)


def law_of(system: System, allowed: Sequence[tuple[str, ...]]) -> object:
    """The law of the input function, whose coordinates must be one of the tuples `allowed`.

    Raises MethodError without one, or for other coordinates.
    """
    function = system.problem.inputs[0]
    law = type(function).law  # type: ignore[attr-defined]
    if law is None:
        raise MethodError(
            f"its input function {system.inputs[0]} has no law "
            "(declare it with law=GaussianField())"
        )
    if input_axes(system) not in allowed:
        wanted = [" and ".join(axes) for axes in allowed]
        raise MethodError(
            f"its input function {system.inputs[0]} depends on "
            f"{', '.join(input_axes(system)) or 'nothing'}, not on "
            f"{', or on '.join(wanted)} in this order"
        )
    return law


def boundary_of(law: Any) -> str:
    """How a law's functions meet the ends of their box: a boundary, "free" or "any"."""
    if isinstance(law, Threshold | Exponential | Above):
        inner = boundary_of(law.law)
        return "free" if inner == "dirichlet" else inner
    if isinstance(law, UniformConstant):
        return "any"
    return getattr(law, "boundary", "free")


def modes_of(law: Any) -> int:
    """Waves per axis in a law's functions, 0 where none is the highest."""
    inner = getattr(law, "law", None)
    return modes_of(inner) if inner is not None else getattr(law, "modes", 0)


def input_term(system: System) -> Term:
    return Term(system.inputs[0], (0,) * len(system.axes), system.axes)


def around(
    name: str, bounds, boundary: str, declared, spread: float, zero_mean: bool = False
) -> Inputs:
    """Smooth perturbations whose rms is `spread` times that of the declared function."""
    length = max(hi - lo for lo, hi in bounds)
    law = GaussianField(
        tau=5 / length,
        alpha=2.0 + len(bounds) / 2,
        boundary=boundary,
        zero_mean=zero_mean,
        modes=16,
    )
    nodes = [np.linspace(lo, hi, 33) for lo, hi in bounds]
    size = float(np.sqrt(np.mean(sample(law, nodes, bounds, range(64), 0) ** 2)))
    scale = float(np.sqrt(np.mean(declared(nodes) ** 2))) or 1.0
    return Inputs(name, law, tuple(bounds), declared, spread * scale / size)


def side_rows(system: System) -> tuple[FaceRow, ...]:
    """The conditions on the sides, whose data may hold the input function.

    Raises MethodError where one holds a derivative of it.
    """
    rows = face_rows(system)
    for row in rows:
        for term in row.residual.input_plan.terms:
            if term.order:
                raise MethodError(
                    f"condition '{row.residual.name}' holds {term}, a derivative of its input "
                    "function; declare that as the input function"
                )
    return rows


def starting_from_zero(system: System) -> System:
    """The system with zero in place of input functions in its initial conditions."""
    if not system.inputs:
        return system
    zero = [(function, 0) for function in system.problem.inputs]
    conditions = tuple(
        dataclasses.replace(c, value=c.value.subs(zero)) if c.kind is Kind.INITIAL else c
        for c in system.problem.conditions
    )
    return compile_problem(system.problem.replace(conditions=conditions))
