"""Levenberg and Marquardt's method of jaxopt, for the coefficients of a layer."""

from __future__ import annotations

import dataclasses
import warnings

import jax.numpy as jnp
from jax import Array

from pinnkit.methods.constraint.outside import Vector, fit_by
from pinnkit.methods.constraint.solve import FIRST_DAMPING, Fit, Rows
from pinnkit.methods.constraint.solvers import InnerSolver


@dataclasses.dataclass(frozen=True)
class JaxoptLevenberg(InnerSolver):
    """`jaxopt.LevenbergMarquardt` on QR factors.

    It ends where the gradient promises no larger gain than `tolerance` along any one unknown.
    jaxopt is no longer maintained.
    """

    def fit(self, rows: Rows, start: Array, shrink: float) -> Fit:
        # its damping is bounded, by 2^32
        return fit_by(self._minimise, 1.0, rows, start, shrink)

    def _minimise(self, residual: Vector, start: Array) -> tuple[Array, Array, Array]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import jaxopt
        tolerance = self.tolerance**0.5
        solver = jaxopt.LevenbergMarquardt(
            residual,
            maxiter=self.steps,
            damping_parameter=FIRST_DAMPING,
            tol=tolerance,
            solver="qr",
            materialize_jac=True,
            implicit_diff=False,
            jit=True,
            unroll=False,
        )
        z, state = solver.run(start)
        return z, state.error <= tolerance, jnp.asarray(state.iter_num)
