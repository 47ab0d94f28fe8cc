"""Levenberg and Marquardt's method for a few unknowns within bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MOST_STEPS = 40
SETTLED = 1e-9
FIRST_DAMPING = 1e-3
LARGEST_DAMPING = 1e12
EDGE = 1e-3
"""A parameter within this part of its range of a bound is said to lie on it."""


@dataclass(frozen=True)
class Range:
    """low < guess < high for one parameter, as p = low + (high - low) / (1 + exp(-z)).

    Where both bounds are positive the same holds for log p, which suits rates and coefficients
    that are known up to powers of ten.
    """

    low: float
    guess: float
    high: float

    @property
    def start(self) -> float:
        low, high = self._ends
        share = (self._into(self.guess) - low) / (high - low)
        return float(np.log(share) - np.log1p(-share))

    def value(self, z: float) -> float:
        low, high = self._ends
        inner = low + (high - low) * _logistic(z)
        return float(np.exp(inner)) if self.low > 0 else inner

    def slope(self, z: float) -> float:
        """dp/dz."""
        low, high = self._ends
        share = _logistic(z)
        inner = (high - low) * share * (1.0 - share)
        return inner * self.value(z) if self.low > 0 else inner

    def on_bound(self, value: float) -> bool:
        low, high = self._ends
        share = (self._into(value) - low) / (high - low)
        return not EDGE < share < 1.0 - EDGE

    @property
    def _ends(self) -> tuple[float, float]:
        return self._into(self.low), self._into(self.high)

    def _into(self, value: float) -> float:
        return float(np.log(value)) if self.low > 0 else value


def _logistic(z: float) -> float:
    return float(0.5 * (1.0 + np.tanh(0.5 * z)))


@dataclass(frozen=True)
class Step:
    """One accepted step: unknowns z, residuals (N,), Jacobian d residual / dz (N, r)."""

    z: np.ndarray
    residual: np.ndarray
    jacobian: np.ndarray

    @property
    def cost(self) -> float:
        return float(self.residual @ self.residual)


Evaluate = Callable[[np.ndarray], "np.ndarray | None"]
Differentiate = Callable[[np.ndarray], np.ndarray]


def minimise(
    evaluate: Evaluate,
    differentiate: Differentiate,
    start: np.ndarray,
    noted: Callable[[Step], None],
) -> tuple[Step, str]:
    """Minimise |residual(z)|^2 from `start`; the last accepted step, and why it stopped ("" if
    the steps became small).

    `evaluate(z)` is None where the model cannot be solved; such a step is shortened. `noted` hears
    of every accepted step. `start` must be solvable.
    """
    residual = evaluate(start)
    if residual is None:
        raise ValueError("the start of the iteration has no residual")
    present = Step(start, residual, differentiate(start))
    noted(present)
    damping = FIRST_DAMPING
    for _ in range(MOST_STEPS):
        found, change, damping = _improved(evaluate, present, damping)
        if found is None:
            return present, ""
        gained = present.cost - float(found[1] @ found[1])
        small = gained <= SETTLED * present.cost
        present = Step(found[0], found[1], differentiate(found[0]))
        noted(present)
        if small or change <= SETTLED:
            return present, ""
    return present, f"the misfit still falls after {MOST_STEPS} steps"


def _improved(
    evaluate: Evaluate, at: Step, damping: float
) -> tuple[tuple[np.ndarray, np.ndarray] | None, float, float]:
    """The first damped step that lowers the misfit, its size, and the damping for the next one."""
    scale = np.linalg.norm(at.jacobian, axis=0)
    scale = np.maximum(scale, 1e-8 * scale.max(initial=1e-300))
    while damping <= LARGEST_DAMPING:
        matrix = np.concatenate([at.jacobian, np.diag(np.sqrt(damping) * scale)])
        sides = np.concatenate([-at.residual, np.zeros(len(scale))])
        step = np.linalg.lstsq(matrix, sides, rcond=None)[0]
        change = float(np.abs(step).max())
        if change <= SETTLED:
            break
        # Steps in z above a few units only push parameters onto their bounds.
        step *= min(1.0, 3.0 / change)
        residual = evaluate(at.z + step)
        if residual is not None and float(residual @ residual) < at.cost:
            return (at.z + step, residual), change, max(0.1 * damping, 1e-12)
        damping *= 10.0
    return None, 0.0, damping
