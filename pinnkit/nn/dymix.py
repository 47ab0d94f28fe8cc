"""Layers that mix a spectral with a local view of the same functions, as products.

    N(c) = (G c) * (Loc c),      layer(c) = Lin c + D c + A N(c),

with G a truncated Fourier convolution, Loc and Lin convolutions, D a difference stencil whose
weights sum to zero, divided by the spacing, and A two pointwise maps in sequence. Products of
functions and of their derivatives, as in u u_x, are thereby exact where both factors are resolved.
Layers follow each other as steps in time do,

    F_i = gelu(layer_i(c)),  c <- c + sigmoid(lambda) F_i,      c_0 + sum_i w_i F_i + w_0.

Source: Lai, Chen and Xu, "DyMixOp: a neural operator designed from a complex dynamics perspective
with local-global mixing for solving PDEs", arXiv:2508.13490, sections 3 and 4, with tau = 1. The
kernels of Loc and Lin have one node, which is the authors' setting. There D is divided by one
and all padding circular. Here D is divided by the spacing and continues functions as
parabolas beyond walls, as the layers' functions fulfil no conditions there: on finer grids D tends
to a derivative, at walls too.
"""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.nn.boundary import (
    count_features,
    features,
    positions,
    require_boundary,
    require_grid,
)
from pinnkit.nn.fno import per_axis
from pinnkit.nn.initial import alike, require_sizes
from pinnkit.nn.pointwise import ChannelMLP, uniform
from pinnkit.nn.spectral import SpectralConv, require_resolved
from pinnkit.nn.stencil import Stencil


class Differences(eqx.Module):
    """sum_j K_j (c_{i+j} - c_i) / h over the 3^d neighbours: no value of its own for constants.

    h is the spacing along the first axis, of positions scaled to [0, 1].
    """

    kernel: Array
    boundary: tuple[str, ...] = eqx.field(static=True)

    def __call__(self, fields: Array) -> Array:
        """(C, *grid) -> (D, *grid)."""
        ndim = fields.ndim - 1
        words = ["wrap" if word == "periodic" else "parabola" for word in self.boundary]
        total = jnp.sum(self.kernel, axis=tuple(range(ndim)))
        kernel = self.kernel.at[(1,) * ndim].add(-total)
        places = positions(fields.shape[1], self.boundary[0])
        found = Stencil(kernel, 1, tuple((w, w) for w in words))(jnp.moveaxis(fields, 0, -1))
        return jnp.moveaxis(found, -1, 0) / float(places[1] - places[0])


class MixLayer(eqx.Module):
    """Lin c + D c + A((G c) * (Loc c)), without activation."""

    spectral: SpectralConv
    local: ChannelMLP
    linear: ChannelMLP
    difference: Differences
    correction: ChannelMLP

    def product(self, c: Array) -> Array:
        """N(c): (C, *grid) -> (C, *grid)."""
        return self.spectral(c) * self.local(c)

    def __call__(self, c: Array) -> Array:
        """(C, *grid) -> (C, *grid)."""
        return self.linear(c) + self.difference(c) + self.correction(self.product(c))


class DyMixNetwork(eqx.Module):
    """Map between functions on a grid of any size that resolves the modes; see `DyMixOp`.

    `share` is lambda; `combination` (layers,) and `offset` () are w_i and w_0.
    """

    lift: ChannelMLP
    layers: tuple[MixLayer, ...]
    share: Array
    combination: Array
    offset: Array
    projection: ChannelMLP
    boundary: tuple[str, ...] = eqx.field(static=True)
    anchored: bool = eqx.field(static=True)

    transfers = True

    def __call__(self, functions: Array) -> Array:
        """(in_channels, *grid) -> (out_channels, *grid)."""
        places = features(functions.shape[1:], self.boundary, self.anchored)
        start = self.lift(jnp.concatenate([functions, jnp.asarray(places, functions.dtype)]))
        c, total = start, start
        for layer, weight in zip(self.layers, self.combination, strict=True):
            change = jax.nn.gelu(layer(c))
            total = total + weight * change
            c = c + jax.nn.sigmoid(self.share) * change
        return self.projection(total + self.offset)


@dataclasses.dataclass(frozen=True)
class DyMixOp:
    """Architecture of a dynamics-informed mixing operator on a grid of one to three axes.

    width: functions per layer; modes, padding, anchored: as for `FNO`; layers: number of mixing
    layers.

    Raises OptionError for values out of range.
    """

    width: int = 32
    modes: int | tuple[int, ...] = 12
    layers: int = 4
    padding: float = 0.25
    anchored: bool = True

    def __post_init__(self) -> None:
        require_sizes(self, "width", "layers")

    def build(
        self,
        in_channels: int,
        out_channels: int,
        grid_shape: tuple[int, ...],
        boundary: tuple[str, ...],
        *,
        key: Array,
    ) -> DyMixNetwork:
        """Random network for fields on grids of the kind of `grid_shape`.

        Raises OptionError if the grid does not tell the modes apart.
        """
        require_grid("DyMixOp", grid_shape)
        require_boundary("DyMixOp", boundary, len(grid_shape))
        modes = per_axis("DyMixOp", self.modes, len(grid_shape))
        require_resolved(grid_shape, modes, boundary, self.padding)
        keys = jax.random.split(key, self.layers + 3)
        inputs = in_channels + count_features(boundary, self.anchored)
        kind, width = jnp.result_type(float), self.width
        return DyMixNetwork(
            linear(keys[0], (inputs, 2 * width, width)),
            alike(lambda k: self._layer(k, modes, boundary), keys[3:]),
            jnp.asarray(float(width), kind),
            uniform(keys[2], (self.layers,), self.layers),
            jnp.zeros((), kind),
            linear(keys[1], (width, 2 * width, out_channels)),
            boundary,
            self.anchored,
        )

    def _layer(self, key: Array, modes: tuple[int, ...], boundary: tuple[str, ...]) -> MixLayer:
        keys, c = jax.random.split(key, 5), self.width
        shape = (3,) * len(boundary) + (c, c)
        # the derivative of a function of unit size and length 1, not that of noise
        kernel = uniform(keys[3], shape, c * int(np.prod(shape[:-2]))) / 2
        return MixLayer(
            SpectralConv.create(keys[0], (c, c), modes, boundary, self.padding),
            linear(keys[1], (c, c)),
            linear(keys[2], (c, c)),
            Differences(kernel, boundary),
            linear(keys[4], (c, 2 * c, c)),
        )


def linear(key: Array, sizes: tuple[int, ...]) -> ChannelMLP:
    """Pointwise affine maps in sequence, no activation between."""
    return ChannelMLP.create(key, sizes, "identity")
