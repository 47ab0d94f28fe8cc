"""Multilayer perceptron: an architecture (what to build) and a network (the built arrays)."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.nn.activations import activation


class MLPNetwork(eqx.Module):
    """h_0 = z,  h_l = sigma(h_{l-1} W_l + b_l),  out = h_L W_{L+1} + b_{L+1}.

    `weights[l]` has shape (n_in, n_out), `biases[l]` (n_out,). One point in, one point out:
    (d,) -> (c,); vmap for many. `activation` is a name, so all the data are arrays and text.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: str = eqx.field(static=True)

    def __call__(self, z: Array) -> Array:
        """Value at one point: (d,) -> (c,)."""
        sigma = activation(self.activation)
        h = z
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = sigma(h @ weight + bias)
        return h @ self.weights[-1] + self.biases[-1]


@dataclass(frozen=True)
class MLP:
    """Architecture of a fully connected network: `depth` hidden layers of `width` units.

    Raises `OptionError` for a width or depth below 1 or an unknown activation.
    """

    width: int = 20
    depth: int = 3
    activation: str = "tanh"

    def __post_init__(self) -> None:
        for name in ("width", "depth"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise OptionError(
                    f"MLP({name}={value!r}) is not a size. Give a whole number of at least 1."
                )
        activation(self.activation)

    def build(self, in_size: int, out_size: int, *, key: Array) -> MLPNetwork:
        """Network (in_size,) -> (out_size,): weights N(0, 2/(n_in + n_out)), biases zero.

        Glorot & Bengio (2010), eq. 16 in its normal form. The arrays have the default float type
        of the surrounding precision scope.
        """
        sizes = (in_size, *(self.width,) * self.depth, out_size)
        pairs = tuple(zip(sizes[:-1], sizes[1:], strict=True))
        keys = jax.random.split(key, len(pairs))
        dtype = jnp.result_type(float)
        return MLPNetwork(
            weights=tuple(
                jax.random.normal(k, pair, dtype) * (2.0 / sum(pair)) ** 0.5
                for k, pair in zip(keys, pairs, strict=True)
            ),
            biases=tuple(jnp.zeros(n, dtype) for _, n in pairs),
            activation=self.activation,
        )
