"""The default method, chosen from the traits of a system."""

from __future__ import annotations

from collections.abc import Iterator

from pinnkit.compile.system import System
from pinnkit.errors import MethodError
from pinnkit.methods.base import Method
from pinnkit.methods.eigen import Eigen
from pinnkit.methods.least_squares import LeastSquares
from pinnkit.methods.lines import Lines
from pinnkit.methods.operator import Operator
from pinnkit.methods.pinn import PINN
from pinnkit.methods.steady import Steady


def choose(system: System) -> tuple[Method, str]:
    """A good method for the system, and why, in words.

    Raises `MethodError` with every method's reason if none applies.
    """
    refused = []
    for method, why in _candidates(system):
        reason = method.supports(system)
        if reason is None:
            return method, why
        refused.append(f"{method.name}: {reason}")
    raise MethodError(
        f"No method solves '{system.problem.name}' ({'; '.join(refused)}). "
        "Change the problem, or write a method of your own."
    )


def _candidates(system: System) -> Iterator[tuple[Method, str]]:
    traits = system.traits
    if traits.eigen:
        yield Eigen(), "Rayleigh-Ritz on neural experts split where coefficients jump"
        return
    if traits.family:
        yield Operator(), "a neural operator trained on solutions of the family"
        return
    if not system.domain.space_axes:
        yield Lines(), "a time integrator: with time as the only axis nothing is faster"
    if traits.linear:
        yield LeastSquares(), "least-squares experts: linear, so one solve gives all coefficients"
    yield PINN(), "a PINN with exact conditions, trained by self-scaled BFGS in float64"
    yield LeastSquares(), "least-squares experts with Newton iterations"
    yield Lines(), "the method of lines"
    yield Steady(), "collocation with Newton iterations"
