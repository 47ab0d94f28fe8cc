"""Levenberg and Marquardt's method of optimistix, for the coefficients of a layer."""

from __future__ import annotations

import dataclasses

from jax import Array

from pinnkit.methods.constraint.outside import Vector, fit_by
from pinnkit.methods.constraint.solve import FIRST_DAMPING, Fit, Rows
from pinnkit.methods.constraint.solvers import InnerSolver


@dataclasses.dataclass(frozen=True)
class OptimistixLevenberg(InnerSolver):
    """`optimistix.LevenbergMarquardt`, which linearises the rows itself.

    It ends where steps are shorter than `tolerance`, relative to the unknowns or to their units
    (`outside`), and the sum of squares changes by less than `tolerance`.
    """

    def fit(self, rows: Rows, start: Array, shrink: float) -> Fit:
        # its first damping is one
        return fit_by(self._minimise, FIRST_DAMPING**-0.5, rows, start, shrink)

    def _minimise(self, residual: Vector, start: Array) -> tuple[Array, Array, Array]:
        import optimistix

        found = optimistix.least_squares(
            lambda z, _: residual(z),
            optimistix.LevenbergMarquardt(rtol=self.tolerance, atol=self.tolerance),
            start,
            max_steps=self.steps,
            throw=False,
        )
        settled = found.result == optimistix.RESULTS.successful
        return found.value, settled, found.stats["num_steps"]
