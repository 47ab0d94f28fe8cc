"""Networks whose layers are gated by two encodings of the input."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.nn.activations import activation
from pinnkit.nn.initial import alike, dense, normals, require_sizes


class Gates(eqx.Module):
    """U = sigma(W_U z + b_U), V = sigma(W_V z + b_V), between which a layer interpolates."""

    weights: tuple[Array, Array]
    biases: tuple[Array, Array]
    activation: str = eqx.field(static=True)

    def __call__(self, z: Array) -> tuple[Array, Array]:
        """(d,) -> two arrays (width,)."""
        sigma = activation(self.activation)
        u, v = (sigma(z @ w + b) for w, b in zip(self.weights, self.biases, strict=True))
        return u, v


def _gates(in_size: int, width: int, name: str, key: Array) -> Gates:
    zero, size = jnp.zeros(width, jnp.result_type(float)), (2.0 / (in_size + width)) ** 0.5
    u, v = normals(jax.random.split(key), ((in_size, width),) * 2)
    return Gates((size * u, size * v), (zero, zero), name)


class ModifiedNetwork(eqx.Module):
    """h <- f u + (1 - f) v with f = sigma(W h + b), the gates u and v being those of the input.

    One point in, one point out: (d,) -> (c,).
    """

    gates: Gates
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: str = eqx.field(static=True)

    def __call__(self, z: Array) -> Array:
        sigma = activation(self.activation)
        u, v = self.gates(z)
        h = z
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            f = sigma(h @ weight + bias)
            h = v + f * (u - v)
        return h @ self.weights[-1] + self.biases[-1]

    @property
    def head(self) -> tuple[Array, ...]:
        """The arrays of the last layer, in which the network is affine."""
        return self.weights[-1], self.biases[-1]


@dataclass(frozen=True)
class ModifiedMLP:
    """`depth` gated hidden layers of `width` units (Wang, Teng & Perdikaris, SIAM J. Sci. Comput.
    43 (2021) A3055, section 3.2).

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
    ) -> ModifiedNetwork:
        """Network (in_size,) -> (out_size,); Glorot weights, zero biases."""
        del groups
        first, second = jax.random.split(key)
        weights, biases = dense(second, (in_size, *(self.width,) * self.depth, out_size))
        gates = _gates(in_size, self.width, self.activation, first)
        return ModifiedNetwork(gates, weights, biases, self.activation)


class PirateBlock(eqx.Module):
    """Three layers, two of them gated, as a residual with the trainable share `alpha`."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    alpha: Array
    activation: str = eqx.field(static=True)

    def __call__(self, x: Array, u: Array, v: Array) -> Array:
        sigma = activation(self.activation)
        (w1, w2, w3), (b1, b2, b3) = self.weights, self.biases
        z = v + sigma(x @ w1 + b1) * (u - v)
        z = v + sigma(z @ w2 + b2) * (u - v)
        return x + self.alpha * (sigma(z @ w3 + b3) - x)


class PirateNetwork(eqx.Module):
    """x_0 = sigma(B z + b), then blocks x <- alpha h(x) + (1 - alpha) x, then a linear layer.

    One point in, one point out: (d,) -> (c,).
    """

    gates: Gates
    first: tuple[Array, Array]
    blocks: tuple[PirateBlock, ...]
    last: tuple[Array, Array]
    activation: str = eqx.field(static=True)

    def __call__(self, z: Array) -> Array:
        u, v = self.gates(z)
        x = activation(self.activation)(z @ self.first[0] + self.first[1])
        for block in self.blocks:
            x = block(x, u, v)
        return x @ self.last[0] + self.last[1]

    @property
    def head(self) -> tuple[Array, ...]:
        """The arrays of the last layer, in which the network is affine."""
        return self.last

    @property
    def begins_linear(self) -> bool:
        """True: alpha is zero at first."""
        return True


@dataclass(frozen=True)
class PirateNet:
    """Residual blocks that begin as the identity (Wang, Li, Chen & Perdikaris, PirateNets, 2024,
    arXiv:2402.00326, eqs. 4.1-4.7).

    alpha = 0 at first, so the network begins as a linear combination of its first features and
    deepens while it is trained. `blocks` blocks of three layers of `width` units.

    Raises `OptionError` for sizes below 1 or an unknown activation.
    """

    width: int = 20
    blocks: int = 2
    activation: str = "tanh"

    def __post_init__(self) -> None:
        require_sizes(self, "width", "blocks")
        activation(self.activation)

    def build(
        self, in_size: int, out_size: int, *, key: Array, groups: tuple[int, ...] = ()
    ) -> PirateNetwork:
        """Network (in_size,) -> (out_size,); Glorot weights, biases and alpha zero."""
        del groups
        keys = jax.random.split(key, self.blocks + 3)
        zero = jnp.zeros((), jnp.result_type(float))
        block = lambda k: PirateBlock(*dense(k, (self.width,) * 4), zero, self.activation)  # noqa: E731
        blocks = alike(block, keys[3:])
        (first,), (bias,) = dense(keys[1], (in_size, self.width))
        (last,), (end,) = dense(keys[2], (self.width, out_size))
        gates = _gates(in_size, self.width, self.activation, keys[0])
        return PirateNetwork(gates, (first, bias), blocks, (last, end), self.activation)
