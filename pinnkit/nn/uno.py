"""U-shaped neural operator: Fourier layers from grid to coarser grid and back, with skips.

    v_{i+1} = gelu(K_i v_i + P_i(v_i W_i) + b_i),

where K_i gives its output on the next grid and P_i evaluates its input there, by linear
interpolation along each axis. On the way back every layer also sees the functions of the same
grid on the way down.

Source: Rahman, Ross and Azizzadenesheli, "U-NO: U-shaped Neural Operators", TMLR 2023,
arXiv:2204.11127, section 4 and figure 1, without normalisation between layers.
"""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.nn.boundary import (
    count_features,
    features,
    positions,
    require_boundary,
    require_grid,
)
from pinnkit.nn.fno import FourierLayer, fourier_layer, per_axis
from pinnkit.nn.initial import require_sizes
from pinnkit.nn.pointwise import ChannelMLP, mix
from pinnkit.nn.spectral import require_resolved


def resample(fields: Array, shape: tuple[int, ...], boundary: tuple[str, ...]) -> Array:
    """Linear interpolation along each axis to `shape` nodes: (C, *grid) -> (C, *shape)."""
    for axis, (n, word) in enumerate(zip(shape, boundary, strict=True), start=1):
        if n != fields.shape[axis]:
            matrix = jnp.asarray(_interpolation(fields.shape[axis], n, word), fields.dtype)
            fields = jnp.moveaxis(jnp.moveaxis(fields, axis, -1) @ matrix, -1, axis)
    return fields


def _interpolation(old: int, new: int, boundary: str) -> np.ndarray:
    """Values of the hat functions of the old nodes at the new ones, (old, new)."""
    wraps = boundary == "periodic"
    at = positions(new, boundary) * (old if wraps else old - 1)
    cell = np.floor(at).astype(int) if wraps else np.clip(at.astype(int), 0, old - 2)
    matrix = np.zeros((old, new))
    np.add.at(matrix, (cell, np.arange(new)), 1 - (at - cell))
    np.add.at(matrix, ((cell + 1) % old, np.arange(new)), at - cell)
    return matrix


class UNONetwork(eqx.Module):
    """Map between functions on a grid; see `UNO`. `layers` go down, then up."""

    lift: ChannelMLP
    layers: tuple[FourierLayer, ...]
    projection: ChannelMLP
    boundary: tuple[str, ...] = eqx.field(static=True)
    anchored: bool = eqx.field(static=True)

    transfers = True

    def __call__(self, functions: Array) -> Array:
        """(in_channels, *grid) -> (out_channels, *grid)."""
        places = features(functions.shape[1:], self.boundary, self.anchored)
        v = self.lift(jnp.concatenate([functions, jnp.asarray(places, functions.dtype)]))
        depth = len(self.layers) // 2
        passed = []
        for layer in self.layers[:depth]:
            passed.append(v)
            v = self._step(layer, v, self._halved(v.shape[1:]))
        for layer in self.layers[depth:]:
            skip = passed.pop()
            v = self._step(layer, v, skip.shape[1:])
            v = jnp.concatenate([v, skip])
        return self.projection(v)

    def _step(self, layer: FourierLayer, v: Array, shape: tuple[int, ...]) -> Array:
        spectral = layer.spectral(v, layer.bias, shape)
        return jax.nn.gelu(spectral + mix(layer.matrix, resample(v, shape, self.boundary)))

    def _halved(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(halved(n, word) for n, word in zip(shape, self.boundary, strict=True))


def halved(n: int, boundary: str) -> int:
    """Nodes of an axis of half as many intervals, rounded up."""
    return (n + 1) // 2 if boundary == "periodic" else n // 2 + 1


@dataclasses.dataclass(frozen=True)
class UNO:
    """Architecture of a U-shaped neural operator on a grid of one to three axes.

    width: functions on the finest grid, twice as many on each coarser one; depth: number of times
    the grid is halved; modes: as for `FNO`, on the finest grid, half as many on each coarser one;
    padding, anchored: as for `FNO`.

    Raises OptionError for values out of range.
    """

    width: int = 16
    depth: int = 2
    modes: int | tuple[int, ...] = 12
    padding: float = 0.25
    anchored: bool = False

    def __post_init__(self) -> None:
        require_sizes(self, "width", "depth")
        if self.padding < 0:
            raise OptionError(f"UNO: padding {self.padding} is negative; give 0 or more.")

    def build(
        self,
        in_channels: int,
        out_channels: int,
        grid_shape: tuple[int, ...],
        boundary: tuple[str, ...],
        *,
        key: Array,
    ) -> UNONetwork:
        """Random network for fields on grids of the kind of `grid_shape`.

        Raises OptionError if one of the grids does not tell its modes apart.
        """
        require_grid("UNO", grid_shape)
        require_boundary("UNO", boundary, len(grid_shape))
        modes = per_axis("UNO", self.modes, len(grid_shape))
        kept = [tuple(max(m // 2**i, 1) for m in modes) for i in range(self.depth + 1)]
        shape = grid_shape
        for level in kept:
            require_resolved(shape, level, boundary, self.padding)
            shape = tuple(halved(n, word) for n, word in zip(shape, boundary, strict=True))
        widths = [self.width * 2**i for i in range(self.depth + 1)]
        lift_key, projection_key, *keys = jax.random.split(key, 2 * self.depth + 2)
        down = [(widths[i], widths[i + 1]) for i in range(self.depth)]
        up = [
            (widths[i + 1] * (1 if i == self.depth - 1 else 2), widths[i])
            for i in reversed(range(self.depth))
        ]
        places = [*range(1, self.depth + 1), *range(self.depth, 0, -1)]
        layers = tuple(
            fourier_layer(k, channels, kept[i], boundary, self.padding)
            for k, channels, i in zip(keys, down + up, places, strict=True)
        )
        inputs = in_channels + count_features(boundary, self.anchored)
        sizes = (2 * self.width, 2 * self.width, out_channels)
        return UNONetwork(
            ChannelMLP.create(lift_key, (inputs, 2 * self.width, self.width), "gelu"),
            layers,
            ChannelMLP.create(projection_key, sizes, "gelu"),
            boundary,
            self.anchored,
        )
