"""Resolutions that were tried, and the solution that the best of them gives."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.compile import System
from pinnkit.experts.assembly import Lineariser
from pinnkit.experts.audit import violation
from pinnkit.experts.bases import Basis
from pinnkit.experts.march import March
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.periodic import PeriodicMarch, TensorMixture
from pinnkit.experts.periodic.modes import kept_modes
from pinnkit.methods.base import Run
from pinnkit.solution import Evaluator, Solution, Status

USABLE = 1e-3
UNBALANCED = 1e-2
"""Share of its own terms by which no equation may be violated."""

SAMPLES = 2048


class Experts(Evaluator):
    """A mixture of experts as the values of a solution.

    `until` = (axis, end) where a march ended early: NaN beyond, rather than an extrapolation.
    """

    mixture: Mixture | TensorMixture
    until: tuple[int, float] | None = eqx.field(static=True, default=None)

    def __call__(self, points: jax.Array) -> jax.Array:
        values = self.mixture(points)
        if self.until is None:
            return values
        axis, end = self.until
        return jnp.where((points[:, axis] > end)[:, None], jnp.nan, values)


class Rung(abc.ABC):
    """One resolution that was tried."""

    seconds: float

    @property
    @abc.abstractmethod
    def stopped(self) -> str:
        """Why the march ended before the end of time, else ""."""

    @property
    @abc.abstractmethod
    def unsettled(self) -> str:
        """Why an iteration did not converge, else ""."""

    @property
    @abc.abstractmethod
    def held(self) -> float:
        """Residual at points between the collocation points, relative to the fields."""

    @property
    @abc.abstractmethod
    def imbalance(self) -> tuple[float, str]:
        """The largest residual of an equation relative to its own terms, and that equation."""

    @property
    @abc.abstractmethod
    def resolution(self) -> tuple[int, int]:
        """Features of an expert, and experts of all slabs."""

    @abc.abstractmethod
    def reached(self, axis: int) -> float:
        """The end of time, along the axis of that index."""

    @abc.abstractmethod
    def settled(self, axis: int) -> float:
        """The start of the last slab: what is before it was accepted."""

    def rough_until(self, axis: int) -> float:
        """The end of slabs that hold a singular first instant, along the axis of that index."""
        return -np.inf

    @abc.abstractmethod
    def mixture(self, system: System) -> Mixture | TensorMixture:
        """The experts as a function of points."""

    @abc.abstractmethod
    def stats(self) -> dict[str, float | int | str]:
        """Numbers for the solution's account."""


@dataclass(frozen=True)
class Boxed(Rung):
    """A march over boxes with one basis."""

    march: March
    basis: Basis
    seconds: float

    @property
    def stopped(self) -> str:
        return self.march.stopped

    @property
    def unsettled(self) -> str:
        return next((s.newton.reason for s in self.march.slabs if not s.newton.converged), "")

    @property
    def wandered(self) -> bool:
        """Whether an iteration stopped while it still changed a good part of the solution."""
        return any(s.newton.wandered for s in self.march.slabs)

    @property
    def held(self) -> float:
        return self.march.held

    @property
    def imbalance(self) -> tuple[float, str]:
        return self.march.imbalance

    @property
    def resolution(self) -> tuple[int, int]:
        return self.basis.size, self.march.boxes.count

    def reached(self, axis: int) -> float:
        return float(self.march.boxes.upper[:, axis].max())

    def settled(self, axis: int) -> float:
        return float(self.march.slabs[-1].boxes.lower[:, axis].min())

    def rough_until(self, axis: int) -> float:
        rough = self.march.slabs[: self.march.rough]
        return float(rough[-1].boxes.upper[:, axis].max()) if rough else -np.inf

    def mixture(self, system: System) -> Mixture:
        boxes = self.march.boxes
        return Mixture(self.basis, boxes.lower, boxes.upper, self.march.coefficients, system.fields)

    def stats(self) -> dict[str, float | int | str]:
        slabs = self.march.slabs
        stats: dict[str, float | int | str] = {
            "experts": slabs[-1].boxes.count,
            "slabs": len(slabs),
            "features": self.basis.size,
            "unknowns": int(slabs[-1].coefficients.size),
            "newton_iterations": max(s.newton.iterations for s in slabs),
            "largest_coefficient": float(np.abs(self.march.coefficients).max()),
            "solver": slabs[-1].solver,
        }
        if slabs[-1].rank >= 0:
            stats["rank"] = slabs[-1].rank
        return stats


@dataclass(frozen=True)
class Periodic(Rung):
    """A march of one expert per slab on periodic axes."""

    march: PeriodicMarch

    @property
    def seconds(self) -> float:
        return self.march.seconds

    @property
    def stopped(self) -> str:
        return self.march.stopped

    @property
    def unsettled(self) -> str:
        return ""

    @property
    def held(self) -> float:
        return self.march.mean_held

    @property
    def imbalance(self) -> tuple[float, str]:
        return self.march.mean_held, ""

    @property
    def resolution(self) -> tuple[int, int]:
        modes = int(np.prod([2 * k + 1 for k in kept_modes(self.march.points)]))
        return modes * (self.march.degree + 1), len(self.march.slabs)

    def reached(self, axis: int) -> float:
        return float(self.march.slabs[-1].end)

    def settled(self, axis: int) -> float:
        return self.reached(axis)

    def mixture(self, system: System) -> TensorMixture:
        return self.march.mixture(system)

    def stats(self) -> dict[str, float | int | str]:
        return {
            "experts": 1,
            "slabs": len(self.march.slabs),
            "features": self.resolution[0],
            "grid": " x ".join(map(str, self.march.points)),
            "degree_in_time": self.march.degree,
            "picard_iterations": max(s.iterations for s in self.march.slabs),
            "solver": "Fourier modes, Picard iteration",
        }


