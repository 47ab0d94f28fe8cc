"""The default method, chosen from the traits of a system."""

from __future__ import annotations

from collections.abc import Iterator

from pinnkit.compile.system import System
from pinnkit.errors import MethodError
from pinnkit.methods.base import Method
from pinnkit.methods.eigen import Eigen
from pinnkit.methods.least_squares import LeastSquares
from pinnkit.methods.lines import Lines
from pinnkit.methods.neural_operator import Operator
from pinnkit.methods.pinn import PINN
from pinnkit.methods.steady import Steady


def choose(system: System) -> tuple[Method, str]:
    """A good method for the system, and why, in words; see `candidates`."""
    return candidates(system)[0]


def candidates(system: System) -> list[tuple[Method, str]]:
    """The methods that apply, best first, each with the reason for its place, in words.

    Raises `MethodError` with every method's reason if none applies.
    """
    refused, found = [], []
    for method, why in _ranked(system):
        reason = method.supports(system)
        if reason is None:
            found.append((method, why))
        else:
            refused.append(f"{method.name}: {reason}")
    if found:
        return found
    raise MethodError(
        f"No method solves '{system.problem.name}' ({'; '.join(refused)}). "
        "Change the problem, or write a method of your own."
    )


def _ranked(system: System) -> Iterator[tuple[Method, str]]:
    traits = system.traits
    if traits.eigen:
        yield Eigen(), "Rayleigh-Ritz on neural experts split where coefficients jump"
        return
    if traits.family:
        yield Operator(), "a neural operator trained on solutions of the family"
        return
    if not system.domain.space_axes:
        yield Lines(), "a time integrator: with time as the only axis nothing is faster"
        yield PINN(), "a PINN with exact conditions, trained by self-scaled BFGS in float64"
        return
    yield LeastSquares(), "least-squares experts, whose layout follows the solution"
    yield PINN(), "a PINN with exact conditions, trained by self-scaled BFGS in float64"
    yield Lines(), "the method of lines"
    yield Steady(), "collocation with Newton iterations"
