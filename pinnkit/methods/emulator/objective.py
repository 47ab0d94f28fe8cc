"""What is minimised when a step in time is learned from trajectories."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.methods.emulator.stepper import Propagator, joined
from pinnkit.methods.neural_operator.losses import Loss
from pinnkit.training import Objective

HELD_WINDOWS = 64
"""Windows of the validation set on which the best parameters are chosen."""


class Windows(eqx.Module):
    """Stretches of trajectories: `states` (B, n, c, *space), `diagnosed` (B, m, d, *space)."""

    states: Array
    diagnosed: Array


class Shelf(eqx.Module):
    """All states (S, T, c, *space) and diagnosed fields of a set of trajectories."""

    states: Array
    diagnosed: Array

    @classmethod
    def of(cls, states: np.ndarray, diagnosed: np.ndarray) -> Shelf:
        return cls(jnp.asarray(states, jnp.float32), jnp.asarray(diagnosed, jnp.float32))

    def stretches(self, key: Array, count: int, before: int, after: int, least: int = 0) -> Windows:
        """Random stretches of `before` states, the last of them at instant `least` or later, and
        `after` more. What would lie before the first instant is the first state."""
        row_key, end_key = jax.random.split(key)
        rows = jax.random.randint(row_key, (count, 1), 0, len(self.states))
        last = self.states.shape[1] - 1 - after
        ends = jax.random.randint(end_key, (count, 1), least, last + 1)
        places = jnp.maximum(ends + jnp.arange(1 - before, after + 1)[None], 0)
        return Windows(self.states[rows, places], self.diagnosed[rows, places])


def steps_of(
    propagator: Propagator, window: Array, count: int, pushforward: bool = False
) -> tuple[Array, Array]:
    """States and diagnosed fields of `count` applications, (count, span, ...) each.

    With `pushforward` gradients do not go through the window of the last one, so that states of
    the network's own making are treated as data (Brandstetter, Worrall and Welling, ICLR 2022,
    arXiv:2202.03376, section 3.1).
    """

    def body(window: Array, last: Array) -> tuple[Array, tuple[Array, Array]]:
        if pushforward:
            window = jnp.where(last, jax.lax.stop_gradient(window), window)
        states, diagnosed = propagator.advance(window)
        return propagator.moved(window, states), (states, diagnosed)

    lasts = jnp.arange(count) == count - 1
    return jax.lax.scan(body, window, lasts)[1]


class StepErrors(Objective):
    """Mean relative error over `unroll` applications from random windows of the trajectories.

    With `pushforward` the last one counts alone. `noise` is added to the windows, in units of the
    change from one instant to the next.
    """

    propagator: Propagator
    train: Shelf
    held: Shelf
    names: tuple[str, ...] = eqx.field(static=True)
    batch: int = eqx.field(static=True)
    unroll: int = eqx.field(static=True)
    pushforward: bool = eqx.field(static=True)
    noise: float = eqx.field(static=True)
    norm: Loss = eqx.field(static=True)

    def sample(self, key: Array, params: Any, step: Array, previous: Any | None = None) -> Windows:
        del params, step, previous
        draw_key, noise_key = jax.random.split(key)
        found = self._draw(self.train, draw_key, self.batch)
        if not self.noise:
            return found
        memory = self.propagator.memory
        shape = found.states[:, :memory].shape
        change = self.propagator.scales.change.reshape(1, 1, -1, *(1,) * (len(shape) - 3))
        noise = self.noise * change * jax.random.normal(noise_key, shape, jnp.float32)
        noisy = found.states.at[:, :memory].add(noise.astype(jnp.float32))
        return Windows(noisy, found.diagnosed)

    def validation(self, key: Array, params: Any) -> Windows:
        del params
        return self._draw(self.held, key, HELD_WINDOWS)

    def _draw(self, shelf: Shelf, key: Array, count: int) -> Windows:
        span = self.propagator.span
        return shelf.stretches(key, count, self.propagator.memory, self.unroll * span, span - 1)

    def loss(self, params: Any, batch: Windows) -> tuple[Array, dict[str, Array]]:
        propagator = eqx.tree_at(lambda p: p.networks, self.propagator, params)
        errors = jax.vmap(lambda states, d: self._errors(propagator, states, d))(
            batch.states, batch.diagnosed
        )
        squares = jnp.mean(errors**2, axis=0)
        return jnp.mean(errors), {n: squares[i] for i, n in enumerate(self.names)}

    def _errors(self, propagator: Propagator, truth: Array, diagnosed: Array) -> Array:
        """Relative errors (c + d,) of one stretch, means over its states."""
        memory, span = propagator.memory, propagator.span
        found, others = steps_of(propagator, truth[:memory], self.unroll, self.pushforward)
        first = self.unroll - 1 if self.pushforward else 0
        found, others = (joined(a[first:]) for a in (found, others))
        later = truth[memory + first * span :]
        now = diagnosed[memory + (first - 1) * span : len(diagnosed) - span]
        errors = self._mean(found, later)
        if span > 1:
            begun = propagator.begin(truth[memory - span])
            errors = (errors + self._mean(begun[1:], truth[memory - span + 1 : memory])) / 2
        return jnp.concatenate([errors, self._mean(others, now)])

    def _mean(self, found: Array, truth: Array) -> Array:
        space = self.propagator.scales.space
        if not found.shape[1]:
            return jnp.zeros(0, found.dtype)
        one = jax.vmap(lambda a, b: self.norm(a, b, space))(found, truth)
        return jnp.mean(one, axis=0)
