"""Operators between functions at scattered points: kernel integrals, and grids between them.

    v <- gelu(v W + b + K v),     (K v)(x) = sum_j k(y_j - x) v(y_j) w_j,

with quadrature weights w_j, so that the sums tend to integrals as points are added. Weights are the
areas around the points, places are scaled by the box that the points of training fill.

Sources: Li et al., "Neural operator: graph kernel network for partial differential equations",
arXiv:2003.03485, eq. 6; with a grid: Li et al., "Geometry-informed neural operator for large-scale
3D PDEs", NeurIPS 2023, arXiv:2309.00583, section 3.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.geometry.graph import PointGraph
from pinnkit.nn.fno import FNO
from pinnkit.nn.graph import GraphKernel, KernelIntegral, Pairs
from pinnkit.nn.initial import alike, dense, require_positive, require_sizes
from pinnkit.nn.mlp import MLP, MLPNetwork

FEATURES = 3
"""What is known of a point: its two scaled coordinates, and whether it is on the boundary."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """The box in which coordinates run from -1 to 1; periods where copies of points are neighbours.

    Lengths are scaled alike along both axes, by half the longer side.
    """

    lower: tuple[float, float]
    upper: tuple[float, float]
    periodic: bool

    @classmethod
    def of(cls, graph: PointGraph) -> Frame:
        """That of a cloud of points; with periods the whole cell."""
        lower = graph.points.min(axis=0)
        upper = graph.points.max(axis=0)
        if graph.periods is not None:
            upper = lower + np.asarray(graph.periods)
        return cls(tuple(lower.tolist()), tuple(upper.tolist()), graph.periods is not None)

    @property
    def size(self) -> np.ndarray:
        """Sides of the box in units of half the longer one, (2,)."""
        sides = np.subtract(self.upper, self.lower)
        return 2 * sides / sides.max()

    @property
    def periods(self) -> tuple[float, ...] | None:
        """The same where they are periods."""
        return tuple(self.size.tolist()) if self.periodic else None

    def scaled(self, points: np.ndarray) -> np.ndarray:
        """(N, 2), from the lower corner on."""
        half = np.subtract(self.upper, self.lower).max() / 2
        return (points - np.asarray(self.lower)) / half

    def weights(self, graph: PointGraph) -> np.ndarray:
        """Areas (N,) in scaled lengths."""
        return graph.areas / (np.subtract(self.upper, self.lower).max() / 2) ** 2

    def features(self, graph: PointGraph) -> np.ndarray:
        """(N, 3): where points are, unless that is nowhere in particular, and the boundary."""
        places = self.scaled(graph.points) - self.size / 2
        return np.column_stack([places * (not self.periodic), graph.boundary])


class KernelLayer(eqx.Module):
    """v W + b + K v, without activation."""

    integral: KernelIntegral
    matrix: Array
    bias: Array

    def __call__(self, pairs: Pairs, weights: Array, v: Array) -> Array:
        """(N, C) -> (N, C)."""
        return v @ self.matrix + self.bias[None] + self.integral(pairs, weights, v)


class KernelNetwork(eqx.Module):
    """Kernel integrals over the points themselves; see `KernelOperator`."""

    lift: MLPNetwork
    layers: tuple[KernelLayer, ...]
    projection: MLPNetwork
    frame: Frame = eqx.field(static=True)

    def prepared(self, graph: PointGraph) -> tuple[Pairs, Array, Array]:
        """What the network needs to know of the points."""
        places = self.frame.scaled(graph.points)
        pairs = self.layers[0].integral.pairs(places, places, self.frame.periods)
        kind = self.lift.weights[0].dtype
        weights, features = self.frame.weights(graph), self.frame.features(graph)
        return pairs, jnp.asarray(weights, kind), jnp.asarray(features, kind)

    def __call__(self, pairs: Pairs, weights: Array, features: Array, functions: Array) -> Array:
        """(N, in_channels) -> (N, out_channels)."""
        v = jax.vmap(self.lift)(jnp.concatenate([functions, features], axis=1))
        for layer in self.layers[:-1]:
            v = jax.nn.gelu(layer(pairs, weights, v))
        return jax.vmap(self.projection)(self.layers[-1](pairs, weights, v))


@dataclasses.dataclass(frozen=True)
class KernelOperator:
    """Architecture of kernel integrals over balls around scattered points of the plane.

    width: functions per layer; layers: number of integrals; radius: of the balls, in units of half
    the longer side of the domain; kernel: perceptron that makes the matrices k of the offsets. Work
    grows as the number of pairs within the radius, times width squared. What is farther away than
    layers * radius has no influence.

    Raises OptionError for values out of range.
    """

    width: int = 16
    layers: int = 4
    radius: float = 0.3
    kernel: MLP = MLP(32, 2, "gelu")

    def __post_init__(self) -> None:
        require_sizes(self, "width", "layers")
        require_positive(self, "radius")

    def on_points(
        self, in_channels: int, out_channels: int, graph: PointGraph, *, key: Array
    ) -> KernelNetwork:
        """Random network for clouds of points in the box of this one."""
        keys = jax.random.split(key, self.layers + 2)
        pointwise = MLP(self.width, 1, "gelu", frequency=0)
        return KernelNetwork(
            pointwise.build(in_channels + FEATURES, self.width, key=keys[0]),
            alike(self._layer, keys[2:]),
            pointwise.build(self.width, out_channels, key=keys[1]),
            Frame.of(graph),
        )

    def _layer(self, key: Array) -> KernelLayer:
        kernel_key, matrix_key = jax.random.split(key)
        (matrix,), (bias,) = dense(matrix_key, (self.width, self.width))
        integral = GraphKernel(self.radius, self.kernel).build(
            self.width, self.width, key=kernel_key
        )
        return KernelLayer(integral, matrix, bias)


class Ways(eqx.Module):
    """Between points and the nodes of a grid: pairs in both directions, weights, places.

    `reached` (nodes,): the weight of the points around each node, in units of the whole ball.
    """

    there: Pairs
    back: Pairs
    weights: Array
    features: Array
    reached: Array


class LatentNetwork(eqx.Module):
    """Points -> grid -> points; see `LatentGrid`."""

    lift: MLPNetwork
    encode: KernelIntegral
    grid: Any
    decode: KernelIntegral
    projection: MLPNetwork
    frame: Frame = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)

    def nodes(self) -> np.ndarray:
        """Of the grid, in scaled lengths (n m, 2)."""
        axes = [
            np.linspace(0, side, n, endpoint=not self.frame.periodic)
            for side, n in zip(self.frame.size, self.shape, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)

    def prepared(self, graph: PointGraph) -> tuple[Ways]:
        """What the network needs to know of the points."""
        places, nodes, periods = self.frame.scaled(graph.points), self.nodes(), self.frame.periods
        there = self.encode.pairs(nodes, places, periods)
        back = self.decode.pairs(places, nodes, periods)
        kind = self.lift.weights[0].dtype
        weights = jnp.asarray(self.frame.weights(graph), kind)
        ball = np.pi / 3 * self.encode.radius**2
        ones = jnp.ones((len(places), 1), kind)
        reached = jax.jit(averaged)(there, weights, ones)[1] / ball
        return (Ways(there, back, weights, jnp.asarray(self.frame.features(graph), kind), reached),)

    def __call__(self, ways: Ways, functions: Array) -> Array:
        """(N, in_channels) -> (N, out_channels)."""
        known = jnp.concatenate([functions, ways.features], axis=1)
        v = jax.vmap(self.lift)(known)
        mean, _ = averaged(ways.there, ways.weights, v)
        seen = jnp.concatenate([self.encode(ways.there, ways.weights, v), mean], axis=1)
        seen = jnp.concatenate([seen, ways.reached[:, None]], axis=1)
        found = self.grid(seen.T.reshape(-1, *self.shape))
        found = found.reshape(len(found), -1).T
        even = jnp.full(len(found), 4 / len(found), found.dtype)
        near, _ = averaged(ways.back, even, found)
        back = self.decode(ways.back, even, found) + near
        return jax.vmap(self.projection)(jnp.concatenate([back, v, known], axis=1))


def averaged(pairs: Pairs, weights: Array, v: Array) -> tuple[Array, Array]:
    """Means of functions (M, c) at the sources around each target (N, c), and their weights (N,).

    Weighted by those of the sources and (1 - r^2)^2; zero where no source is near.
    """
    near = (1 - jnp.minimum(jnp.sum(pairs.offsets**2, axis=1), 1.0)) ** 2 * weights[pairs.senders]
    add = lambda rows: jax.ops.segment_sum(rows, pairs.receivers, pairs.count)  # noqa: E731
    whole = add(near)
    total = add(near[:, None] * v[pairs.senders])
    return total / jnp.where(whole > 0, whole, 1.0)[:, None], whole


@dataclasses.dataclass(frozen=True)
class LatentGrid:
    """Architecture of a network on a grid, with kernel integrals from and to scattered points.

    grid: the network between, an `FNO` or another on grids; nodes: of the grid along both axes of
    the box around the points; reach: radius of the integrals, in distances of nodes; width:
    functions that go in and out.

    Raises OptionError for values out of range.
    """

    grid: Any = FNO(24, 8, 4)
    nodes: int | tuple[int, int] = 24
    reach: float = 2.0
    width: int = 16
    kernel: MLP = MLP(32, 2, "gelu")

    def __post_init__(self) -> None:
        require_sizes(self, "width")
        require_positive(self, "reach")
        if min(self.shape) < 4:
            raise OptionError(f"LatentGrid(nodes={self.nodes!r}): give at least 4 nodes.")

    @property
    def shape(self) -> tuple[int, int]:
        """Nodes along both axes."""
        return self.nodes if isinstance(self.nodes, tuple) else (self.nodes, self.nodes)

    def on_points(
        self, in_channels: int, out_channels: int, graph: PointGraph, *, key: Array
    ) -> LatentNetwork:
        """Random network for clouds of points in the box of this one."""
        lift_key, there_key, grid_key, back_key, projection_key = jax.random.split(key, 5)
        frame = Frame.of(graph)
        word = "periodic" if frame.periodic else "free"
        gaps = [n if frame.periodic else n - 1 for n in self.shape]
        radius = self.reach * float(np.max(frame.size / gaps))
        pointwise, width = MLP(2 * self.width, 1, "gelu", frequency=0), self.width
        kernel = GraphKernel(radius, self.kernel)
        grid = self.grid.build(2 * width + 1, width, self.shape, (word, word), key=grid_key)
        known = in_channels + FEATURES
        return LatentNetwork(
            pointwise.build(known, width, key=lift_key),
            kernel.build(width, width, key=there_key),
            grid,
            kernel.build(width, width, key=back_key),
            pointwise.build(2 * width + known, out_channels, key=projection_key),
            frame,
            self.shape,
        )
