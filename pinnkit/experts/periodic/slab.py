"""One slab of time: collocation at Radau nodes for all Fourier modes, solved by Picard."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax import Array
from numpy.polynomial import chebyshev

from pinnkit.experts.periodic.modes import Modes

MOST_ITERATIONS = 60
STALL = 1e3
"""Multiple of the wanted precision at which rounding may stop the iteration."""
CACHED = 4e8
"""Bytes of operators that are kept for lengths used before."""
FLOOR = 1e-8
"""Components smaller than this fraction of the largest one are measured against that."""


@functools.lru_cache(maxsize=32)
def radau(p: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes c (p,) in (0, 1], c_p = 1, and A (p, p), A_ij = integral of l_j over (0, c_i).

    The Radau IIA method: collocation of degree p, L-stable, of order 2p - 1 at the end of the
    step (Hairer and Wanner, Solving Ordinary Differential Equations II, section IV.5).
    """
    inner = scipy.special.roots_jacobi(p - 1, 1, 0)[0]
    nodes = np.append(inner, 1.0)
    table = chebyshev.chebvander(nodes, p - 1)
    integrals = np.stack(
        [chebyshev.chebval(nodes, chebyshev.chebint(row, lbnd=-1)) for row in np.eye(p)],
        axis=1,
    )
    return 0.5 * (nodes + 1.0), 0.5 * np.linalg.solve(table.T, integrals.T).T


@functools.lru_cache(maxsize=32)
def to_chebyshev(p: int) -> np.ndarray:
    """(p + 1, p + 1): values at the start and at the p nodes to coefficients of T_k(2 tau - 1)."""
    nodes = np.append(-1.0, 2.0 * radau(p)[0] - 1.0)
    return np.linalg.inv(chebyshev.chebvander(nodes, p))


class Propagator(NamedTuple):
    """Solution operators of V_i = v + h sum_j A_ij (L V_j + N_j), stages grouped in g blocks.

    `start` (g, q, r, m) acts on the r components of v in a block, `source` (g, q, q, m) on the
    remainders N at its q = r p stages: V = start v + source N, mode by mode (m of them).
    """

    start: Array
    source: Array


def propagator(modes: Modes, p: int, h: float) -> Propagator:
    """(I - h L (x) A)^-1 for every mode: blocks of one component, or one block if L couples."""
    linear = modes.linear.reshape(*modes.linear.shape[:2], -1)
    s, _, m = linear.shape
    coupled = (linear * (1.0 - np.eye(s))[:, :, None]).any()
    if coupled:
        blocks = np.moveaxis(linear, 2, 0)[None]
    else:
        blocks = np.stack([linear[i, i] for i in range(s)])[:, :, None, None]
    a = h * radau(p)[1]
    r = blocks.shape[-1]
    big = np.einsum("gmab,ij->gmaibj", blocks, a).reshape(len(blocks), m, r * p, r * p)
    inverse = np.linalg.inv(np.eye(r * p) - big)
    split = inverse.reshape(len(blocks), m, r * p, r, p)
    source = np.einsum("gmqbi,ij->gmqbj", split, a).reshape(big.shape)
    return Propagator(*(jnp.asarray(np.moveaxis(x, 1, -1)) for x in (split.sum(-1), source)))


class Solved(NamedTuple):
    """Chebyshev coefficients (p + 1, s, ...modes) of a slab and how the iteration ended.

    `change` of the last iteration, relative to the state, and its ratio to the one before; tails
    in time and along each space axis, likewise; slopes of the remainder at the start.
    """

    coefficients: Array
    end: Array
    iterations: Array
    change: Array
    contraction: Array
    time_tail: Array
    space_tails: Array
    slopes: tuple[Array, ...]


