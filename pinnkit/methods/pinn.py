"""Physics-informed neural networks: one smooth trial function, trained by quasi-Newton."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from pinnkit.ansatz import Ansatz, Enforcement, build_ansatz, enforce
from pinnkit.ansatz.enforce import Architecture
from pinnkit.compile.system import System
from pinnkit.errors import MethodError
from pinnkit.geometry import Box
from pinnkit.methods.base import Method, Progress, Run
from pinnkit.nn import MLP, Separable, begins_linear
from pinnkit.objective import ResidualObjective, TimeSlabs, Trial, residual_objective
from pinnkit.solution import Pointwise, Solution, Status
from pinnkit.training import FitResult, LastLayer, Stage, default_stages, fit

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
      `default_stages` recommends for the number of weights, after a `LastLayer` step for networks
      that begin as a linear combination of features.
    - `points`: places per batch for the equations; None takes 2.5 residuals per weight.
    - `adaptive`: share of the places drawn by residual-based density (rest: evenly); None takes
      1 for equations up to second order and 0.2 above, where residuals between points are rough.
    - `causality`: epsilon of the causal weights over `slabs` time slabs; 0 for none.
    - `condition_weight`: factor of the mean squares of conditions that are not exact.
    - `harmonics`: cosine-sine pairs of a periodic axis.
    """

    network: Architecture | None = eqx.field(static=True, default=None)
    stages: tuple[Stage, ...] | None = eqx.field(static=True, default=None)
    points: int | None = eqx.field(static=True, default=None)
    adaptive: float | None = eqx.field(static=True, default=None)
    causality: float = eqx.field(static=True, default=0.0)
    slabs: int = eqx.field(static=True, default=32)
    condition_weight: float = eqx.field(static=True, default=10.0)
    harmonics: int = eqx.field(static=True, default=1)

    def supports(self, system: System) -> str | None:
        if system.inputs:
            return "it has input functions; an operator method takes these"
        if system.traits.eigen:
            return "it asks for eigenvalues; an eigenvalue method takes these"
        return None

    def run(self, system: System, run: Run) -> Solution:
        build, sampling, training = jax.random.split(run.key, 3)
        enforcement = enforce(system)
        network = self.network or default_network(system)
        ansatz = build_ansatz(enforcement, network, harmonics=self.harmonics, key=build)
        _require_curvature(ansatz, system)
        objective = self.objective(system, enforcement, sampling, weights(ansatz))
        stages = self.stages or recommended_stages(ansatz, run.seconds)
        result = fit(
            objective,
            Trial(ansatz, {}),
            stages,
            key=training,
            seconds=None if run.seconds is None else max(run.remaining, 1e-3),
            report=lambda stage, step, of, losses, _: run.report(
                Progress(stage, step, of, {k: v**0.5 for k, v in losses.items()}, run.elapsed)
            ),
            interrupted=run.interrupted,
            checkpoint=run.checkpoint,
            fingerprint=f"{system.digest} {self._identity()}",
        )
        return self._solution(system, enforcement, objective, result, run)

    def objective(
        self, system: System, enforcement: Enforcement, key: jax.Array, parameters: int
    ) -> ResidualObjective:
        """The loss of a system whose conditions are enforced as told, for so many weights."""
        slabs = None
        if system.time is not None and not system.traits.steady and self.causality > 0:
            slabs = TimeSlabs(*system.domain.bounds[system.time], self.slabs, self.causality)
        order = max(r.plan.max_order for r in system.equations)
        adaptive = self.adaptive if self.adaptive is not None else (1.0 if order <= 2 else 0.2)
        return residual_objective(
            system,
            enforcement.soft,
            points=self.points or _points(parameters, len(system.equations)),
            slabs=slabs,
            adaptive=adaptive,
            condition_weight=self.condition_weight,
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
        plain = ("step", "wall_s", "stage", "loss", "validation")
        history = {k: v if k in plain else v**0.5 for k, v in result.history.items()}
        worst = max(held.values(), default=0.0)
        resolved = bool(jnp.isfinite(result.score)) and worst < UNRESOLVED
        reason = result.status
        if not resolved:
            reason += (
                f"; the equations are not satisfied, held-out residual {worst:.1e}: train longer, "
                "or choose another method"
            )
        status = Status(resolved, reason, interrupted=result.status.startswith("interrupted"))
        evaluator = Pointwise(result.params.function)
        return Solution(system.problem, evaluator, self.name, status, history=history, stats=stats)


def default_network(system: System) -> Architecture:
    """A sum of products for linear problems on a box of two or three axes, else a plain network.

    Solutions of linear equations whose coefficients and data are products, or short sums of them,
    are of low rank as a rule, which a sum of products then finds in fewer steps. With more axes its
    factors have too many weights together.
    """
    box = isinstance(system.domain, Box) and 2 <= len(system.axes) <= 3
    if box and system.traits.linear:
        return Separable(16, MLP(20, 2))
    return MLP(30, 3)


def recommended_stages(ansatz: Ansatz, seconds: float | None) -> tuple[Stage, ...]:
    """What `default_stages` recommends, after one step of `LastLayer` for networks that begin as a
    linear combination of features. For others that start is no gain on the whole (docs/pinn.md).
    """
    start = (LastLayer(),) if begins_linear(ansatz.network) else ()
    return (*start, *default_stages(weights(ansatz), seconds, steps=STEPS))


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


def held_out(objective: ResidualObjective, trial: Trial, key: jax.Array) -> dict[str, float]:
    """Root mean square of every residual (dimensionless) at places not used in training."""

    @eqx.filter_jit
    def measure(objective: ResidualObjective, trial: Trial) -> dict[str, jax.Array]:
        return objective.loss(trial, objective.validation(key, trial))[1]

    return {name: float(value) ** 0.5 for name, value in measure(objective, trial).items()}
