"""Networks on points and the edges between them: message passing, Laplacians, kernel integrals.

Sources: Zeng et al., "PhyMPGN: physics-encoded message passing graph network for spatiotemporal PDE
systems", ICLR 2025, arXiv:2410.01337, section 3.2, for messages and the Laplacian; Li et al.,
"Neural operator: graph kernel network for partial differential equations", arXiv:2003.03485,
eq. 6, with quadrature weights as in Berner et al., arXiv:2506.10973, section 4, for the integral.
"""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.geometry.graph import PointGraph, within
from pinnkit.nn.activations import activation
from pinnkit.nn.initial import alike, dense, require_positive, require_sizes
from pinnkit.nn.mlp import MLP, MLPNetwork


class Edges(eqx.Module):
    """Directed edges between nodes, as arrays; see `PointGraph`.

    `receivers`, `senders` (E,), the former ascending; `offsets` (E, 2) and `areas` (N,) in units
    of the mean distance of nodes, `spacing`, and of its square; `weights` (E,) of the Laplacian;
    `boundary` (N,), one at boundary nodes, else zero.
    """

    receivers: Array
    senders: Array
    offsets: Array
    weights: Array
    areas: Array
    boundary: Array
    spacing: float = eqx.field(static=True)

    @classmethod
    def of(cls, graph: PointGraph) -> Edges:
        """The edges of a triangulation, in single precision."""
        spacing = float(np.sqrt(graph.areas.mean()))
        return cls(
            jnp.asarray(graph.receivers, jnp.int32),
            jnp.asarray(graph.senders, jnp.int32),
            jnp.asarray(graph.offsets / spacing, jnp.float32),
            jnp.asarray(graph.weights, jnp.float32),
            jnp.asarray(graph.areas / spacing**2, jnp.float32),
            jnp.asarray(graph.boundary, jnp.float32),
            spacing,
        )

    def summed(self, messages: Array) -> Array:
        """Sum (N, c) over the edges (E, c) that end in each node."""
        return jax.ops.segment_sum(
            messages, self.receivers, len(self.areas), indices_are_sorted=True
        )

    def differences(self, v: Array) -> Array:
        """v_j - v_i on every edge: (N, c) -> (E, c)."""
        return v[self.senders] - v[self.receivers]

    def laplacian(self, v: Array) -> Array:
        """(1 / A_i) sum_j w_ij (v_j - v_i): (N, c) -> (N, c)."""
        flux = self.weights[:, None].astype(v.dtype) * self.differences(v)
        return self.summed(flux) / (self.areas[:, None].astype(v.dtype) * self.spacing**2)


class Exchange(eqx.Module):
    """h_i <- gamma(h_i, mean_j sigma(h_i A + (h_j - h_i) B + e_ij C + b) D).

    The mean over neighbours comes before the linear map D, which costs less and gives the same.
    """

    own: Array
    other: Array
    edge: Array
    bias: Array
    update: MLPNetwork

    def __call__(self, edges: Edges, degree: Array, h: Array, e: Array) -> Array:
        """(N, C) and (E, C) -> (N, C)."""
        sigma = activation(self.update.activation)
        mine, others = h @ (self.own - self.other) + self.bias[None], h @ self.other
        messages = sigma(mine[edges.receivers] + others[edges.senders] + e @ self.edge)
        mean = edges.summed(messages) / degree[:, None]
        return jax.vmap(self.update)(jnp.concatenate([h, mean], axis=1))


class MessagePassingNetwork(eqx.Module):
    """Map between functions at the nodes of a graph; see `MessagePassing`."""

    encode: MLPNetwork
    feel: MLPNetwork
    exchanges: tuple[Exchange, ...]
    decode: MLPNetwork

    def prepared(self, graph: PointGraph) -> tuple[Edges]:
        """What the network needs to know of the points."""
        return (Edges.of(graph),)

    def __call__(self, edges: Edges, v: Array) -> Array:
        """(N, in_channels) -> (N, out_channels)."""
        length = jnp.linalg.norm(edges.offsets, axis=1, keepdims=True)
        seen = jnp.concatenate([edges.differences(v), edges.offsets, length], axis=1)
        h = jax.vmap(self.encode)(jnp.concatenate([v, edges.boundary[:, None]], axis=1))
        e = activation(self.feel.activation)(jax.vmap(self.feel)(seen))
        degree = jnp.maximum(edges.summed(jnp.ones((len(seen), 1), h.dtype))[:, 0], 1)
        for exchange in self.exchanges:
            h = h + exchange(edges, degree, h, e)
        return jax.vmap(self.decode)(h)


