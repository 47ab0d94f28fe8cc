"""Physics-informed neural networks: one smooth trial function, trained by quasi-Newton."""

from __future__ import annotations

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.ansatz import Enforcement, build_ansatz, enforce
from pinnkit.ansatz.enforce import Architecture
from pinnkit.compile.system import System
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods.base import Method, Progress, Run
from pinnkit.methods.budget import defects
from pinnkit.methods.closing import Closing
from pinnkit.methods.finished import certified, error_budget, histories, total
from pinnkit.methods.held_out import certificate, held_out
from pinnkit.methods.pinn_defaults import (
    default_network,
    default_points,
    default_sampling,
    recommended_stages,
    require_affine,
    require_curvature,
    require_factors,
    residual_adaptive,
    weights,
)
from pinnkit.methods.windows import TOO_LONG, March, Recipe, TooLong, marching, obstacle, sizes
from pinnkit.objective import (
    Causal,
    PseudoTime,
    ResidualObjective,
    TimeSlabs,
    Trial,
    residual_objective,
)
from pinnkit.objective.causal import NOTES
from pinnkit.objective.sampling import Grid, Sampling
from pinnkit.objective.weighting import Fixed, Weighting
from pinnkit.solution import Pointwise, Solution, Status
from pinnkit.training import FitResult, Stage, fit, undecided

UNRESOLVED = 0.1
"""Dimensionless held-out residual above which a result should not be used, and what residuals may
add up to over time (`defects`): large coefficients and short windows make all residuals small."""