class SlabSolver:
    """Compiled once for a grid and a degree; start, length and state are arguments."""

    def __init__(self, modes: Modes, p: int) -> None:
        self.modes, self.p = modes, p
        size = 8.0 * modes.linear.size * p**2
        self._propagator = functools.lru_cache(maxsize=int(np.clip(CACHED / size, 1, 8)))(
            functools.partial(propagator, modes, p)
        )
        self._compiled = jax.jit(self._solve)

    def __call__(
        self, state: np.ndarray, guess: np.ndarray, start: float, length: float, precise: float
    ) -> Solved:
        """Solve from `state` (s, ...modes); `guess` (p, s, ...modes) starts the iteration."""
        found = self._compiled(self._propagator(length), state, guess, start, length, precise)
        return jax.tree.map(np.asarray, found)

    def _solve(self, operators: Propagator, state, guess, start, length, precise) -> Solved:
        free, change, before, count = self._free(operators, state), jnp.inf, jnp.inf, 0
        times = start + length * jnp.asarray(radau(self.p)[0])

        def body(carry):
            stages, change, _, count = carry
            new = free + self._forced(operators, self.modes.remainder(stages, times))
            return new, jnp.max(self._size(new - stages) / self._unit(new)), change, count + 1

        def going(carry) -> Array:
            _, change, before, count = carry
            stalled = (change > 0.5 * before) & (change < STALL * precise)
            fine = (change > precise) & ~stalled & (change < 1e3)
            return (count < 2) | (fine & (count < MOST_ITERATIONS))

        if self.modes.terms:
            carry = (guess, jnp.asarray(change), jnp.asarray(before), 0)
            stages, change, before, count = jax.lax.while_loop(going, body, carry)
        else:
            # Known sources only: the first pass is the solution.
            stages, change, before, count = (*body((guess, 0.0, 1.0, 0))[:1], 0.0, 1.0, 1)
        return self._account(state, stages, start, (count, change, before))

    def _account(self, state: Array, stages: Array, start: Array, ended: tuple) -> Solved:
        count, change, before = ended
        whole = jnp.concatenate([state[None], stages])
        unit = self._unit(whole)
        coefficients = jnp.tensordot(jnp.asarray(to_chebyshev(self.p)), whole, 1)
        last = jnp.stack([self._size(coefficients[-1:]), 0.3 * self._size(coefficients[-2:-1])])
        outer = [self._size(whole * jnp.asarray(flag)[None, None]) for flag in self.modes.outer]
        return Solved(
            coefficients,
            stages[-1],
            jnp.asarray(count),
            jnp.asarray(change),
            jnp.asarray(change / before),
            jnp.max(last.max(axis=0) / unit),
            jnp.max(jnp.stack(outer) / unit[None], axis=1),
            self.modes.slopes(state, start),
        )

    def _size(self, stages: Array) -> Array:
        """Largest root mean square over the stages, by component."""
        weight = jnp.asarray(self.modes.power)[None, None]
        square = (stages.real**2 + stages.imag**2) * weight
        return jnp.sqrt(jnp.max(jnp.sum(square, tuple(range(2, stages.ndim))), axis=0))

    def _unit(self, stages: Array) -> Array:
        size = self._size(stages)
        return jnp.maximum(size, FLOOR * size.max() + 1e-300)

    def _free(self, operators: Propagator, state: Array) -> Array:
        g, q, r, m = operators.start.shape
        blocks = state.reshape(g, 1, r, m)
        return self._stages(jnp.sum(operators.start * blocks, axis=2))

    def _forced(self, operators: Propagator, remainder: Array) -> Array:
        g, q, _, m = operators.source.shape
        blocks = jnp.swapaxes(remainder, 0, 1).reshape(g, 1, q, m)
        return self._stages(jnp.sum(operators.source * blocks, axis=2))

    def _stages(self, blocks: Array) -> Array:
        """(g, q, m) -> (p, s, ...modes)."""
        s = len(self.modes.components)
        return jnp.swapaxes(blocks.reshape(s, self.p, *self.modes.shape), 0, 1)
