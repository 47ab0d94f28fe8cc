"""Fourier neural operator: layers of truncated Fourier convolutions between functions on a grid.

    v_{i+1} = gelu(K_i v_i + v_i W_i + b_i),      K_i: `SpectralConv`,  W_i: pointwise matrix,

between a pointwise perceptron that lifts the input and the positions to `width` functions, and
one that takes these to the output; the last layer is without gelu.

Source: Li et al., ICLR 2021, arXiv:2010.08895, section 4 and figure 2. Where the layers' weights
are functions of wavenumber and the positions of space, the same network takes grids of any
size.
"""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.nn.activations import activation
from pinnkit.nn.boundary import count_features, features, require_boundary, require_grid
from pinnkit.nn.initial import alike, require_sizes
from pinnkit.nn.pointwise import ChannelMLP, mix, uniform
from pinnkit.nn.spectral import SpectralConv, require_resolved


class FourierLayer(eqx.Module):
    """K v + v W + b, without activation."""

    spectral: SpectralConv
    matrix: Array
    bias: Array

    def __call__(self, v: Array) -> Array:
        """(C, *grid) -> (D, *grid)."""
        return self.spectral(v, self.bias) + mix(self.matrix, v)


class FNONetwork(eqx.Module):
    """Map between functions on a grid of any size that resolves the modes; see `FNO`."""

    lift: ChannelMLP
    layers: tuple[FourierLayer, ...]
    projection: ChannelMLP
    boundary: tuple[str, ...] = eqx.field(static=True)
    anchored: bool = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    transfers = True

    def __call__(self, functions: Array) -> Array:
        """(in_channels, *grid) -> (out_channels, *grid)."""
        sigma = activation(self.activation)
        places = features(functions.shape[1:], self.boundary, self.anchored)
        v = self.lift(jnp.concatenate([functions, jnp.asarray(places, functions.dtype)]))
        for layer in self.layers[:-1]:
            v = sigma(layer(v))
        return self.projection(self.layers[-1](v))


@dataclasses.dataclass(frozen=True)
class FNO:
    """Architecture of a Fourier neural operator on a regular grid of one to three axes.

    width: functions per layer; modes: wavenumbers kept along each axis, 0 .. modes - 1 in either
    direction, one number or one per axis; layers: number of Fourier layers; lift, projection:
    hidden units of the two perceptrons, 0 for linear maps; padding: room beyond the end of axes
    that are not periodic, as a part of their length; anchored: whether the network is told
    positions along periodic axes too, which a problem needs whose coefficients vary there.

    Raises OptionError for values out of range.
    """

    width: int = 32
    modes: int | tuple[int, ...] = 12
    layers: int = 4
    lift: int = 64
    projection: int = 64
    padding: float = 0.25
    anchored: bool = False
    activation: str = "gelu"

    def __post_init__(self) -> None:
        require_sizes(self, "width", "layers")
        modes = self.modes if isinstance(self.modes, tuple) else (self.modes,)
        if min(modes) < 1 or min(self.lift, self.projection) < 0 or self.padding < 0:
            raise OptionError(
                f"{self} is out of range: modes must be at least 1, and lift, projection and "
                "padding not negative. Give such numbers."
            )
        activation(self.activation)

    def build(
        self,
        in_channels: int,
        out_channels: int,
        grid_shape: tuple[int, ...],
        boundary: tuple[str, ...],
        *,
        key: Array,
    ) -> FNONetwork:
        """Random network for fields on grids of the kind of `grid_shape`; see `SpectralConv`.

        Raises OptionError if the grid does not tell the modes apart.
        """
        require_grid("FNO", grid_shape)
        require_boundary("FNO", boundary, len(grid_shape))
        modes = per_axis("FNO", self.modes, len(grid_shape))
        require_resolved(grid_shape, modes, boundary, self.padding)
        keys = jax.random.split(key, self.layers + 2)
        inputs = in_channels + count_features(boundary, self.anchored)
        channels = self.width, self.width
        layer = lambda k: fourier_layer(k, channels, modes, boundary, self.padding)  # noqa: E731
        return FNONetwork(
            ChannelMLP.create(keys[0], (inputs, self.lift, self.width), self.activation),
            alike(layer, keys[2:]),
            ChannelMLP.create(
                keys[1], (self.width, self.projection, out_channels), self.activation
            ),
            boundary,
            self.anchored,
            self.activation,
        )


def per_axis(name: str, modes: int | tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """One number of modes per axis. Raises `OptionError` for a wrong number of them."""
    found = modes if isinstance(modes, tuple) else (modes,) * ndim
    if len(found) != ndim:
        raise OptionError(
            f"{name}: modes {found} do not fit a grid of {ndim} axes; give one number per axis."
        )
    return found


def fourier_layer(
    key: Array,
    channels: tuple[int, int],
    modes: tuple[int, ...],
    boundary: tuple[str, ...],
    padding: float,
) -> FourierLayer:
    """Random layer from C to D functions."""
    spectral_key, matrix_key, bias_key = jax.random.split(key, 3)
    return FourierLayer(
        SpectralConv.create(spectral_key, channels, modes, boundary, padding),
        uniform(matrix_key, channels, channels[0]),
        uniform(bias_key, channels[1:], channels[0]),
    )
