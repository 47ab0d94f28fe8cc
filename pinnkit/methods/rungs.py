"""Resolutions that were tried, and the solution that the best of them gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.compile import System
from pinnkit.experts.bases import Basis
from pinnkit.experts.march import March
from pinnkit.experts.mixture import Mixture
from pinnkit.methods.base import Run
from pinnkit.solution import Evaluator, Solution, Status

USABLE = 1e-3
SAMPLES = 2048


class Experts(Evaluator):
    """A mixture of experts as the values of a solution.

    `until` = (axis, end) where a march ended early: NaN beyond, rather than an extrapolation.
    """

    mixture: Mixture
    until: tuple[int, float] | None = eqx.field(static=True, default=None)

    def __call__(self, points: jax.Array) -> jax.Array:
        values = self.mixture(points)
        if self.until is None:
            return values
        axis, end = self.until
        return jnp.where((points[:, axis] > end)[:, None], jnp.nan, values)


@dataclass(frozen=True)
class Rung:
    """One resolution: a march on some layout with one basis."""

    march: March
    basis: Basis
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """All rungs of a run, in the order in which they were tried."""

    system: System
    rungs: Sequence[Rung]
    tolerance: float
    run: Run

    @property
    def complete(self) -> list[Rung]:
        """Rungs whose march reached the end of time."""
        return [r for r in self.rungs if not r.march.stopped]

    def solution(self, method: str) -> Solution:
        """The best rung; its error estimate is the difference from the second best."""
        complete = self.complete or list(self.rungs)
        best = min(complete, key=lambda r: r.march.held)
        others = [r for r in complete if r is not best and r.basis.size != best.basis.size]
        others = others or [r for r in complete if r is not best]
        mixture = mixture_of(self.system, best)
        estimate = None
        if others:
            nearest = min(others, key=lambda r: r.march.held)
            difference = _difference(self.system, mixture, mixture_of(self.system, nearest))
            estimate = {name: max(e, best.march.held) for name, e in difference.items()}
        return Solution(
            self.system.problem,
            Experts(mixture, self._until(best)),
            method,
            self._status(best, estimate),
            history=self._history(),
            stats=_stats(best),
            error_estimate=estimate,
        )

    def _until(self, best: Rung) -> tuple[int, float] | None:
        """Where a march that was stopped ends."""
        if not best.march.stopped or self.system.time is None:
            return None
        axis = self.system.axes.index(self.system.time)
        return axis, float(best.march.boxes.upper[:, axis].max())

    def _status(self, best: Rung, estimate: Mapping[str, float] | None) -> Status:
        march = best.march
        what = f"held-out residual {march.held:.1e} with {best.basis.size} features per expert"
        interrupted = self.run.interrupted()
        if march.stopped:
            reached = (
                f", reached {self.system.time} = {u[1]:.4g}" if (u := self._until(best)) else ""
            )
            return Status(False, f"{march.stopped}{reached}; {what}", interrupted)
        unsettled = [s.newton.reason for s in march.slabs if not s.newton.converged]
        if unsettled:
            mend = "refine the layout where the solution is steep, or shorten the slabs"
            return Status(False, f"{unsettled[0]}; {what}: {mend}", interrupted)
        error = max((estimate or {"": 0.0}).values())
        if not (march.held <= USABLE and error <= 0.1):
            mend = "not resolved, or the conditions contradict each other; refine the layout"
            return Status(False, f"{what}: {mend}", interrupted)
        if march.held <= self.tolerance:
            return Status(True, f"converged: {what}", interrupted)
        return Status(
            True, f"{what}; the tolerance {self.tolerance:.0e} was not reached", interrupted
        )

    def _history(self) -> dict[str, np.ndarray]:
        return {
            "step": np.arange(len(self.rungs)),
            "wall_s": np.cumsum([r.seconds for r in self.rungs]),
            "features": np.array([r.basis.size for r in self.rungs], dtype=float),
            "held_out": np.array([r.march.held for r in self.rungs]),
        }


def _stats(best: Rung) -> dict[str, float | int | str]:
    slabs = best.march.slabs
    stats: dict[str, float | int | str] = {
        "experts": slabs[-1].boxes.count,
        "slabs": len(slabs),
        "features": best.basis.size,
        "unknowns": int(slabs[-1].coefficients.size),
        "held_out_residual": best.march.held,
        "newton_iterations": max(s.newton.iterations for s in slabs),
        "largest_coefficient": float(np.abs(best.march.coefficients).max()),
        "solver": slabs[-1].solver,
    }
    if slabs[-1].rank >= 0:
        stats["rank"] = slabs[-1].rank
    return stats


def mixture_of(system: System, rung: Rung) -> Mixture:
    boxes = rung.march.boxes
    return Mixture(rung.basis, boxes.lower, boxes.upper, rung.march.coefficients, system.fields)


def _difference(system: System, fine: Mixture, coarse: Mixture) -> dict[str, float]:
    """Relative L2 difference by field, on points spread over the domain."""
    points = system.domain.region("interior").sample(SAMPLES, 0)
    a, b = fine.on_host(points), coarse.on_host(points)
    size = np.maximum(np.linalg.norm(a, axis=0), 1e-300)
    error = np.linalg.norm(a - b, axis=0) / size
    return {name: float(e) for name, e in zip(system.fields, error, strict=True)}
