"""Physics-informed neural networks: one smooth trial function, trained by quasi-Newton."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.ansatz import Ansatz, Enforcement, build_ansatz, enforce
from pinnkit.ansatz.enforce import Architecture
from pinnkit.ansatz.factors import obstacle_to_factors
from pinnkit.compile.system import System
from pinnkit.errors import MethodError, OptionError
from pinnkit.geometry import Box
from pinnkit.methods.base import Method, Progress, Run
from pinnkit.methods.held_out import certificate, held_out
from pinnkit.methods.windows import TOO_LONG, March, Recipe, marching, obstacle, sizes, too_long
from pinnkit.nn import MLP, Separable, begins_linear
from pinnkit.nn.separable import SeparableNetwork
from pinnkit.objective import Causal, ResidualObjective, TimeSlabs, Trial, residual_objective
from pinnkit.objective.causal import NOTES
from pinnkit.objective.sampling import RAD, Grid, Sampling
from pinnkit.objective.weighting import Fixed, Weighting
from pinnkit.solution import Pointwise, Solution, Status
from pinnkit.training import FactoredSSBFGS, FitResult, LastLayer, Stage, default_stages, fit
from pinnkit.training.plan import DENSE, ENDLESS

STEPS = 4000
ROWS, FEWEST, MOST = 2.5, 1000, 8192
"""Residuals per weight: with fewer, the fit between two draws is far better than the solution
(Burgers stalls at 4e-5 with 2500 residuals for 941 weights, and does not with 5000)."""

UNRESOLVED = 0.1
"""Dimensionless held-out residual above which a result should not be used."""


class PINN(Method):
    """Minimises mean squared residuals of a network at points (Raissi et al. 2019).

    Conditions that the ansatz can satisfy exactly are exact, periodic axes are periodic by their
    inputs, and the rest stay in the loss. The default is self-scaled BFGS on the logarithm of the
    loss in float64 with points redrawn where the residual is large; see `SSBFGS`.

    - `network`: `MLP(30, 3)`, `ModifiedMLP()`, `PirateNet()`, `Fourier(...)`, `Separable(...)`, or
      any architecture with `.build(in_size, out_size, key=, groups=)`; see `default_network`.
    - `stages`: algorithms in turn; None takes 4000 steps, or the whole time budget, of what
      `default_stages` recommends for the number of weights (`FactoredSSBFGS` for `Separable`),
      after a `LastLayer` step for networks that begin as a linear combination of features.
    - `points`: places per batch for the equations; None takes 2.5 residuals per weight.
    - `sampling`: how places are drawn, one of `sampling.Even()`, `RAD()`, `RARD()`, `R3()`, and
      `Grid()` for `Separable` networks on boxes; None takes `Grid()` for these, else
      `RAD(share=1)` for equations up to second order and `RAD(share=0.2)` above, where residuals
      between points are rough. Windows in time are not solved on grids: None takes `RAD` there.
    - `causality`: `Causal()`, weights by which late times wait for earlier ones; None for none.
      `stats["causality"]` says whether all times are certified. See `Causal` for a patent notice.
    - `weighting`: weights of residuals and places, one of `weighting.Fixed(conditions=10)`,
      where `conditions` is the factor of conditions that are not exact, `GradientNorm()`, `NTK()`,
      `Attention()`. The validation score takes fixed weights always.
    - `harmonics`: cosine-sine pairs of a periodic axis.
    - `windows`: windows in time, each with a network of its own that begins where the one before
      ends, with as many continuous time derivatives as the equation needs; the stages, and equal
      shares of a budget, count for each. None begins with one and halves as long as the residual
      is above 0.3 after 1000 steps. Raises `MethodError` where windows do not apply.
    """

    network: Architecture | None = eqx.field(static=True, default=None)
    stages: tuple[Stage, ...] | None = eqx.field(static=True, default=None)
    points: int | None = eqx.field(static=True, default=None)
    sampling: Sampling | None = eqx.field(static=True, default=None)
    causality: Causal | None = eqx.field(static=True, default=None)
    weighting: Weighting = eqx.field(static=True, default=Fixed())
    harmonics: int = eqx.field(static=True, default=1)
    windows: int | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if not isinstance(self.causality, Causal | None):
            raise OptionError(
                f"PINN(causality={self.causality!r}) is no rule for causal weights. Give "
                "Causal(epsilons=(0.1, 1.0, 10.0)), say, or None."
            )

    def supports(self, system: System) -> str | None:
        if system.inputs:
            return "it has input functions; an operator method takes these"
        if system.traits.eigen:
            return "it asks for eigenvalues; an eigenvalue method takes these"
        return None

    def run(self, system: System, run: Run) -> Solution:
        keys = jax.random.split(run.key, 3)
        enforcement = enforce(system)
        recipe = Recipe(
            self.network or default_network(system),
            self.harmonics,
            lambda system, account, size: self.objective(
                system, account, keys[1], size, self.sampling or residual_adaptive(system)
            ),
            lambda ansatz, seconds: self.stages or recommended_stages(ansatz, seconds),
            f"{system.digest} {self._identity()}",
            UNRESOLVED,
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
        _require_curvature(ansatz, system)
        sampling = self.sampling or default_sampling(system, recipe.architecture)
        _require_factors(ansatz, sampling, system)
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
            give_up=too_long if divisible else lambda *_: None,
        )
        return self._solution(system, enforcement, objective, result, run)

    def _marched(self, march: March) -> Solution:
        """One network after another."""
        reason, finished = march.go(self.windows or 2, halving=self.windows is None)
        worst = max((max(w.held_out.values(), default=0.0) for w in march.done), default=math.inf)
        resolved = finished and worst < UNRESOLVED
        if finished and not resolved:
            reason += _unsatisfied(worst)
        status = Status(resolved, reason, interrupted=reason.startswith("interrupted"))
        stats = {
            "windows": march.account(),
            "validation loss": max((w.score for w in march.done), default=math.inf),
            "parameters": sum(w.part.size for w in march.done),
            "conditions": march.enforcement.describe(),
        }
        if self.causality is not None:
            stats["causality"] = march.certified()
        history = _rooted(march.history())
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
            points=self.points or _points(parameters, len(system.equations)),
            slabs=slabs,
            sampling=sampling,
            weighting=self.weighting,
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
        held = held_out(objective, result.params, jax.random.fold_in(run.key, 1))
        stats = {
            **result.stats,
            **{f"held-out rms {name}": value for name, value in held.items()},
            "validation loss": result.score,
            "parameters": weights(result.params),
            "conditions": enforcement.describe(),
            "derivatives": objective.derivatives(result.params),
        }
        if objective.slabs is not None:
            key = jax.random.fold_in(run.key, 1)
            stats["causality"] = certificate(objective, result, key)
        history = _rooted(result.history)
        worst = max(held.values(), default=0.0)
        resolved = bool(jnp.isfinite(result.score)) and worst < UNRESOLVED
        reason = result.status
        if not resolved:
            reason += _unsatisfied(worst)
        status = Status(resolved, reason, interrupted=result.status.startswith("interrupted"))
        evaluator = Pointwise(result.params.function)
        return Solution(system.problem, evaluator, self.name, status, history=history, stats=stats)


def _unsatisfied(worst: float) -> str:
    return (
        f"; the equations are not satisfied, held-out residual {worst:.1e}: train longer, "
        "or choose another method"
    )


def _rooted(history: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A history with root mean squares for mean squares of residuals."""
    plain = ("window", "step", "wall_s", "stage", "loss", "validation", *NOTES)
    return {name: v if name in plain else v**0.5 for name, v in history.items()}


