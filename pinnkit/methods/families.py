"""Families: random input functions, with a classical solver for batches of them.

A problem without input function is made a family around itself: a Gaussian random field is added
to its initial state or to its source.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from pinnkit.compile import System, Term
from pinnkit.derivatives import Axis
from pinnkit.errors import MethodError
from pinnkit.methods.evolution import space_axes
from pinnkit.methods.random_functions import sample
from pinnkit.spec.laws import GaussianField


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

    def draw(self, nodes: Sequence[np.ndarray], count: int, seed: int) -> np.ndarray:
        """(count, *grid) functions on the tensor grid of `nodes`."""
        fields = sample(self.law, nodes, self.bounds, count, seed)
        if self.declared is None:
            return fields
        return self.declared(nodes)[None] + self.amplitude * fields


@dataclasses.dataclass(frozen=True, eq=False)
class Ensemble:
    """Input functions (S, *sensors) and solutions (S, c, *grid), axes in the system's order.

    `declared`: the input function of the problem as it was declared, or None.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    declared: np.ndarray | None


class Family(abc.ABC):
    """A problem with one random input function and a classical solver for batches of it.

    `sensors`: axes of the grid on which input functions are given; `grid`: those of solutions;
    `walls`: per axis of the grid, whether all fields vanish or are fixed at both its ends.
    """

    inputs: Inputs
    sensors: tuple[Axis, ...]
    grid: tuple[Axis, ...]
    walls: tuple[bool, ...]

    @abc.abstractmethod
    def solve(self, count: int, seed: int) -> Ensemble:
        """Draw and solve; the first functions do not depend on `count`."""


def law_of(system: System) -> object:
    function = system.problem.inputs[0]
    law = type(function).law  # type: ignore[attr-defined]
    axes = tuple(str(a) for a in function.args)
    if law is None:
        raise MethodError(
            f"its input function {system.inputs[0]} has no law "
            "(declare it with law=GaussianField())"
        )
    if axes != space_axes(system):
        raise MethodError(
            f"its input function {system.inputs[0]} depends on {', '.join(axes)}, not on "
            f"{', '.join(space_axes(system))} in this order"
        )
    return law


def input_term(system: System) -> Term:
    return Term(system.inputs[0], (0,) * len(system.axes), system.axes)


def around(name: str, bounds, boundary: str, declared, spread: float) -> Inputs:
    """Smooth perturbations whose rms is `spread` times that of the declared function."""
    length = max(hi - lo for lo, hi in bounds)
    law = GaussianField(tau=5 / length, alpha=2.0 + len(bounds) / 2, boundary=boundary, modes=16)
    nodes = [np.linspace(lo, hi, 33) for lo, hi in bounds]
    size = float(np.sqrt(np.mean(sample(law, nodes, bounds, 64, 0) ** 2)))
    scale = float(np.sqrt(np.mean(declared(nodes) ** 2))) or 1.0
    return Inputs(name, law, tuple(bounds), declared, spread * scale / size)
