"""How good an emulator is on trajectories that it has not seen."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.methods.emulator.objective import Shelf, steps_of
from pinnkit.methods.emulator.stepper import Propagator, roll

THRESHOLD = 0.4
"""Error, relative to the size of the trajectory, up to which a forecast counts as valid."""


def relative_errors(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """||found - truth|| / ||truth|| over fields and space at every instant: (S, T, c, *space) ->
    (S, T)."""
    over = tuple(range(2, truth.ndim))
    size = np.sqrt((truth**2).sum(axis=over))
    return np.sqrt(((found - truth) ** 2).sum(axis=over)) / np.where(size > 0, size, 1.0)


def one_step_error(propagator: Propagator, shelf: Shelf) -> float:
    """Mean relative L2 error of one application over all stretches of the trajectories."""
    count = shelf.states.shape[1] - propagator.span
    ends = jnp.arange(propagator.span - 1, count)
    return float(np.mean([_one_step(propagator, states, ends) for states in shelf.states]))


@eqx.filter_jit
def _one_step(propagator: Propagator, states: Array, ends: Array) -> Array:
    def one(end: Array) -> Array:
        places = jnp.maximum(end + jnp.arange(1 - propagator.memory, 1), 0)
        found = steps_of(propagator, states[places], 1)[0][0]
        truth = states[end + 1 + jnp.arange(propagator.span)]
        over = tuple(range(1, truth.ndim))
        return jnp.mean(jnp.sqrt(jnp.sum((found - truth) ** 2, over) / jnp.sum(truth**2, over)))

    return jnp.mean(jax.lax.map(one, ends))


def rolled_errors(propagator: Propagator, shelf: Shelf) -> np.ndarray:
    """Relative L2 errors (S, T) of roll-outs from the first states."""
    count = shelf.states.shape[1] - 1
    found = [np.asarray(_rolled(propagator, states[0], count)) for states in shelf.states]
    return relative_errors(np.stack(found), np.asarray(shelf.states))


@eqx.filter_jit
def _rolled(propagator: Propagator, start: Array, count: int) -> Array:
    return roll(propagator, start, count)[0]


def valid_time(errors: np.ndarray, instants: np.ndarray) -> np.ndarray:
    """Time (S,) after the first instant until the error passes `THRESHOLD`, or all of it."""
    beyond = ~(errors <= THRESHOLD)
    first = np.where(beyond.any(axis=1), beyond.argmax(axis=1), len(instants) - 1)
    return instants[first] - instants[0]
