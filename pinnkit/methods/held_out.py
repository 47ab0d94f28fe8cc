"""Residuals at places that were not used in training."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from pinnkit.objective import ResidualObjective, Trial
from pinnkit.training import FitResult


def held_out(objective: ResidualObjective, trial: Trial, key: jax.Array) -> dict[str, float]:
    """Root mean square of every residual (dimensionless) at places not used in training."""
    found = _mean_squares(objective, trial, key)
    return {name: float(value) ** 0.5 for name, value in found.items()}


def certificate(objective: ResidualObjective, result: FitResult, key: jax.Array) -> str:
    """Whether the causal weights of the best parameters, at such places, certify all times.

    In words, for the epsilon that training had reached; empty without causal weights.
    """
    if objective.slabs is None:
        return ""
    rule, reached = objective.slabs.rule, result.history.get("epsilon")
    epsilon = rule.epsilons[0] if reached is None else float(reached[-1])
    return rule.words(least_weight(objective, result.params, epsilon, key), epsilon)


def least_weight(
    objective: ResidualObjective, trial: Trial, epsilon: float, key: jax.Array
) -> float:
    """min_i w_i of the causal weights at such places."""
    return float(jnp.exp(-epsilon * _longest(objective, trial, key)))


@eqx.filter_jit
def _longest(objective: ResidualObjective, trial: Trial, key: jax.Array) -> jax.Array:
    return jnp.max(objective.past(trial, objective.validation(key, trial)))


@eqx.filter_jit
def _mean_squares(
    objective: ResidualObjective, trial: Trial, key: jax.Array
) -> dict[str, jax.Array]:
    return objective.means(trial, objective.validation(key, trial))
