"""What is minimised when an operator learns from solutions."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit import devices
from pinnkit.compile import System
from pinnkit.data import Dataset
from pinnkit.methods.grid_residuals import GridResiduals
from pinnkit.methods.neural_operator.field import OperatorField, resampled
from pinnkit.methods.neural_operator.losses import Loss
from pinnkit.methods.neural_operator.physics import Physics
from pinnkit.methods.neural_operator.symmetry import Images
from pinnkit.training import Objective

IN_MEMORY = 2**30
"""Bytes up to which a training set is kept in memory whole."""


class Shelf(eqx.Module):
    """Training samples of which batches are taken, in memory."""

    inputs: jax.Array
    outputs: jax.Array

    @property
    def count(self) -> int:
        return len(self.inputs)

    def take(self, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Input functions and solutions of these samples."""
        return self.inputs[rows], self.outputs[rows]


class Stream(eqx.Module):
    """The same, read from their file by the host whenever a batch is due."""

    data: Dataset = eqx.field(static=True)
    dtype: str = eqx.field(static=True)

    @property
    def count(self) -> int:
        return len(self.data)

    def take(self, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Input functions and solutions of these samples."""
        shapes = tuple(
            jax.ShapeDtypeStruct((len(rows), *a.shape[1:]), self.dtype)
            for a in (self.data.inputs, self.data.outputs)
        )

        def read(rows: Any) -> tuple[np.ndarray, ...]:
            return tuple(np.asarray(a, self.dtype) for a in self.data.arrays(np.asarray(rows)))

        return jax.pure_callback(read, shapes, rows, vmap_method="sequential")


def shelved(data: Dataset, dtype: Any, limit: int = IN_MEMORY) -> Shelf | Stream:
    """Samples in memory if they are no larger than `limit` bytes, else in their file."""
    if data.nbytes <= limit:
        return Shelf(*in_memory(data, dtype))
    return Stream(data, str(jnp.dtype(dtype)))


def in_memory(data: Dataset, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """All samples in one precision."""
    inputs, outputs = data.arrays()
    return jnp.asarray(inputs, dtype), jnp.asarray(outputs, dtype)


def errors_of(field: OperatorField, inputs: jax.Array, outputs: jax.Array, loss: Loss) -> jax.Array:
    """Relative errors (S, c) of samples, over what is a prediction."""

    def one(function: jax.Array, truth: jax.Array) -> jax.Array:
        found = field.predicted(field.on_grid(function))
        return loss(found, field.predicted(truth), field.grid)

    return jax.vmap(one)(inputs, outputs)


class OperatorError(Objective):
    """physics * residuals + data * relative error over batches, means over their samples.

    Every sample is taken once in each pass over the set; the order of a pass belongs to `order`
    and the number of the pass. With `images` one of its images is taken at random. Without
    `physics` the relative error alone. Several devices share the samples or, where these are fewer
    than devices, the experts of a constraint layer.
    """

    field: OperatorField
    shelf: Shelf | Stream
    held: tuple[jax.Array, jax.Array]
    order: jax.Array
    equations: GridResiduals | None
    images: Images | None
    names: tuple[str, ...] = eqx.field(static=True)
    batch: int = eqx.field(static=True)
    norm: Loss = eqx.field(static=True)
    physics: Physics | None = eqx.field(static=True)

    def __init__(
        self,
        field: OperatorField,
        train: Dataset,
        validation: Dataset,
        batch: int,
        norm: Loss,
        order: jax.Array,
        physics: tuple[Physics, System] | None = None,
        images: Images | None = None,
    ) -> None:
        dtype = jnp.dtype(field.dtype)
        cast = lambda a: a.astype(dtype) if eqx.is_inexact_array(a) else a  # noqa: E731
        self.field = jax.tree.map(cast, field)
        if field.layer is not None:
            self.field = dataclasses.replace(self.field, layer=field.layer.shared_out())
        self.shelf = shelved(train, dtype)
        self.held = in_memory(validation, dtype)
        self.names, self.norm = train.fields, norm
        self.batch, self.order = min(batch, len(train)), order
        self.images = images
        self.physics, self.equations = None, None
        if physics is not None:
            self.physics, system = physics
            finer = field.refined(self.physics.refine)
            self.equations = GridResiduals.of(system, finer.grid, finer.sensors)

    def sample(
        self, key: jax.Array, params: Any, step: jax.Array, previous: Any | None = None
    ) -> Any:
        del params, previous
        per_pass = self.shelf.count // self.batch
        turn, place = step // per_pass, step % per_pass
        rows = jax.random.permutation(jax.random.fold_in(self.order, turn), self.shelf.count)
        chosen = jax.lax.dynamic_slice(rows, (place * self.batch,), (self.batch,))
        batch = self.shelf.take(chosen)
        if self.images is not None:
            batch = self.images(key, batch)
        return devices.shared(batch)

    def validation(self, key: jax.Array, params: Any) -> Any:
        del key, params
        return self.held

    def loss(self, params: Any, batch: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        whole, parts = jnp.zeros((), batch[0].dtype), {}
        errors, norms = devices.each(self._measured, (self.field, params), batch)
        if errors is not None:
            weight = 1.0 if self.physics is None else self.physics.data
            whole = whole + weight * jnp.mean(errors)
            squares = jnp.mean(errors**2, axis=0)
            parts |= {n: squares[i] for i, n in enumerate(self.names)}
        if self.physics is not None:
            whole = whole + self.physics.weight * sum(jnp.mean(n) for n in norms.values())
            parts |= {name: jnp.mean(n**2) for name, n in norms.items()}
        return whole, parts

    def _measured(
        self, whole: tuple[OperatorField, Any], batch: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array | None, dict[str, jax.Array]]:
        """Errors (S, c) and norms (S,) of the residuals by name; of each what the loss needs."""
        field = eqx.tree_at(lambda f: f.map, *whole)
        norms: dict[str, jax.Array] = {}
        if self.physics is not None:
            norms = self._norms(field.refined(self.physics.refine), batch[0])
            if not self.physics.data > 0:
                return None, norms
        return errors_of(field, *batch, self.norm), norms

    def _norms(self, field: OperatorField, inputs: jax.Array) -> dict[str, jax.Array]:
        """Root mean squares (batch,) of the residuals over their nodes, by name."""
        assert self.equations is not None
        residuals = self.equations

        def one(function: jax.Array) -> dict[str, jax.Array]:
            for i, axis in enumerate(field.sensors):
                function = resampled(function, i, axis)
            found = residuals(function, field.on_grid(function))
            tiny = jnp.finfo(function.dtype).tiny
            return {name: jnp.sqrt(jnp.mean(value**2) + tiny) for name, value in found.items()}

        return jax.vmap(one)(inputs)