@dataclasses.dataclass(frozen=True)
class MessagePassing:
    """Architecture: encode nodes and edges, exchange messages between neighbours, decode.

    width: functions at every node and edge; layers: exchanges, each of which reaches one edge
    farther. Edges know differences of the functions, and directions and lengths in units of the
    mean distance of nodes; nothing knows where it is, so that the map moves with the points.
    A new network is zero.

    Raises OptionError for values out of range.
    """

    width: int = 32
    layers: int = 3
    activation: str = "silu"

    def __post_init__(self) -> None:
        require_sizes(self, "width", "layers")
        activation(self.activation)

    def build(self, in_channels: int, out_channels: int, *, key: Array) -> MessagePassingNetwork:
        """Random network of functions at nodes in the plane."""
        keys = jax.random.split(key, self.layers + 3)
        pointwise = MLP(self.width, 1, self.activation, frequency=0)
        decode = pointwise.build(self.width, out_channels, key=keys[2])
        decode = eqx.tree_at(lambda m: m.weights[-1], decode, replace_fn=jnp.zeros_like)
        return MessagePassingNetwork(
            pointwise.build(in_channels + 1, self.width, key=keys[0]),
            pointwise.build(in_channels + 3, self.width, key=keys[1]),
            alike(self._exchange, keys[3:]),
            decode,
        )

    def on_points(
        self, in_channels: int, out_channels: int, graph: PointGraph, *, key: Array
    ) -> MessagePassingNetwork:
        """The same: the map moves with the points."""
        del graph
        return self.build(in_channels, out_channels, key=key)

    def _exchange(self, key: Array) -> Exchange:
        matrix_key, update_key = jax.random.split(key)
        (own, other, edge), (bias, *_) = dense(matrix_key, (self.width,) * 4)
        pointwise = MLP(self.width, 1, self.activation, frequency=0)
        update = pointwise.build(2 * self.width, self.width, key=update_key)
        return Exchange(own, other, edge, bias, update)


class CorrectedLaplacian(eqx.Module):
    """(1 / A_i) (z_i + sum_j w_ij (v_j - v_i)), with z = correction(v) learned."""

    correction: MessagePassingNetwork

    def __call__(self, edges: Edges, v: Array) -> Array:
        """(N, c) -> (N, c)."""
        z = self.correction(edges, v) / (edges.areas[:, None] * edges.spacing**2)
        return edges.laplacian(v) + z


class KernelIntegral(eqx.Module):
    """(K v)(x) = sum_j k(y_j - x) v(y_j) w_j over points y_j within `radius` of x.

    k is a matrix that a network makes of the offset, times (1 - r^2)^2 with r the distance in units
    of the radius, so that the sum is smooth in all points and tends to an integral.
    """

    kernel: MLPNetwork
    radius: float = eqx.field(static=True)

    def __call__(self, pairs: Pairs, weights: Array, v: Array) -> Array:
        """Functions (M, in_channels) at the y_j, weights (M,) -> (N, out_channels) at the x_i."""
        kernels = jax.vmap(self.kernel)(pairs.offsets).reshape(len(pairs.offsets), -1, v.shape[1])
        window = (1 - jnp.minimum(jnp.sum(pairs.offsets**2, axis=1), 1.0)) ** 2
        parts = jnp.einsum("eoi,ei->eo", kernels, (v * weights[:, None])[pairs.senders])
        parts = parts * (window / self.radius ** pairs.offsets.shape[1])[:, None]
        return jax.ops.segment_sum(parts, pairs.receivers, pairs.count)

    def pairs(
        self,
        targets: np.ndarray,
        sources: np.ndarray,
        periods: tuple[float, ...] | None = None,
    ) -> Pairs:
        """The pairs of points that know of each other: `targets` (N, d), `sources` (M, d)."""
        receivers, senders, offsets = within(targets, sources, self.radius, periods)
        kind = self.kernel.weights[0].dtype
        return Pairs(
            jnp.asarray(receivers, jnp.int32),
            jnp.asarray(senders, jnp.int32),
            jnp.asarray(offsets / self.radius, kind),
            len(targets),
        )


class Pairs(eqx.Module):
    """Targets `receivers`, sources `senders` (E,) and offsets (E, d) in units of the radius."""

    receivers: Array
    senders: Array
    offsets: Array
    count: int = eqx.field(static=True)


@dataclasses.dataclass(frozen=True)
class GraphKernel:
    """Architecture of a kernel integral over balls of `radius`, whose kernel is a perceptron.

    Raises OptionError for values out of range.
    """

    radius: float
    kernel: MLP = MLP(32, 2, "gelu")

    def __post_init__(self) -> None:
        require_positive(self, "radius")

    def build(
        self, in_channels: int, out_channels: int, *, dimension: int = 2, key: Array
    ) -> KernelIntegral:
        """Random integral for points of this dimension."""
        kernel = self.kernel.build(dimension, in_channels * out_channels, key=key)
        return KernelIntegral(kernel, self.radius)
