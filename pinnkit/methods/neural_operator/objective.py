"""What is minimised when an operator learns from solutions."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.data import Dataset
from pinnkit.methods.neural_operator.field import OperatorField
from pinnkit.methods.neural_operator.losses import Loss
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

    @property
    def count(self) -> int:
        return len(self.data)

    def take(self, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Input functions and solutions of these samples."""
        shapes = tuple(
            jax.ShapeDtypeStruct((len(rows), *a.shape[1:]), jnp.float32)
            for a in (self.data.inputs, self.data.outputs)
        )

        def read(rows: Any) -> tuple[np.ndarray, ...]:
            return tuple(np.asarray(a, np.float32) for a in self.data.arrays(np.asarray(rows)))

        return jax.pure_callback(read, shapes, rows, vmap_method="sequential")


def shelved(data: Dataset, limit: int = IN_MEMORY) -> Shelf | Stream:
    """Samples in memory if they are no larger than `limit` bytes, else in their file."""
    return Shelf(*single(data)) if data.nbytes <= limit else Stream(data)


def single(data: Dataset) -> tuple[jax.Array, jax.Array]:
    """All samples in single precision."""
    inputs, outputs = data.arrays()
    return jnp.asarray(inputs, jnp.float32), jnp.asarray(outputs, jnp.float32)


def errors_of(field: OperatorField, inputs: jax.Array, outputs: jax.Array, loss: Loss) -> jax.Array:
    """Relative errors (S, c) of samples."""
    one = lambda a, u: loss(field.on_grid(a), u, field.grid)  # noqa: E731
    return jax.vmap(one)(inputs, outputs)


class RelativeError(Objective):
    """Mean relative error over batches; every sample is taken once in each pass over the set.

    The order of a pass belongs to `order` and the number of the pass.
    """

    field: OperatorField
    shelf: Shelf | Stream
    held: tuple[jax.Array, jax.Array]
    order: jax.Array
    names: tuple[str, ...] = eqx.field(static=True)
    batch: int = eqx.field(static=True)
    norm: Loss = eqx.field(static=True)

    def __init__(
        self,
        field: OperatorField,
        train: Dataset,
        validation: Dataset,
        batch: int,
        norm: Loss,
        order: jax.Array,
    ) -> None:
        to_single = lambda a: a.astype(jnp.float32) if eqx.is_inexact_array(a) else a  # noqa: E731
        self.field = jax.tree.map(to_single, field)
        self.shelf = shelved(train)
        self.held = single(validation)
        self.names, self.norm = train.fields, norm
        self.batch, self.order = min(batch, len(train)), order

    def sample(
        self, key: jax.Array, params: Any, step: jax.Array, previous: Any | None = None
    ) -> Any:
        del key, params, previous
        per_pass = self.shelf.count // self.batch
        turn, place = step // per_pass, step % per_pass
        rows = jax.random.permutation(jax.random.fold_in(self.order, turn), self.shelf.count)
        return self.shelf.take(jax.lax.dynamic_slice(rows, (place * self.batch,), (self.batch,)))

    def validation(self, key: jax.Array, params: Any) -> Any:
        del key, params
        return self.held

    def loss(self, params: Any, batch: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        field = eqx.tree_at(lambda f: f.map, self.field, params)
        errors = errors_of(field, *batch, self.norm)
        squares = jnp.mean(errors**2, axis=0)
        return jnp.mean(errors), {n: squares[i] for i, n in enumerate(self.names)}
