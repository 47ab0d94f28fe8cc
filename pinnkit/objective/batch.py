"""What is trained, and the places and weights by which its residuals are judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from pinnkit.objective.causal import Ladder
from pinnkit.objective.pseudo_time import Steps
from pinnkit.objective.weighting import Weights


class Trial(eqx.Module):
    """What is trained: a function of one point, (d,) -> (fields,), and unknown numbers by name."""

    function: Callable[[Array], Array]
    unknown: dict[str, Array]


class ResidualBatch(eqx.Module):
    """Places per block with all their weights; a batch of zeros is none at all.

    `places` are `Places`, or `GridPlaces` for blocks on grids. `index` (N,) are those of each block
    of equations in its pool, `drawn` counts the draws up to this one, `weights` is the state of the
    weighting, `causal` that of the causal weights and `steps` that of pseudo-time, where there are
    any.
    """

    places: tuple[Any, ...]
    index: tuple[Array, ...]
    drawn: Array
    weights: Weights
    causal: Ladder | None = None
    steps: Steps | None = None


def kept(size: int, before: Array, after: Array, values: Array) -> Array:
    """Values (N, k) of the places `after`: those they had among the places `before`, or zero."""
    pool = jnp.zeros((size, values.shape[1]), values.dtype)
    return pool.at[before].max(values)[after]