@dataclass(frozen=True)
class Outcome:
    """All rungs of a run, in the order in which they were tried."""

    system: System
    rungs: Sequence[Rung]
    tolerance: float
    run: Run
    linearisers: Mapping[str, Lineariser]

    @property
    def complete(self) -> list[Rung]:
        """Rungs whose march reached the end of time."""
        return [r for r in self.rungs if not r.stopped]

    def solution(self, method: str) -> Solution:
        """The best rung; its error estimate is the difference from the second best.

        If no other march reached the end of time, from what another one reached.
        """
        complete = self.complete or list(self.rungs)
        best = min(complete, key=lambda r: r.held)
        others = [r for r in complete if r.resolution != best.resolution]
        others = others or [r for r in complete if r is not best]
        others = others or [r for r in self.rungs if r is not best and self._reached(r) > 0.0]
        mixture = best.mixture(self.system)
        estimate = None
        if others:
            nearest = min(others, key=lambda r: r.held)
            difference = self._difference(mixture, nearest)
            estimate = {name: max(e, best.held) for name, e in difference.items()}
        status = self._status(best, estimate, best.imbalance)
        if status.ok:
            since = self._rough(best)
            violated = violation(self.system, self.linearisers, mixture, since)
            status = self._status(best, estimate, max(best.imbalance, violated))
            if estimate is not None:
                estimate = {name: max(e, violated[0]) for name, e in estimate.items()}
        return Solution(
            self.system.problem,
            Experts(mixture, self._until(best)),
            method,
            status,
            history=self._history(),
            stats={**best.stats(), "held_out_residual": best.held},
            error_estimate=estimate,
        )

    def _reached(self, rung: Rung) -> float:
        """Share of the time that a march covered before its last slab; 1 if it is steady."""
        if self.system.time is None or not rung.stopped:
            return 1.0
        low, high = self.system.domain.bounds[self.system.time]
        return (rung.settled(self.system.axes.index(self.system.time)) - low) / (high - low)

    def _difference(self, mixture: Mixture | TensorMixture, other: Rung) -> dict[str, float]:
        """Relative L2 difference by field, on points spread over what the other one covered."""
        points = self.system.domain.region("interior").sample(SAMPLES, 0)
        if self.system.time is not None and other.stopped:
            axis = self.system.axes.index(self.system.time)
            points = points[points[:, axis] <= other.settled(axis)]
        a, b = mixture.on_host(points), other.mixture(self.system).on_host(points)
        size = np.maximum(np.linalg.norm(a, axis=0), 1e-300)
        error = np.linalg.norm(a - b, axis=0) / size
        return {name: float(e) for name, e in zip(self.system.fields, error, strict=True)}

    def _rough(self, best: Rung) -> float:
        """The end of a singular first instant."""
        time = self.system.time
        return -np.inf if time is None else best.rough_until(self.system.axes.index(time))

    def _until(self, best: Rung) -> tuple[int, float] | None:
        """Where a march that was stopped ends."""
        if not best.stopped or self.system.time is None:
            return None
        axis = self.system.axes.index(self.system.time)
        return axis, best.reached(axis)

    def _status(
        self, best: Rung, estimate: Mapping[str, float] | None, violated: tuple[float, str]
    ) -> Status:
        what = f"held-out residual {best.held:.1e} with {best.resolution[0]} features per expert"
        interrupted = self.run.interrupted()
        if best.stopped:
            end = self._until(best)
            reached = f", reached {self.system.time} = {end[1]:.4g}" if end else ""
            return Status(False, f"{best.stopped}{reached}; {what}", interrupted)
        if best.unsettled:
            mend = "refine the layout where the solution is steep, or shorten the slabs"
            if self.system.time is None:
                mend = "there may be no solution, or several; begin with a milder parameter"
            return Status(False, f"{best.unsettled}; {what}: {mend}", interrupted)
        share, condition = violated
        if share > UNBALANCED:
            return Status(
                False,
                f"condition '{condition}' is violated by {share:.1%} of its own terms; {what}: "
                "conditions contradict each other, the solution is not smooth, or data are too "
                "narrow to be seen; check them, or split the layout where they are",
                interrupted,
            )
        error = max((estimate or {"": 0.0}).values())
        if not (best.held <= USABLE and error <= 0.1):
            mend = "not resolved, or the conditions contradict each other; refine the layout"
            return Status(False, f"{what}: {mend}", interrupted)
        since = self._rough(best)
        if since > -np.inf:
            what += (
                f"; initial and boundary values do not fit together smoothly: less accurate until "
                f"{self.system.time} = {since:.2g}"
            )
        if best.held <= self.tolerance:
            return Status(True, f"converged: {what}", interrupted)
        return Status(
            True, f"{what}; the tolerance {self.tolerance:.0e} was not reached", interrupted
        )

    def _history(self) -> dict[str, np.ndarray]:
        return {
            "step": np.arange(len(self.rungs)),
            "wall_s": np.cumsum([r.seconds for r in self.rungs]),
            "features": np.array([r.resolution[0] for r in self.rungs], dtype=float),
            "held_out": np.array([r.held for r in self.rungs]),
        }
