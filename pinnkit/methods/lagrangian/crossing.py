"""Whether and when characteristics cross: the smallest Jacobian over labels and times."""

from __future__ import annotations

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.methods.lagrangian.field import LabelledField

TIMES, LABELS = 201, 401
"""Nodes of the grid on which the Jacobian is looked at."""


@dataclasses.dataclass(frozen=True)
class Crossing:
    """`smallest`: min J over the grid, at the time `when`; `at`: the first time at which J = 0 on
    some label, by linear interpolation between the times of the grid, infinite without one.
    """

    smallest: float
    when: float
    at: float

    @classmethod
    def of(cls, field: LabelledField, times: tuple[float, float]) -> Crossing:
        """Look at a field on labels from the first to the last of `times`.

        Where the field is not finite, as after an early end of its run, it counts for nothing.
        """
        nodes = np.linspace(*times, TIMES)
        found = np.asarray(_jacobians(field, jnp.asarray(nodes)))
        lowest = np.where(np.isfinite(found), found, np.inf).min(axis=1)
        worst = int(lowest.argmin())
        return cls(float(lowest[worst]), float(nodes[worst]), _first_zero(nodes, lowest))


def _first_zero(times: np.ndarray, values: np.ndarray) -> float:
    """Where a function that is positive at first becomes zero."""
    (crossed,) = np.nonzero(values <= 0)
    if not len(crossed):
        return math.inf
    k = max(int(crossed[0]), 1)
    return float(times[k - 1] + (times[k] - times[k - 1]) * values[k - 1] / -np.diff(values)[k - 1])


@eqx.filter_jit
def _jacobians(field: LabelledField, times: Array) -> Array:
    """J at times (m,) and an even grid of labels, (m, LABELS)."""
    labels = jnp.linspace(*field.bounds, LABELS)
    return jax.lax.map(lambda t: field.jacobian(field.at(t, labels)), times)
