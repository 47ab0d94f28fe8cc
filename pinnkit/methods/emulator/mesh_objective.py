"""What is minimised when rates on a mesh are learned from segments of trajectories."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.methods.emulator.mesh_stepper import MeshStepper
from pinnkit.training import Objective

HELD_SEGMENTS = 16


class SegmentErrors(Objective):
    """Mean square errors of the first and of the last prediction in segments of trajectories.

    A segment is a state, with noise in training, and `length` - 1 that follow it. The first
    prediction counts by itself; those after it take it for data, so that gradients go through the
    others only. Errors are in units of the deviation of the fields.

    Source: Zeng et al., ICLR 2025, arXiv:2410.01337, section 3.3.
    """

    stepper: MeshStepper
    train: Array
    held: Array
    names: tuple[str, ...] = eqx.field(static=True)
    batch: int = eqx.field(static=True)
    length: int = eqx.field(static=True)
    noise: float = eqx.field(static=True)

    def sample(self, key: Array, params: Any, step: Array, previous: Any | None = None) -> Array:
        del params, step, previous
        draw_key, noise_key = jax.random.split(key)
        found = self._draw(self.train, draw_key, self.batch)
        first = found[:, 0]
        size = self.noise * jnp.std(first, axis=1, keepdims=True)
        noise = size * jax.random.normal(noise_key, first.shape, first.dtype)
        return found.at[:, 0].add(noise)

    def validation(self, key: Array, params: Any) -> Array:
        del params
        return self._draw(self.held, key, HELD_SEGMENTS)

    def _draw(self, states: Array, key: Array, count: int) -> Array:
        """(S, T, N, c) -> (count, length, N, c)."""
        row_key, place_key = jax.random.split(key)
        rows = jax.random.randint(row_key, (count, 1), 0, len(states))
        last = states.shape[1] - self.length
        places = jax.random.randint(place_key, (count, 1), 0, last + 1)
        return states[rows, places + jnp.arange(self.length)[None]]

    def loss(self, params: Any, batch: Array) -> tuple[Array, dict[str, Array]]:
        stepper = eqx.tree_at(lambda s: s.networks, self.stepper, params)
        squares = jnp.mean(jax.vmap(lambda truth: self._errors(stepper, truth))(batch), axis=0)
        return jnp.sum(squares), {n: squares[i] for i, n in enumerate(self.names)}

    def _errors(self, stepper: MeshStepper, truth: Array) -> Array:
        """Mean squares (c,) of one segment (length, N, c)."""

        def body(u: Array, second: Array) -> tuple[Array, Array]:
            following = stepper.advance(jnp.where(second, jax.lax.stop_gradient(u), u))
            return following, following

        seconds = jnp.arange(self.length - 1) == 1
        _, found = jax.lax.scan(body, truth[0], seconds, unroll=min(len(seconds), 5))
        squares = (found[0] - truth[1]) ** 2
        if self.length > 2:
            squares = squares + (found[-1] - truth[-1]) ** 2
        return jnp.mean(squares, axis=0) / stepper.deviation**2
