"""Evaluators of operators between functions at scattered points."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.data import Scattered
from pinnkit.errors import OptionError
from pinnkit.geometry.graph import PointGraph
from pinnkit.methods.triangles import Triangles
from pinnkit.solution import Evaluator

CHUNK = 64
"""Samples whose fields are found at once."""


class CloudMap(eqx.Module):
    """u = mean + scale * network((a - centre) / deviation) at the points of one cloud.

    `prepared`: what the network knows of the points; `weights` (N,): areas around them; `centre`
    (2,): mean and deviation of the training inputs; `mean` and `scale` (c,) those of the outputs;
    `walls` (c,): the value that a field has at every boundary node, NaN if it has none; `boundary`
    (N,): one there, else zero.
    """

    network: Any
    prepared: tuple[Any, ...]
    weights: jax.Array
    boundary: jax.Array
    centre: jax.Array
    mean: jax.Array
    scale: jax.Array
    walls: jax.Array

    @classmethod
    def of(cls, network: Any, data: Scattered) -> CloudMap:
        """With scales and walls of these samples."""
        graph = data.graph
        spread = data.inputs.std()
        centre = np.array([data.inputs.mean(), spread if spread > 0 else 1.0])
        mean, scale = data.outputs.mean(axis=(0, 2)), data.outputs.std(axis=(0, 2))
        walls = np.full(len(data.fields), np.nan)
        if graph.boundary.any():
            edge = data.outputs[..., graph.boundary]
            fixed = np.ptp(edge, axis=(0, 2)) <= 1e-9 * scale
            walls = np.where(fixed, edge.mean(axis=(0, 2)), walls)
        kind = jnp.float32
        facts = (centre, mean, np.where(scale > 0, scale, 1.0), walls)
        return cls(
            network,
            network.prepared(graph),
            jnp.asarray(graph.areas, kind),
            jnp.asarray(graph.boundary, kind),
            *(jnp.asarray(a, kind) for a in facts),
        )

    def on(self, graph: PointGraph) -> CloudMap:
        """The same operator at the points of another cloud."""
        kind = self.weights.dtype
        return dataclasses.replace(
            self,
            prepared=self.network.prepared(graph),
            weights=jnp.asarray(graph.areas, kind),
            boundary=jnp.asarray(graph.boundary, kind),
        )

    def __call__(self, function: jax.Array) -> jax.Array:
        """(N,) -> (c, N)."""
        scaled = (function.astype(self.centre.dtype) - self.centre[0]) / self.centre[1]
        raw = self.network(*self.prepared, scaled[:, None]).T
        fields = self.mean[:, None] + self.scale[:, None] * raw
        held = (self.boundary > 0)[None] & jnp.isfinite(self.walls)[:, None]
        walls = jnp.where(jnp.isfinite(self.walls), self.walls, 0.0)
        return jnp.where(held, walls[:, None], fields)

    def errors(self, function: jax.Array, truth: jax.Array) -> jax.Array:
        """Relative L2 errors (c,) by the areas around the points; (N,) and (c, N)."""
        gap = jnp.sum(self.weights[None] * (self(function) - truth) ** 2, axis=1)
        size = jnp.sum(self.weights[None] * truth**2, axis=1)
        # the smallest float keeps the gradient finite where the error is exactly zero
        return jnp.sqrt((gap + jnp.finfo(gap.dtype).tiny) / jnp.where(size > 0, size, 1.0))


class PointField(Evaluator):
    """Fields for one input function `function` (N,), linear on triangles between the points."""

    map: CloudMap
    function: jax.Array
    points: jax.Array
    triangles: Triangles
    name: str = eqx.field(static=True)

    def __call__(self, points: jax.Array) -> jax.Array:
        values = self.map(self.function).T.astype(points.dtype)
        corners, shares = self.triangles.find(points)
        return jnp.sum(shares[..., None].astype(values.dtype) * values[corners], axis=1)

    def with_inputs(self, inputs: Mapping[str, Any]) -> PointField:
        """The evaluator for another input function, by name: values at the points, or a callable.

        A callable takes both coordinates of the points, (N,) each. Raises OptionError for another
        name, a wrong number of values or values that are not finite.
        """
        if set(inputs) != {self.name}:
            raise OptionError(
                f"This operator takes the input function {self.name!r}, not {', '.join(inputs)}. "
                f"Give {self.name}=..."
            )
        given = inputs[self.name]
        if callable(given):
            x = np.asarray(self.points)
            given = np.asarray(given(x[:, 0], x[:, 1])) + np.zeros(len(x))
        values = np.asarray(given, float)
        if values.shape != self.function.shape or not np.isfinite(values).all():
            raise OptionError(
                f"Input function '{self.name}' of shape {values.shape} must hold finite values at "
                f"the {len(self.function)} points that were learned from. Give these, or use "
                "evaluator.predict with points of your own."
            )
        return dataclasses.replace(self, function=jnp.asarray(values, self.function.dtype))

    def predict(
        self, inputs: np.ndarray, points: np.ndarray, triangles: np.ndarray | None = None
    ) -> np.ndarray:
        """Fields (S, c, N) for input functions (S, N) at any points (N, 2), or nodes of a mesh.

        Raises OptionError where shapes contradict each other, GeometryError for points in a line.
        """
        fields = tuple(str(i) for i in range(len(self.map.mean)))
        unknown = np.zeros((len(inputs), len(fields), len(points)))
        periods = None
        if self.triangles.periods is not None:
            width, height = np.asarray(self.triangles.periods).tolist()
            periods = (width, height)
        data = Scattered(self.name, fields, points, inputs, unknown, triangles, periods)
        there = self.map.on(data.graph)
        parts = [
            _fields(there, jnp.asarray(inputs[i : i + CHUNK])) for i in range(0, len(inputs), CHUNK)
        ]
        return np.concatenate(parts)

    def errors(self, data: Scattered) -> np.ndarray:
        """Relative L2 errors (S, c) on other samples, at points of their own.

        Raises OptionError for data of other functions.
        """
        if data.function != self.name or len(data.fields) != len(self.map.mean):
            raise OptionError(
                f"{data!r} does not belong to this operator of '{self.name}'. Give samples of it."
            )
        return errors_on(self.map.on(data.graph), data)


def errors_on(mapping: CloudMap, data: Scattered) -> np.ndarray:
    """Relative L2 errors (S, c) on samples at the points of the map."""
    parts = (data.arrays(slice(i, i + CHUNK)) for i in range(0, len(data), CHUNK))
    found = [_errors(mapping, *(jnp.asarray(a, jnp.float32) for a in part)) for part in parts]
    return np.concatenate(found)


@eqx.filter_jit
def _fields(mapping: CloudMap, inputs: jax.Array) -> jax.Array:
    return jax.vmap(mapping)(inputs)


@eqx.filter_jit
def _errors(mapping: CloudMap, inputs: jax.Array, outputs: jax.Array) -> jax.Array:
    return jax.vmap(mapping.errors)(inputs, outputs)
