"""Members of an evolution family, marched in batches at one level of points and steps."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.methods import etdrk
from pinnkit.methods.families import Inputs
from pinnkit.methods.schemes import FourierScheme, Scheme

BATCH_VALUES, MOST_BATCH = 2**15, 64


@dataclasses.dataclass(frozen=True)
class Level:
    """`stride`: multiple of the coarsest grid, `steps`: per frame; halves are coarser."""

    stride: float
    steps: int

    def halved(self) -> Level:
        return Level(self.stride / 2, self.steps // 2)


@dataclasses.dataclass(frozen=True)
class Clock:
    """Times from `lo` to `hi`, with `frames` intervals from `begin` on.

    `where` time stands among the axes; `of_time`: whether input functions depend on it.
    """

    lo: float
    begin: float
    hi: float
    frames: int
    where: int
    of_time: bool


class March:
    """Solutions of members at any level.

    `scheme(stride)` makes the semi-discrete members, `modal` if in Fourier modes; states begin at
    a stride of at least `enough`, where the law's modes do not alias into each other.
    """

    def __init__(
        self,
        inputs: Inputs,
        scheme: Callable[[float], Scheme],
        clock: Clock,
        modal: bool,
        enough: float,
    ) -> None:
        self.inputs, self.scheme, self.clock = inputs, scheme, clock
        self.modal, self.enough = modal, enough

    def _functions(self, level: Level, samples: Sequence[int], seed: int) -> np.ndarray:
        """Input functions at the nodes of the scheme; those of time at half steps."""
        nodes: Sequence[np.ndarray] = self.scheme(level.stride).nodes
        if self.clock.of_time:
            nodes = [
                np.linspace(self.clock.lo, self.clock.hi, 2 * self.clock.frames * level.steps + 1)
            ]
        return self.inputs.draw(nodes, samples, seed)

    def run(
        self,
        level: Level,
        samples: Sequence[int],
        seed: int,
        begun: tuple[Level, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solutions (S, c, *grid) and the states at the first frame.

        Fourier modes of these are taken over from a finer level, where given.
        """
        scheme, functions = self.scheme(level.stride), self._functions(level, samples, seed)
        h = (self.clock.hi - self.clock.begin) / (self.clock.frames * level.steps)
        if begun is not None and self.modal:
            states = self._adopted(begun[1], begun[0].stride, level.stride)
        else:
            states = self._states(level, samples, seed, h)
        march, weights, found = self._march(level.stride), scheme.coefficients(h), []
        for index, count in _batches(states):
            solved = march(functions[index], states[index], weights, h, level.steps)
            found.append(np.asarray(solved)[:count])
        return np.concatenate(found), states

    def _states(self, level: Level, samples: Sequence[int], seed: int, h: float) -> np.ndarray:
        """States at the first frame."""
        finer = level
        while finer.stride < self.enough:
            finer = Level(2 * finer.stride, level.steps)
        scheme, functions = self.scheme(finer.stride), self._functions(finer, samples, seed)
        begin = jax.jit(
            jax.vmap(lambda f: scheme.initial(self._at(f, jnp.asarray(self.clock.lo), h)))
        )
        states = self._adopted(np.asarray(begin(functions)), finer.stride, level.stride)
        scheme, functions = self.scheme(level.stride), self._functions(level, samples, seed)
        if isinstance(scheme, FourierScheme):
            scheme.modal.check(jnp.asarray(states[0]), self.clock.lo)
        if self.clock.begin == self.clock.lo:
            return states
        steps = int(np.ceil((self.clock.begin - self.clock.lo) / h - 1e-9))
        h = (self.clock.begin - self.clock.lo) / steps
        advance, weights, found = self._advance(level.stride), scheme.coefficients(h), []
        for index, count in _batches(states):
            later = advance(functions[index], states[index], weights, h, steps)
            found.append(np.asarray(later)[:count])
        return np.concatenate(found)

    def _adopted(self, states: np.ndarray, fine: float, coarse: float) -> np.ndarray:
        while fine > coarse:
            states = np.asarray(self._halving(fine)(states))
            fine /= 2
        return states

    @functools.cache  # noqa: B019  (the object lives as long as one data set)
    def _halving(self, fine: float):
        one, two = self.scheme(fine), self.scheme(fine / 2)
        assert isinstance(one, FourierScheme) and isinstance(two, FourierScheme)
        return jax.jit(jax.vmap(lambda v: two.adopt(v, one)))

    def _at(self, function: jax.Array, t: jax.Array, h) -> jax.Array:
        """The input function at time t, which lies on a half step."""
        if not self.clock.of_time:
            return function
        return function[jnp.rint((t - self.clock.lo) * 2 / h).astype(int)]

    @functools.cache  # noqa: B019
    def _beginning(self, stride: float):
        scheme, start = self.scheme(stride), self.clock.lo

        def one(function, h):
            return scheme.initial(self._at(function, jnp.asarray(start), h))

        return jax.jit(jax.vmap(one, in_axes=(0, None)))

    @functools.cache  # noqa: B019
    def _advance(self, stride: float):
        scheme = self.scheme(stride)

        def one(function, v, weights, h, steps):
            begin = jnp.asarray(self.clock.lo)
            own, rest = scheme.member(v, begin, lambda t: self._at(function, t, h), weights, h)
            return etdrk.advance(own, rest, v, begin, h, steps)

        return jax.jit(jax.vmap(one, in_axes=(0, 0, None, None, None)))

    @functools.cache  # noqa: B019
    def _march(self, stride: float):
        """Compiled (functions, states, weights, h, steps) -> solutions (S, c, *grid)."""
        scheme = self.scheme(stride)

        def one(function, v, weights, h, steps):
            def at(t):
                return self._at(function, t, h)

            def fields(v, t):
                return scheme.fields(v, t, at(t))

            own, rest = scheme.member(v, jnp.asarray(self.clock.begin), at, weights, h)

            def frame(v, k):
                start = self.clock.begin + k * steps * h
                after = etdrk.advance(own, rest, v, start, h, steps)
                return after, fields(after, start + steps * h)

            _, later = jax.lax.scan(frame, v, jnp.arange(self.clock.frames))
            first = fields(v, jnp.asarray(self.clock.begin))[None]
            return jnp.moveaxis(jnp.concatenate([first, later]), 0, self.clock.where + 1)

        return jax.jit(jax.vmap(one, in_axes=(0, 0, None, None, None)))


def _batches(states: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Indices of batches of one size, so that one compilation serves all, and how many count."""
    total = len(states)
    size = int(np.clip(BATCH_VALUES // max(states[0].size, 1), 1, min(MOST_BATCH, total)))
    for first in range(0, total, size):
        index = np.arange(first, first + size)
        yield np.minimum(index, total - 1), min(size, total - first)
