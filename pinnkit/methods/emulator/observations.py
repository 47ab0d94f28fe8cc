"""Sparse measurements of states, with noise."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError


@dataclasses.dataclass(frozen=True)
class Observations:
    """Which values of a state are measured, and how well.

    - `fraction`: part of the nodes, at least one; all fields are measured there.
    - `snr`: deviation of the fields over that of the noise, in decibels: 20 for a tenth.
    - `every`: steps from one measurement to the next.
    - `fixed`: sensors stay where they are, at random nodes; otherwise each measurement is at other
      nodes.

    Raises OptionError for values out of range.
    """

    fraction: float = 0.05
    snr: float = 20.0
    every: int = 1
    fixed: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1 or self.every < 1:
            raise OptionError(
                f"Observations(fraction={self.fraction}, every={self.every}): the fraction lies "
                "between 0 and 1, and measurements are at least one step apart. Change them."
            )

    @property
    def noise(self) -> float:
        """Deviation of the noise in units of that of the fields."""
        return 10 ** (-self.snr / 20)

    def masks(self, key: Array, steps: int, shape: tuple[int, ...]) -> Array:
        """(steps, *shape): one where a step is followed by a measurement at a node, else zero."""
        nodes = math.prod(shape)
        chosen = max(round(self.fraction * nodes), 1)
        if self.fixed:
            # the same sensors in training and afterwards
            places = jnp.broadcast_to(
                jax.random.permutation(jax.random.key(0), nodes), (steps, nodes)
            )
        else:
            keys = jax.random.split(key, steps)
            places = jax.vmap(lambda k: jax.random.permutation(k, nodes))(keys)
        marks = jnp.zeros((steps, nodes), jnp.float32)
        marks = marks.at[jnp.arange(steps)[:, None], places[:, :chosen]].set(1.0)
        due = (jnp.arange(1, steps + 1) % self.every == 0).astype(marks.dtype)
        return (marks * due[:, None]).reshape(steps, *shape)

    def measured(self, key: Array, states: Array, deviation: Array) -> Array:
        """States (T, c, *space) with noise everywhere; `deviation` (c,) of the fields."""
        size = deviation.astype(states.dtype).reshape(1, -1, *(1,) * (states.ndim - 2))
        return states + self.noise * size * jax.random.normal(key, states.shape, states.dtype)
