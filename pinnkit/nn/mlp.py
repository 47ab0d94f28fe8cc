"""Multilayer perceptron: an architecture (what to build) and a network (the built arrays)."""

from dataclasses import dataclass

import equinox as eqx
from jax import Array

from pinnkit.nn.activations import activation
from pinnkit.nn.initial import dense, require_sizes


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
        require_sizes(self, "width", "depth")
        activation(self.activation)

    def build(
        self, in_size: int, out_size: int, *, key: Array, groups: tuple[int, ...] = ()
    ) -> MLPNetwork:
        """Network (in_size,) -> (out_size,): Glorot weights, zero biases.

        The arrays have the default float type of the surrounding precision scope.
        """
        del groups
        weights, biases = dense(key, (in_size, *(self.width,) * self.depth, out_size))
        return MLPNetwork(weights, biases, self.activation)
