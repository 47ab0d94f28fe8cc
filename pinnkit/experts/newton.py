"""Newton's method in quasi-linear form: each step solves for the new coefficients themselves.

With F the residual and A its Jacobian at c, the step solves A c_new = A c - F(c) in the least
squares sense, so that the ridge or minimum norm acts on the coefficients and not on increments.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pinnkit.errors import MethodError
from pinnkit.experts.assembly import Linear

CONVERGED = 1e-11
STAGNATED = 1e-5
SHORTEST = 1.0 / 16.0
PATIENCE = 6
HOPELESS = 0.1


@dataclass(frozen=True)
class Newton:
    """Where the iteration stopped; `reason` in words, `change` the last relative change."""

    coefficients: np.ndarray
    iterations: int
    converged: bool
    reason: str
    change: float
    norm: float

    @property
    def wandered(self) -> bool:
        """Whether it stopped while a step still changed a good part of the solution."""
        return not self.converged and self.change > HOPELESS


@np.errstate(divide="ignore", over="ignore", invalid="ignore")
def newton(
    linear: Callable[[np.ndarray], Linear],
    solve: Callable[[Linear], np.ndarray],
    values: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    is_linear: bool = False,
    most: int = 12,
) -> Newton:
    """Iterate from `start` until the field values stop changing.

    `values(c)` are field values in units of their magnitudes; the change is measured in them. A
    step whose residual is not finite, or grows tenfold, is shortened; the result is always finite.
    Raises `MethodError` if the start itself has no finite residual.
    """
    present, current = start, linear(start)
    if not np.isfinite(current.norm):
        raise MethodError(
            "The residual of the initial guess is not finite: an equation has no finite real value "
            "at the initial values or, without time, where the fields are zero. Change the initial "
            "values, or write the field as a constant plus a new unknown that may vanish."
        )
    change, before = np.inf, np.inf
    for iteration in range(1, most + 1):
        following = solve(current)
        if is_linear:
            return Newton(following, 1, True, "linear", 0.0, linear(following).norm)
        following, current, fraction = _shortened(linear, present, following, current.norm)
        if fraction == 0.0:
            return _stopped(
                present, iteration, "no step makes the residual smaller", change, current
            )
        change = _relative(values(following - present), values(following))
        present = following
        if change <= CONVERGED or (change <= 1e-6 and change <= before**1.5 and fraction == 1.0):
            return Newton(present, iteration, True, "converged", change, current.norm)
        if change <= STAGNATED and change > 0.3 * before:
            return Newton(present, iteration, True, "converged to rounding", change, current.norm)
        if iteration >= PATIENCE and change > HOPELESS:
            return _stopped(present, iteration, "does not settle", change, current)
        before = change
    return _stopped(present, most, "reached its cap of iterations", change, current)


def _relative(difference: np.ndarray, whole: np.ndarray) -> float:
    size = float(np.sqrt(np.mean(whole**2)))
    return float(np.sqrt(np.mean(difference**2))) / max(size, 1e-300)


def _stopped(
    coefficients: np.ndarray, iteration: int, why: str, change: float, current: Linear
) -> Newton:
    reason = f"Newton {why} (last relative change {change:.1e})"
    return Newton(coefficients, iteration, False, reason, change, current.norm)


def _shortened(
    linear: Callable[[np.ndarray], Linear],
    present: np.ndarray,
    following: np.ndarray,
    norm: float,
) -> tuple[np.ndarray, Linear, float]:
    """The longest step of 1, 1/2, 1/4 ... with a finite residual that grows less than tenfold."""
    fraction = 1.0
    while fraction >= SHORTEST:
        tried = present + fraction * (following - present)
        if np.isfinite(tried).all():
            result = linear(tried)
            if result.norm <= 10.0 * max(norm, 1e-9):
                return tried, result, fraction
        fraction *= 0.5
    return present, linear(present), 0.0
