"""One instance solved by its equations, from where an operator already is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit import precision
from pinnkit.compile import compile_problem
from pinnkit.errors import OptionError
from pinnkit.methods.base import Progress
from pinnkit.methods.grid_residuals import GridResiduals
from pinnkit.methods.neural_operator.field import OperatorField
from pinnkit.solution import Solution, Status
from pinnkit.training import Adam, Cosine, Objective, fit


class InstanceResidual(Objective):
    """Root mean squares of the residuals for one input function, and the way from the start.

    sum_r ||r|| + anchor * ||u - u_start|| / ||u_start||.
    """

    field: OperatorField
    equations: GridResiduals
    start: jax.Array
    anchor: float = eqx.field(static=True)

    def sample(
        self, key: jax.Array, params: Any, step: jax.Array, previous: Any | None = None
    ) -> Any:
        del key, params, step, previous
        return ()

    def loss(self, params: Any, batch: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        del batch
        field = eqx.tree_at(lambda f: f.map, self.field, params)
        found = field.on_grid(field.function)
        tiny = jnp.finfo(found.dtype).tiny
        residuals = self.equations(field.function, found)
        squares = {name: jnp.mean(r**2) for name, r in residuals.items()}
        away = jnp.sum((found - self.start) ** 2) / jnp.sum(self.start**2)
        norms = sum(jnp.sqrt(s + tiny) for s in squares.values())
        return norms + self.anchor * jnp.sqrt(away + tiny), squares


def fine_tune(
    solution: Solution,
    inputs: Mapping[str, Any],
    *,
    steps: int = 500,
    learning_rate: float = 1e-3,
    anchor: float = 0.0,
    seconds: float | None = None,
    report: Callable[[Progress], None] = lambda _: None,
    key: int = 0,
) -> Solution:
    """An operator's solution for one input function, trained further by the equations alone.

    - `inputs`: `{"a": values}` as in a call of the solution; the equations are taken on the grid
      of these values where the network means the same on all grids, so finer values mean finer
      equations.
    - `anchor`: weight of the relative distance from the operator's own answer.

    The test-time optimisation of Li et al. (arXiv:2111.03794, section 3.3). Raises OptionError for
    a solution that is no operator, and as the solution does for the inputs.
    """
    if not isinstance(solution.evaluator, OperatorField):
        raise OptionError(
            f"fine_tune() trains an operator further, this solution is by {solution.method}. "
            "Solve the family with Operator(...) first."
        )
    system = compile_problem(solution.problem)
    with precision.scope(solution.precision):
        field = solution.evaluator.with_inputs(inputs)
        cast = lambda a: a.astype(field.mean.dtype) if eqx.is_inexact_array(a) else a  # noqa: E731
        field = jax.tree.map(cast, field)
        start = field.on_grid(field.function)
        equations = GridResiduals.of(system, field.grid, field.sensors)
        objective = InstanceResidual(field, equations, start, anchor)
        _, before = objective.loss(field.map, ())
        result = fit(
            objective,
            field.map,
            (Adam(steps, Cosine(learning_rate, steps), clip=1.0, resample_every=None),),
            key=jax.random.key(key),
            seconds=seconds,
            report=lambda stage, step, of, losses, elapsed: report(
                Progress(stage, step, of, losses, elapsed)
            ),
        )
        _, after = objective.loss(result.params, ())
        tuned = eqx.tree_at(lambda f: f.map, field, result.params)
    was, now = (float(np.sqrt(sum(float(v) for v in s.values()))) for s in (before, after))
    return dataclasses.replace(
        solution,
        evaluator=tuned,
        history=result.history,
        status=Status(
            bool(np.isfinite(now)), f"{result.status}; residuals from {was:.1e} to {now:.1e}"
        ),
        stats={**solution.stats, "wall_s": result.stats["wall_s"], "residual": now},
        error_estimate=None,
    )