def default_network(system: System) -> Architecture:
    """A sum of products for linear problems on a box of two or three axes, else a plain network.

    Solutions of linear equations whose coefficients and data are products, or short sums of them,
    are of low rank as a rule, which a sum of products then finds in fewer steps. With more axes its
    factors have too many weights together.
    """
    box = isinstance(system.domain, Box) and 2 <= len(system.axes) <= 3
    if box and system.traits.linear:
        return Separable(16, MLP(16, 2))
    return MLP(30, 3)


def residual_adaptive(system: System) -> Sampling:
    """By the residual, less so above second order, where residuals between points are rough."""
    order = max(r.plan.max_order for r in system.equations)
    return RAD(share=1.0 if order <= 2 else 0.2)


def default_sampling(system: System, architecture: Architecture) -> Sampling:
    """Tensor grids for sums of products on boxes, else by the residual."""
    if isinstance(system.domain, Box) and isinstance(architecture, Separable):
        return Grid()
    return residual_adaptive(system)


def _require_factors(ansatz: Ansatz, sampling: Sampling, system: System) -> None:
    """`MethodError` for grids where the ansatz is not evaluated by factors."""
    reason = obstacle_to_factors(ansatz)
    if isinstance(sampling, Grid) and not isinstance(system.domain, Box):
        reason = "its domain is no box"
    if isinstance(sampling, Grid) and reason is not None:
        raise MethodError(
            f"PINN(sampling=Grid()) cannot solve '{system.problem.name}': {reason}. Grids are for "
            "network=Separable() on boxes; use another sampling elsewhere."
        )


def recommended_stages(ansatz: Ansatz, seconds: float | None) -> tuple[Stage, ...]:
    """What `default_stages` recommends, after one step of `LastLayer` for networks that begin as a
    linear combination of features. For others that start is no gain on the whole (docs/pinn.md).
    Sums of products reach losses at which the matrix of `SSBFGS` breaks down; theirs is a product.
    """
    size = weights(ansatz)
    start = (LastLayer(),) if begins_linear(ansatz.network) else ()
    if isinstance(ansatz.network, SeparableNetwork) and size <= DENSE:
        return (*start, FactoredSSBFGS(steps=STEPS if seconds is None else ENDLESS))
    return (*start, *default_stages(size, seconds, steps=STEPS))


def _require_curvature(ansatz: Ansatz, system: System) -> None:
    """`MethodError` for piecewise linear networks where second derivatives are needed."""
    order = max(r.plan.max_order for r in system.equations)
    size = ansatz.embedding.size

    @eqx.filter_jit
    def second(network: Any, z: jax.Array) -> jax.Array:
        slope = lambda p: jax.jvp(network, (p,), (jnp.ones_like(p),))[1]  # noqa: E731
        return jax.jvp(slope, (z,), (jnp.ones_like(z),))[1]

    places = [jnp.full(size, place) for place in (-0.9, -0.5, -0.1, 0.3, 0.7)]
    if order >= 2 and not any(jnp.any(second(ansatz.network, z)) for z in places):
        raise MethodError(
            f"The network is piecewise linear (relu?), so that its second derivatives vanish, but "
            f"the equations are of order {order}. Choose a smooth activation, such as tanh."
        )


def weights(tree: Any) -> int:
    """Trained numbers in a network or ansatz."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)))


def _points(parameters: int, equations: int) -> int:
    """Places for ROWS residuals per weight, in whole hundreds within FEWEST and MOST."""
    wanted = math.ceil(ROWS * parameters / equations / 100) * 100
    return min(max(wanted, FEWEST), MOST)
