"""Multilayer perceptron: an architecture (what to build) and a network (the built arrays)."""

from dataclasses import dataclass

import equinox as eqx
from jax import Array

from pinnkit.errors import OptionError
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

    @property
    def head(self) -> tuple[Array, ...]:
        """The arrays of the last layer, in which the network is affine."""
        return self.weights[-1], self.biases[-1]


@dataclass(frozen=True)
class MLP:
    """Architecture of a fully connected network: `depth` hidden layers of `width` units.

    `frequency`: radians that a unit of the first layer turns across half the domain at first, in
    the mean; 0 for Glorot's weights in the first layer too.

    Raises `OptionError` for a width or depth below 1, a negative frequency or an unknown
    activation.
    """

    width: int = 20
    depth: int = 3
    activation: str = "tanh"
    frequency: float = 3.0

    def __post_init__(self) -> None:
        require_sizes(self, "width", "depth")
        if not self.frequency >= 0:
            raise OptionError(
                f"MLP(frequency={self.frequency!r}) must not be negative. Give 0 or more."
            )
        activation(self.activation)

    def build(
        self, in_size: int, out_size: int, *, key: Array, groups: tuple[int, ...] = ()
    ) -> MLPNetwork:
        """Network (in_size,) -> (out_size,): Glorot weights, zero biases but in the first layer.

        The arrays have the default float type of the surrounding precision scope.
        """
        del groups
        sizes = (in_size, *(self.width,) * self.depth, out_size)
        weights, biases = dense(key, sizes, self.frequency)
        return MLPNetwork(weights, biases, self.activation)