class PINN(Method):
    """Minimises mean squared residuals of a network at points (Raissi et al. 2019).

    Conditions that the ansatz can satisfy exactly are exact, periodic axes are periodic by their
    inputs, and the rest stay in the loss. The default is self-scaled BFGS on the logarithm of the
    loss in float64 with points redrawn where the residual is large; see `SSBFGS`.

    - `network`: `MLP(30, 3)`, `ModifiedMLP()`, `PirateNet()`, `Fourier(...)`, `Separable(...)`,
      `Mixture(...)`, or any architecture with `.build(in_size, out_size, key=, groups=)`; see
      `default_network`.
    - `stages`: algorithms in turn; None takes 4000 steps, or the whole time budget, of what
      `default_stages` recommends for the number of weights (`FactoredSSBFGS` for `Separable`,
      200 steps of `VariableProjection` for a `Mixture` on a linear problem), after a `LastLayer`
      step for networks that begin as a linear combination of features.
    - `points`: places per batch for the equations; None takes 2.5 residuals per weight.
    - `sampling`: how places are drawn, one of `sampling.Even()`, `RAD()`, `RARD()`, `R3()`, and
      `Grid()` for `Separable` networks on boxes; None takes `Grid()` for these, else
      `RAD(share=1)` for equations up to second order and `RAD(share=0.2)` above, where residuals
      between points are rough. Windows in time are not solved on grids: None takes `RAD` there.
    - `causality`: `Causal()`, weights by which late times wait for earlier ones; None for none.
      `stats["causality"]` says whether all times are certified. See `Causal` for a patent notice.
    - `pseudo_time`: `PseudoTime()`, residuals relaxed in steps of pseudo-time; None for none.
    - `weighting`: weights of residuals and places, one of `weighting.Fixed(conditions=10)`,
      where `conditions` is the factor of conditions that are not exact, `GradientNorm()`, `NTK()`,
      `Attention()`. The validation score takes fixed weights always.
    - `harmonics`: cosine-sine pairs of a periodic axis.
    - `windows`: windows in time, each with a network of its own that begins where the one before
      ends, with as many continuous time derivatives as the equation needs; the stages, and equal
      shares of a budget, count for each. None begins with one and halves as long as the residual
      is above 0.3 after 1000 steps, or above the `tolerance` after 2000. Raises `MethodError`
      where windows do not apply.
    - `tolerance`: root of the validation score (dimensionless root mean square residual) at which
      training, or that of a window, ends before its steps or budget are spent, so that the time is
      left to later windows; None for no such end. Causal weights end it where their certificate
      holds (`Causal.stop`); with both, both must hold.
    - `warm_start`: whether a window begins with the weights of the one before. Such weights grow
      from window to window, and errors with them (docs/pinn.md); fresh ones do not.
    """

    network: Architecture | None = eqx.field(static=True, default=None)
    stages: tuple[Stage, ...] | None = eqx.field(static=True, default=None)
    points: int | None = eqx.field(static=True, default=None)
    sampling: Sampling | None = eqx.field(static=True, default=None)
    causality: Causal | None = eqx.field(static=True, default=None)
    pseudo_time: PseudoTime | None = eqx.field(static=True, default=None)
    weighting: Weighting = eqx.field(static=True, default=Fixed())
    harmonics: int = eqx.field(static=True, default=1)
    windows: int | None = eqx.field(static=True, default=None)
    tolerance: float | None = eqx.field(static=True, default=None)
    warm_start: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        if not isinstance(self.causality, Causal | None):
            raise OptionError(
                f"PINN(causality={self.causality!r}) is no rule for causal weights. Give "
                "Causal(epsilons=(0.1, 1.0, 10.0)), say, or None."
            )
        if not isinstance(self.pseudo_time, PseudoTime | None):
            raise OptionError(
                f"PINN(pseudo_time={self.pseudo_time!r}) is no rule for pseudo-time. Give "
                "PseudoTime() or None."
            )
        if self.tolerance is not None and not 0 < self.tolerance < math.inf:
            raise OptionError(
                f"PINN(tolerance={self.tolerance!r}) is no root mean square to reach. Give a "
                "positive number, such as 1e-4, or None."
            )

    def supports(self, system: System) -> str | None:
        if system.inputs:
            return "it has input functions; an operator method takes these"
        if system.traits.eigen:
            return "it asks for eigenvalues; an eigenvalue method takes these"
        return None

    def run(self, system: System, run: Run) -> Solution:
        keys = jax.random.split(run.key, 3)
        require_affine(self.stages or (), system)
        enforcement, linear = enforce(system), system.traits.linear
        recipe = Recipe(
            self.network or default_network(system),
            self.harmonics,
            lambda system, account, size: self.objective(
                system, account, keys[1], size, self.sampling or residual_adaptive(system)
            ),
            lambda ansatz, seconds: self.stages or recommended_stages(ansatz, seconds, linear),
            f"{system.digest} {self._identity()}",
            UNRESOLVED,
            self.tolerance,
            self.warm_start,
        )
        if self.causality is not None and (system.time is None or system.traits.steady):
            raise MethodError(
                f"PINN(causality={self.causality!r}) does not apply to '{system.problem.name}': no "
                "equation has a time derivative. Leave the option out."
            )
        reason = obstacle(system)
        if reason is not None and (self.windows or 1) > 1:
            raise MethodError(
                f"PINN(windows={self.windows}) does not apply to '{system.problem.name}': {reason}."
                " Leave the option out."
            )
        grid = isinstance(self.sampling, Grid)
        if grid and (self.windows or 1) > 1:
            raise MethodError(
                f"PINN(windows={self.windows}) cannot draw from a Grid(), as what earlier windows "
                "leave is tabulated at fixed places. Leave one of the two out."
            )
        divisible = self.windows is None and reason is None and not grid
        if (self.windows or 1) == 1 and not (divisible and marching(run.checkpoint)):
            found = self._whole(recipe, system, enforcement, run, keys, divisible)
            if not (divisible and found.status.reason.startswith(TOO_LONG)):
                return found
        return self._marched(March(recipe, system, enforcement, run, keys))

    def _whole(
        self,
        recipe: Recipe,
        system: System,
        enforcement: Enforcement,
        run: Run,
        keys: jax.Array,
        divisible: bool,
    ) -> Solution:
        """One network for the whole domain, given up early where windows can follow."""
        build, points, training = keys
        ansatz = build_ansatz(enforcement, recipe.architecture, harmonics=self.harmonics, key=build)
        require_curvature(ansatz, system)
        sampling = self.sampling or default_sampling(system, recipe.architecture)
        require_factors(ansatz, sampling, system)
        objective = self.objective(system, enforcement, points, weights(ansatz), sampling)
        result = fit(
            objective,
            Trial(ansatz, {}),
            recipe.stages(ansatz, run.seconds),
            key=training,
            seconds=None if run.seconds is None else max(run.remaining, 1e-3),
            report=lambda stage, step, of, losses, _: run.report(
                Progress(stage, step, of, sizes(losses), run.elapsed)
            ),
            interrupted=run.interrupted,
            checkpoint=run.checkpoint,
            fingerprint=recipe.identity,
            give_up=TooLong(self.tolerance) if divisible else undecided,
            done=Closing(objective, _judged(run), self.tolerance),
        )
        return self._solution(system, enforcement, objective, result, run)

    def _marched(self, march: March) -> Solution:
        """One network after another."""
        reason, finished = march.go(self.windows or 2, halving=self.windows is None)
        worst = max((max(w.held_out.values(), default=0.0) for w in march.done), default=math.inf)
        added = _largest(total(march.done))
        resolved = finished and max(worst, added) < UNRESOLVED
        if finished and not resolved:
            reason += _unsatisfied(worst, added)
        status = Status(resolved, reason, interrupted=reason.startswith("interrupted"))
        time = str(march.system.time)
        stats = {
            "windows": "\n".join(window.account(time) for window in march.done),
            "error budget": error_budget(march.done, time),
            "validation loss": max((w.score for w in march.done), default=math.inf),
            "parameters": sum(w.part.size for w in march.done),
            "conditions": march.enforcement.describe(),
        }
        if self.causality is not None:
            stats["causality"] = certified(march.done, march.count)
        history = _rooted(histories(march.done))
        evaluator = Pointwise(march.function())
        problem = march.system.problem
        return Solution(problem, evaluator, self.name, status, history=history, stats=stats)

    def objective(
        self,
        system: System,
        enforcement: Enforcement,
        key: jax.Array,
        parameters: int,
        sampling: Sampling,
    ) -> ResidualObjective:
        """The loss of a system whose conditions are enforced as told, for so many weights."""
        slabs = None
        if system.time is not None and self.causality is not None:
            slabs = TimeSlabs(*system.domain.bounds[system.time], self.causality)
        return residual_objective(
            system,
            enforcement.soft,
            points=self.points or default_points(parameters, len(system.equations)),
            slabs=slabs,
            sampling=sampling,
            weighting=self.weighting,
            pseudo_time=self.pseudo_time,
            seed=int(jax.random.randint(key, (), 0, 2**31 - 1)),
        )

    def _identity(self) -> str:
        """Every option but the stages, whose steps may be extended."""
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return repr({name: value for name, value in options.items() if name != "stages"})

    def _solution(
        self,
        system: System,
        enforcement: Enforcement,
        objective: ResidualObjective,
        result: FitResult,
        run: Run,
    ) -> Solution:
        held = held_out(objective, result.params, _judged(run))
        low, high = (0.0, 0.0) if system.time is None else system.domain.bounds[system.time]
        added = {} if high == low else defects(system, objective.scales, held, high - low)
        stats = {
            **result.stats,
            **{f"held-out rms {name}": value for name, value in held.items()},
            **{f"defect of {name}": value for name, value in added.items()},
            "validation loss": result.score,
            "parameters": weights(result.params),
            "conditions": enforcement.describe(),
            "derivatives": objective.derivatives(result.params),
        }
        if objective.slabs is not None:
            stats["causality"] = certificate(objective, result, _judged(run))
        history = _rooted(result.history)
        worst = max(held.values(), default=0.0)
        sound = bool(jnp.isfinite(result.score))
        resolved = sound and max(worst, _largest(added)) < UNRESOLVED
        reason = result.status
        if not resolved:
            reason += _unsatisfied(worst, _largest(added))
        status = Status(resolved, reason, interrupted=result.status.startswith("interrupted"))
        evaluator = Pointwise(result.params.function)
        return Solution(system.problem, evaluator, self.name, status, history=history, stats=stats)


def _judged(run: Run) -> jax.Array:
    """Key of the places at which a result is judged."""
    return jax.random.fold_in(run.key, 1)


def _largest(defects: dict[str, float]) -> float:
    """The largest defect that is known."""
    return max((value for value in defects.values() if math.isfinite(value)), default=0.0)


def _unsatisfied(worst: float, added: float) -> str:
    """`added` is what the residuals add up to over time."""
    what = f"; the equations are not satisfied, held-out residual {worst:.1e}"
    if added >= UNRESOLVED:
        what += f", which adds up to {added:.1e} of the fields' scale"
    return f"{what}: train longer, or choose another method"


def _rooted(history: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A history with root mean squares for mean squares of residuals."""
    plain = ("window", "step", "wall_s", "stage", "loss", "validation", *NOTES)
    return {name: v if name in plain else v**0.5 for name, v in history.items()}
