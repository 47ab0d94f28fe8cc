"""Networks on staggered sub-grids: every s-th node along each axis makes a grid of its own.

    u^(p)[i] = u[i s + p],     0 <= p_j < s_j,

one network for each offset p, which sees its own sub-grid alone. The networks need nothing of
each other, so they may run side by side, and each is a forecast on a coarse grid by itself.

Source: Huang, Shi, Meng, Wang, Liu et al., "NeuralStagger: Accelerating Physics-constrained
Neural PDE Solver with Spatial-temporal Decomposition", ICML 2023, arXiv:2302.10255.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError


def split(fields: Array, factors: tuple[int, ...]) -> Array:
    """(c, *grid) -> (prod of factors, c, *grid / factors), offsets p with the last axis fastest."""
    ndim = len(factors)
    coarse = [n // s for n, s in zip(fields.shape[1:], factors, strict=True)]
    pairs = [size for n, s in zip(coarse, factors, strict=True) for size in (n, s)]
    apart = fields.reshape(fields.shape[0], *pairs)
    offsets, nodes = range(2, 2 * ndim + 1, 2), range(1, 2 * ndim + 1, 2)
    return apart.transpose(*offsets, 0, *nodes).reshape(-1, fields.shape[0], *coarse)


def merge(parts: Array, factors: tuple[int, ...]) -> Array:
    """The inverse of `split`."""
    ndim, coarse = len(factors), parts.shape[2:]
    apart = parts.reshape(*factors, *parts.shape[1:])
    pairs = [i for j in range(ndim) for i in (ndim + 1 + j, j)]
    fine = (n * s for n, s in zip(coarse, factors, strict=True))
    return apart.transpose(ndim, *pairs).reshape(parts.shape[1], *fine)


class StaggeredNetwork(eqx.Module):
    """One network per offset; their arrays are stacked along a first axis."""

    networks: Any
    factors: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, functions: Array) -> Array:
        """(in_channels, *grid) -> (out_channels, *grid)."""
        parts = split(functions, self.factors)
        # batched products of small matrices take several times longer than one after another
        found = [self.part(i)(part) for i, part in enumerate(parts)]
        return merge(jnp.stack(found), self.factors)

    def part(self, offset: int) -> Any:
        """The network of one sub-grid, numbered as in `split`."""
        own = lambda a: a[offset] if eqx.is_array(a) else a  # noqa: E731
        return jax.tree.map(own, self.networks)


@dataclasses.dataclass(frozen=True)
class NeuralStagger:
    """Architecture of networks on staggered sub-grids and interleaved sequences of instants.

    architecture: that of each network; space: factor s along every axis, or one for each, which
    must divide the number of nodes; time: number of interleaved sequences, each of which an
    `Emulator` advances by so many instants at once, with networks of its own (1 for one sequence).

    Raises OptionError for factors below one.
    """

    architecture: Any
    space: int | tuple[int, ...] = 2
    time: int = 1

    def __post_init__(self) -> None:
        factors = self.space if isinstance(self.space, tuple) else (self.space,)
        if min(*factors, self.time, 1) < 1:
            raise OptionError(
                f"NeuralStagger(space={self.space}, time={self.time}): factors must be at least 1. "
                "Give 1 for no splitting."
            )

    def factors(self, grid_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One factor per axis. Raises OptionError where they do not divide the grid."""
        ndim = len(grid_shape)
        found = self.space if isinstance(self.space, tuple) else (self.space,) * ndim
        if len(found) != ndim or any(n % s for n, s in zip(grid_shape, found, strict=True)):
            raise OptionError(
                f"NeuralStagger: factors {found} do not divide a grid of {grid_shape} nodes. "
                "Choose factors that do, or another resolution."
            )
        return found

    def build(
        self,
        in_channels: int,
        out_channels: int,
        grid_shape: tuple[int, ...],
        boundary: tuple[str, ...],
        *,
        key: Array,
    ) -> StaggeredNetwork:
        """Random networks. Sub-grids of axes with walls end beside these, so they are "free"."""
        factors = self.factors(grid_shape)
        coarse = tuple(n // s for n, s in zip(grid_shape, factors, strict=True))
        words = tuple(
            word if word == "periodic" or s == 1 else "free"
            for word, s in zip(boundary, factors, strict=True)
        )

        def one(key: Array) -> Any:
            return self.architecture.build(in_channels, out_channels, coarse, words, key=key)

        keys = jax.random.split(key, math.prod(factors))
        return StaggeredNetwork(eqx.filter_vmap(one)(keys), factors)
