"""The same linear map of channels at every node of a grid, channels first."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.nn.activations import activation
from pinnkit.nn.initial import dense


def mix(matrix: Array, fields: Array) -> Array:
    """sum_i matrix_io fields_i: (i, o) and (i, *grid) -> (o, *grid)."""
    # The choice between equals makes the matrix one per sample under `vmap`. The products are then
    # batched ones on arrays as they lie; with one matrix for all, XLA transposes the fields
    # for every product, which takes longer than the product itself.
    own = jnp.where(fields.ravel()[0] > 0, matrix, matrix)
    flat = fields.reshape(fields.shape[0], -1)
    return (own.T @ flat).reshape(-1, *fields.shape[1:])


def uniform(key: Array, shape: tuple[int, ...], fan_in: int) -> Array:
    """Weights uniform in +-1/sqrt(fan_in), of the default float type."""
    bound = 1 / math.sqrt(fan_in)
    return jax.random.uniform(key, shape, jnp.result_type(float), minval=-bound, maxval=bound)


class ChannelMLP(eqx.Module):
    """A perceptron at every node: h <- sigma(h W + b), the last layer affine.

    `weights[l]` has shape (n_in, n_out), `biases[l]` (n_out,).
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: str = eqx.field(static=True)

    @classmethod
    def create(cls, key: Array, sizes: tuple[int, ...], activation: str) -> ChannelMLP:
        """Glorot weights between consecutive sizes, sizes of 0 left out; biases of zero."""
        weights, biases = dense(key, tuple(n for n in sizes if n))
        return cls(weights, biases, activation)

    def __call__(self, fields: Array) -> Array:
        """(n_in, *grid) -> (n_out, *grid)."""
        sigma, last = activation(self.activation), len(self.weights) - 1
        h = fields
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = mix(weight, h) + bias.reshape(-1, *(1,) * (h.ndim - 1))
            h = h if i == last else sigma(h)
        return h
