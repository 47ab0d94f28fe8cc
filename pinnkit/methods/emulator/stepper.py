"""One learned step in time, and its repetition.

    u_{n+1} = u_n + s P N((u_n - c) / d)

with the network N, the typical change s, mean c and deviation d of each field, and P = 1 except
for fields whose mean over space never changes, of which P takes away the mean.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.derivatives import Axis
from pinnkit.methods.emulator.trajectories import Facts, mean_over
from pinnkit.methods.neural_operator.maps import grid_points, vanishing


class Scales(eqx.Module):
    """Normalisation of fields on a grid; see `Facts`."""

    centre: Array
    deviation: Array
    change: Array
    level: Array
    spread: Array
    conserved: tuple[bool, ...] = eqx.field(static=True)
    still: tuple[tuple[bool, bool], ...] = eqx.field(static=True)
    space: tuple[Axis, ...] = eqx.field(static=True)

    @classmethod
    def of(cls, found: Facts, space: tuple[Axis, ...]) -> Scales:
        """Those of a training set on the grid of `space`."""
        return cls(
            jnp.asarray(found.centre),
            jnp.asarray(found.deviation),
            jnp.asarray(found.change),
            jnp.asarray(found.level),
            jnp.asarray(found.spread),
            found.conserved,
            found.still,
            space,
        )

    def normalised(self, states: Array) -> Array:
        """(..., c, *space) -> the same, of mean zero and deviation one over the training set."""
        return (states - self._wide(self.centre, states)) / self._wide(self.deviation, states)

    def unscaled(self, normalised: Array) -> Array:
        """Differences of states from differences of normalised ones."""
        return self._wide(self.deviation, normalised) * normalised

    def diagnosis(self, raw: Array, like: Array) -> Array:
        """Diagnosed fields (d, *space) from a network's output, of the type of `like`."""
        raw = raw.astype(like.dtype)
        return self._wide(self.level, raw) + self._wide(self.spread, raw) * raw

    def step(self, state: Array, raw: Array) -> Array:
        """The next state (c, *space) from a network's output (c, *space)."""
        raw = raw.astype(state.dtype)
        if any(any(pair) for pair in self.still):
            factor = vanishing(self.space, self.still, grid_points(self.space))
            raw = raw * jnp.asarray(factor.reshape(1, *raw.shape[1:]), raw.dtype)
        update = self._wide(self.change, raw) * raw
        if any(self.conserved):
            keep = jnp.asarray(self.conserved, raw.dtype)
            update = update - self._wide(keep * mean_over(update, self.space), update)
        return state + update

    def _wide(self, numbers: Array, states: Array) -> Array:
        shape = (1,) * (states.ndim - 1 - len(self.space)) + numbers.shape
        return numbers.astype(states.dtype).reshape(shape + (1,) * len(self.space))


class Propagator(eqx.Module):
    """Advances a window, the last `memory` states, by `span` states at once."""

    scales: eqx.AbstractVar[Scales]
    networks: eqx.AbstractVar[Any]
    memory: eqx.AbstractVar[int]
    span: eqx.AbstractVar[int]

    @abstractmethod
    def begin(self, start: Array) -> Array:
        """The first window (memory, c, *space); its last `span` states begin with `start`."""

    @abstractmethod
    def advance(self, window: Array) -> tuple[Array, Array]:
        """The next states (span, c, *space), and diagnosed fields (span, d, *space) of the last
        states of the window."""

    def moved(self, window: Array, states: Array) -> Array:
        """The window after these states."""
        return jnp.concatenate([window, states])[-self.memory :]


class Stepper(Propagator):
    """One network for one step, from the last `memory` states; before the first all are equal."""

    scales: Scales
    networks: Any
    memory: int = eqx.field(static=True)
    span: int = eqx.field(static=True, default=1)

    def begin(self, start: Array) -> Array:
        return jnp.broadcast_to(start, (self.memory, *start.shape))

    def advance(self, window: Array) -> tuple[Array, Array]:
        return _single(self.scales, self.networks, window)


class Interleaved(Propagator):
    """`span` sequences of every `span`-th state, each with its own network (NeuralStagger).

    `networks` are two: those, stacked, that take the first state to each of the next span - 1, and
    those that take each sequence onward. The window has one state of each, `memory` = `span`.
    """

    scales: Scales
    networks: tuple[Any, Any]
    memory: int = eqx.field(static=True)
    span: int = eqx.field(static=True)

    def begin(self, start: Array) -> Array:
        step = lambda network: _single(self.scales, network, start[None])[0][0]  # noqa: E731
        return jnp.concatenate([start[None], eqx.filter_vmap(step)(self.networks[0])])

    def advance(self, window: Array) -> tuple[Array, Array]:
        step = lambda network, state: _single(self.scales, network, state[None])  # noqa: E731
        states, diagnosed = eqx.filter_vmap(step)(self.networks[1], window)
        return states[:, 0], diagnosed[:, 0]


def _single(scales: Scales, network: Any, window: Array) -> tuple[Array, Array]:
    """One step of one network: (h, c, *space) -> (1, c, *space) and (1, d, *space)."""
    state = window[-1]
    channels = scales.normalised(window).reshape(-1, *state.shape[1:])
    raw = network(channels.astype(jnp.float32))
    count = len(state)
    following = scales.step(state, raw[:count])
    return following[None], scales.diagnosis(raw[count:], state)[None]


def roll(propagator: Propagator, start: Array, count: int) -> tuple[Array, Array]:
    """States (count + 1, c, *space) from the first, and diagnosed fields (count + 1, d, *space)."""
    span = propagator.span

    def body(window: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
        states, diagnosed = propagator.advance(window)
        return propagator.moved(window, states), (window[-span:], diagnosed)

    window = propagator.begin(start)
    _, found = jax.lax.scan(body, window, None, length=-(-(count + 1) // span))
    states, diagnosed = (joined(a)[: count + 1] for a in found)
    return states, diagnosed


def joined(blocks: Array) -> Array:
    """(k, span, ...) -> (k span, ...)."""
    return blocks.reshape(blocks.shape[0] * blocks.shape[1], *blocks.shape[2:])
