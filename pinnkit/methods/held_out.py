"""Residuals at places that were not used in training."""

from __future__ import annotations

import equinox as eqx
import jax

from pinnkit.objective import ResidualObjective, Trial


def held_out(objective: ResidualObjective, trial: Trial, key: jax.Array) -> dict[str, float]:
    """Root mean square of every residual (dimensionless) at places not used in training."""
    found = _mean_squares(objective, trial, key)
    return {name: float(value) ** 0.5 for name, value in found.items()}


@eqx.filter_jit
def _mean_squares(
    objective: ResidualObjective, trial: Trial, key: jax.Array
) -> dict[str, jax.Array]:
    return objective.means(trial, objective.validation(key, trial))
