"""Transformer operator on grids and point clouds: attention as an integral over the domain.

    (Att v)(x) = sum_j exp(q(x).k(x_j)) v(x_j) w_j / sum_j exp(q(x).k(x_j)) w_j,

with quadrature weights w_j, so that the sums tend to integrals as points are added, and a point
counts as much as two in its place of half the weight.

Source: Berner, Liu-Schiaffini, Kossaifi, Duruisseaux, Bonev, Azizzadenesheli and Anandkumar,
"Principled approaches for extending neural architectures to function spaces for operator
learning", arXiv:2506.10973, section 4; blocks as in Vaswani et al., NeurIPS 2017, section 3.1,
with the normalisation first.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.geometry.graph import PointGraph
from pinnkit.nn.boundary import features, quadrature, require_boundary
from pinnkit.nn.initial import alike, dense, require_sizes
from pinnkit.nn.mlp import MLP, MLPNetwork


def normalised(v: Array) -> Array:
    """Mean 0 and variance 1 over the channels of each point."""
    centred = v - jnp.mean(v, axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + 1e-6)


class Attention(eqx.Module):
    """Several heads of the integral above, each on its own share of the channels."""

    query: Array
    key: Array
    value: Array
    out: Array
    heads: int = eqx.field(static=True)

    def __call__(self, v: Array, weights: Array) -> Array:
        """(N, C) and (N,) -> (N, C)."""
        q, k, u = (
            (v @ m).reshape(len(v), self.heads, -1) for m in (self.query, self.key, self.value)
        )
        scores = jnp.einsum("ihc,jhc->hij", q, k) / q.shape[-1] ** 0.5
        # points without weight have no part in it, whatever their functions are
        some = weights > 0
        share = jnp.where(some, jnp.log(jnp.where(some, weights, 1.0)), -jnp.inf)
        scores = scores + share[None, None]
        found = jnp.einsum("hij,jhc->ihc", jax.nn.softmax(scores, axis=-1), u)
        return found.reshape(v.shape) @ self.out


class Block(eqx.Module):
    """v <- v + Att(norm v), v <- v + perceptron(norm v), the latter at every point alone."""

    attention: Attention
    perceptron: MLPNetwork

    def __call__(self, v: Array, weights: Array) -> Array:
        """(N, C) and (N,) -> (N, C)."""
        v = v + self.attention(normalised(v), weights)
        return v + jax.vmap(self.perceptron)(normalised(v))


class TransformerNetwork(eqx.Module):
    """Map between functions on any cloud of points; see `Transformer`.

    Positions are scaled from the box `lower` to `upper` to [-1, 1]^d.
    """

    lift: MLPNetwork
    blocks: tuple[Block, ...]
    projection: MLPNetwork
    lower: Array
    upper: Array

    def prepared(self, graph: PointGraph) -> tuple[Array, Array]:
        """What the network needs to know of the points: themselves, and their areas."""
        kind = self.lower.dtype
        return jnp.asarray(graph.points, kind), jnp.asarray(graph.areas, kind)

    def __call__(self, points: Array, weights: Array, functions: Array) -> Array:
        """(N, d), (N,) and (N, in_channels) -> (N, out_channels).

        weights: of a quadrature rule with these points as nodes, up to a common factor.
        """
        lower, upper = jax.lax.stop_gradient((self.lower, self.upper))
        scaled = (2 * points - (lower + upper)[None]) / (upper - lower)[None]
        v = jax.vmap(self.lift)(jnp.concatenate([scaled, functions], axis=1))
        for block in self.blocks:
            v = block(v, weights)
        return jax.vmap(self.projection)(normalised(v))


class GridTransformer(eqx.Module):
    """A transformer whose points are the nodes of a grid, with the weights of `quadrature`.

    Nodes are known by their `features`: s along each axis, cos 2 pi s and sin 2 pi s along
    periodic ones.
    """

    network: TransformerNetwork
    boundary: tuple[str, ...] = eqx.field(static=True)

    transfers = True

    def __call__(self, functions: Array) -> Array:
        """(in_channels, *grid) -> (out_channels, *grid)."""
        shape, kind = functions.shape[1:], functions.dtype
        axes = [quadrature(n, word) for n, word in zip(shape, self.boundary, strict=True)]
        weights = functools.reduce(np.multiply.outer, axes).ravel()
        places = features(shape, self.boundary, anchored=True)
        rows = (a.reshape(len(a), -1).T for a in (places, functions))
        points, values = (jnp.asarray(a, kind) for a in rows)
        found = self.network(points, jnp.asarray(weights, kind), values)
        return found.T.reshape(-1, *shape)


@dataclasses.dataclass(frozen=True)
class Transformer:
    """Architecture of a transformer operator, on regular grids or point clouds in any dimension.

    width: functions per block; heads: of attention, each on width / heads of these; blocks: number
    of them. Work and memory grow as the square of the number of points.

    Raises OptionError for values out of range.
    """

    width: int = 48
    heads: int = 4
    blocks: int = 3

    def __post_init__(self) -> None:
        require_sizes(self, "width", "heads", "blocks")
        if self.width % self.heads:
            raise OptionError(
                f"Transformer: width {self.width} cannot be shared by {self.heads} heads; "
                "give a multiple."
            )

    def build(
        self,
        in_channels: int,
        out_channels: int,
        grid_shape: tuple[int, ...],
        boundary: tuple[str, ...],
        *,
        key: Array,
    ) -> GridTransformer:
        """Random network for fields on grids of the kind of `grid_shape`."""
        require_boundary("Transformer", boundary, len(grid_shape))
        box = [(-1.0, 1.0)] * 2, [(0.0, 1.0)]
        ends = np.array([pair for word in boundary for pair in box[word != "periodic"]])
        network = self.in_box(in_channels, out_channels, *ends.T, key=key)
        return GridTransformer(network, boundary)

    def on_points(
        self, in_channels: int, out_channels: int, graph: PointGraph, *, key: Array
    ) -> TransformerNetwork:
        """Random network for clouds of points in the box of this one."""
        corners = graph.points.min(axis=0), graph.points.max(axis=0)
        return self.in_box(in_channels, out_channels, *corners, key=key)

    def in_box(
        self, in_channels: int, out_channels: int, lower: Any, upper: Any, *, key: Array
    ) -> TransformerNetwork:
        """Random network for points in the box between the corners `lower` and `upper`, (d,)."""
        keys = jax.random.split(key, self.blocks + 2)
        lower, upper = (jnp.asarray(c, jnp.result_type(float)) for c in (lower, upper))
        lift = MLP(self.width, 1, "gelu").build(lower.size + in_channels, self.width, key=keys[0])
        pointwise = MLP(self.width, 1, "gelu", frequency=0)
        projection = pointwise.build(self.width, out_channels, key=keys[1])
        blocks = alike(self._block, keys[2:])
        return TransformerNetwork(lift, blocks, projection, lower, upper)

    def _block(self, key: Array) -> Block:
        attention_key, pointwise_key = jax.random.split(key)
        (query, key_matrix, value, out), _ = dense(attention_key, (self.width,) * 5)
        perceptron = MLP(2 * self.width, 1, "gelu", frequency=0)
        inner = perceptron.build(self.width, self.width, key=pointwise_key)
        return Block(Attention(query, key_matrix, value, out, self.heads), inner)
