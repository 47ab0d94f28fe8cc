"""Multigrid neural operator: layers of learned V-cycles between functions on a regular grid.

Every layer maps C functions to C functions by one multi-channel multigrid V-cycle whose smoothers,
restrictions and prolongations are small learned convolutions,

    v_{i+1} = gelu(W_i v_i + L_i v_i + b_i),      W_i: V-cycle,  L_i: pointwise matrix.

Source: He, Liu and Xu, "MgNO: Efficient Parameterization of Linear Operators via Multigrid",
ICLR 2024, arXiv:2310.19809, section 3 and algorithm 1.

Arrays are kept channels-last inside, so that convolutions are matrix products.
"""

from __future__ import annotations

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError

PADDING = {"dirichlet": "constant", "periodic": "wrap", "neumann": "reflect"}


def _convolve(x: Array, kernel: Array, stride: int = 1) -> Array:
    """Unpadded convolution (*grid, C_in) with (*k, C_in, C_out) -> (*grid', C_out).

    Written as one matrix product over neighbours gathered axis by axis: inside compiled loops,
    where training runs, XLA's own convolutions are several times slower on the CPU.
    """
    widths = kernel.shape[:-2]
    for axis, (n, width) in enumerate(zip(x.shape[:-1], widths, strict=True)):
        last = stride * ((n - width) // stride) + 1
        shifted = [jax.lax.slice_in_dim(x, o, o + last, stride, axis=axis) for o in range(width)]
        x = jnp.concatenate(shifted, axis=-1)
    order = (*range(len(widths))[::-1], -2, -1)
    return x @ kernel.transpose(order).reshape(-1, kernel.shape[-1])


def _pad(x: Array, boundary: str) -> Array:
    """One layer of neighbours around the grid, as the boundary condition continues the field."""
    return jnp.pad(x, [(1, 1)] * (x.ndim - 1) + [(0, 0)], mode=PADDING[boundary])


def _uniform(key: Array, shape: tuple[int, ...], fan_in: int) -> Array:
    bound = 1 / math.sqrt(fan_in)
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


class Stencil(eqx.Module):
    """A 3-point-per-axis convolution; `stride` 2 takes n nodes to ceil(n/2)."""

    kernel: Array
    stride: int = eqx.field(static=True)
    boundary: str = eqx.field(static=True)

    @classmethod
    def create(cls, key: Array, ndim: int, sizes: tuple[int, int], boundary: str, stride: int = 1):
        return cls(_uniform(key, (3,) * ndim + sizes, 3**ndim * sizes[0]), stride, boundary)

    def __call__(self, x: Array) -> Array:
        return _convolve(_pad(x, self.boundary), self.kernel, self.stride)


class Prolongation(eqx.Module):
    """Transposed convolution of stride 2 from ceil(n/2) to n nodes.

    The kernel has 4 points along axes with an even number n of fine nodes and 3 along odd ones, so
    that every grid size can be reached exactly. Coarse node c reaches the fine nodes 2c-1 .. 2c+2.
    Each of the 2^d parities of the fine grid is an ordinary convolution with 2 points per axis;
    all of them are computed at once and interleaved, which takes half the time of a dilated one.
    """

    kernel: Array
    fine: tuple[int, ...] = eqx.field(static=True)
    boundary: str = eqx.field(static=True)

    @classmethod
    def create(cls, key: Array, fine: tuple[int, ...], channels: int, boundary: str):
        widths = tuple(3 if n % 2 else 4 for n in fine)
        shape = (*widths, channels, channels)
        return cls(_uniform(key, shape, math.prod(widths) * channels), fine, boundary)

    def __call__(self, x: Array) -> Array:
        ndim = x.ndim - 1
        parts = _convolve(_pad(x, self.boundary), self._parities())
        parts = parts.reshape(*parts.shape[:-1], *(2,) * ndim, -1)
        pairs = [axis for i in range(ndim) for axis in (i, ndim + i)]
        whole = parts.transpose(*pairs, 2 * ndim)
        whole = whole.reshape(*(2 * (n + 1) for n in x.shape[:-1]), -1)
        return whole[tuple(slice(1, 1 + n) for n in self.fine)]

    def _parities(self) -> Array:
        """(k, .., C, C) -> (2, .., C, 2^d C): taps per axis, and the parities as channels."""
        ndim = self.kernel.ndim - 2
        missing = [(0, 4 - k) for k in self.kernel.shape[:ndim]] + [(0, 0)] * 2
        taps = jnp.pad(self.kernel, missing).reshape((2, 2) * ndim + self.kernel.shape[-2:])
        taps = jnp.flip(taps, range(0, 2 * ndim, 2))
        order = (*range(0, 2 * ndim, 2), 2 * ndim, *range(1, 2 * ndim, 2), 2 * ndim + 1)
        return taps.transpose(order).reshape(*(2,) * ndim, self.kernel.shape[-2], -1)


class Smoothing(eqx.Module):
    """One relaxation step u <- u + S (f - A u); without A it starts from u = 0: u = S f."""

    correction: Stencil
    operator: Stencil | None

    def __call__(self, u: Array | None, f: Array) -> Array:
        if u is None or self.operator is None:
            return self.correction(f)
        return u + self.correction(f - self.operator(u))


class Transfer(eqx.Module):
    """Between one grid and the next coarser one."""

    restrict_state: Stencil
    restrict_source: Stencil
    prolong: Prolongation


class Level(eqx.Module):
    """What happens on one grid: smoothing steps, then the transfer unless it is the coarsest."""

    smoothings: tuple[Smoothing, ...]
    transfer: Transfer | None

    def smooth(self, u: Array | None, f: Array) -> Array:
        """The state after all smoothing steps, from none on the finest grid."""
        for step in self.smoothings:
            u = step(u, f)
        assert u is not None
        return u


class VCycle(eqx.Module):
    """One multi-channel V-cycle, (*grid, C_in) -> (*grid, C); linear, without bias."""

    levels: tuple[Level, ...]

    def __call__(self, f: Array) -> Array:
        u, states = None, []
        for level in self.levels:
            u = level.smooth(u, f)
            if level.transfer is not None:
                states.append((level.transfer, u))
                u, f = level.transfer.restrict_state(u), level.transfer.restrict_source(f)
        assert u is not None
        for transfer, state in reversed(states):
            u = state + transfer.prolong(u)
        return u


class MgNOLayer(eqx.Module):
    """gelu(W v + L v + b): a V-cycle W beside a pointwise matrix L with bias b."""

    cycle: VCycle
    matrix: Array
    bias: Array

    def __call__(self, v: Array) -> Array:
        pointwise = v @ self.matrix + jnp.broadcast_to(self.bias, (*v.shape[:-1], self.bias.size))
        return jax.nn.gelu(self.cycle(v) + pointwise)


class MgNONetwork(eqx.Module):
    """Map between functions on the grid for which it was built; see `MgNO`."""

    layers: tuple[MgNOLayer, ...]
    head: Array

    def __call__(self, functions: Array) -> Array:
        """(in_channels, *grid) -> (out_channels, *grid)."""
        v = jnp.moveaxis(functions, 0, -1)
        for layer in self.layers:
            v = layer(v)
        return jnp.moveaxis(v @ self.head, -1, 0)


@dataclasses.dataclass(frozen=True)
class MgNO:
    """Architecture of a multigrid neural operator on a regular grid of one to three axes.

    channels: functions per layer; layers: number of V-cycles in sequence; levels: grids per
    V-cycle (each has half the nodes of the one before, any size is allowed); smoothings: steps per
    level, by default one each and two on the coarsest; boundary: how convolutions continue fields
    beyond the grid, "dirichlet" (zero), "periodic" (wrapped) or "neumann" (reflected).

    Raises OptionError for values out of range.
    """

    channels: int = 12
    layers: int = 4
    levels: int = 5
    boundary: str = "dirichlet"
    smoothings: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("channels", "layers", "levels"):
            if getattr(self, name) < 1:
                raise OptionError(f"MgNO: {name} must be at least 1; give a positive integer.")
        if self.boundary not in PADDING:
            raise OptionError(
                f"MgNO: unknown boundary {self.boundary!r}; choose one of {', '.join(PADDING)}."
            )
        if self.smoothings is not None and (
            len(self.smoothings) != self.levels or min(self.smoothings) < 1
        ):
            raise OptionError(
                f"MgNO: smoothings {self.smoothings} must hold one positive number for each of the "
                f"{self.levels} levels; give as many as there are levels."
            )

    def build(
        self, in_channels: int, out_channels: int, grid_shape: tuple[int, ...], *, key: Array
    ) -> MgNONetwork:
        """Random network for fields on `grid_shape`, kernels uniform in +-1/sqrt(fan-in).

        Raises OptionError if the coarsest grid would have fewer than two nodes along an axis.
        """
        shapes = self._shapes(grid_shape)
        *layer_keys, head_key = jax.random.split(key, self.layers + 1)
        widths = [in_channels] + [self.channels] * self.layers
        layers = tuple(
            self._layer(k, size, shapes) for k, size in zip(layer_keys, widths, strict=False)
        )
        head = _uniform(head_key, (self.channels, out_channels), self.channels)
        return MgNONetwork(layers, head)

    def _shapes(self, grid_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        shapes = [tuple(grid_shape)]
        for _ in range(self.levels - 1):
            shapes.append(tuple((n + 1) // 2 for n in shapes[-1]))
        if not 1 <= len(grid_shape) <= 3 or min(shapes[-1]) < 2:
            raise OptionError(
                f"MgNO: a grid of {grid_shape} nodes cannot be halved {self.levels - 1} times; "
                "use fewer levels or a finer grid of one to three axes."
            )
        return shapes

    def _layer(self, key: Array, in_channels: int, shapes: list[tuple[int, ...]]) -> MgNOLayer:
        cycle_key, matrix_key, bias_key = jax.random.split(key, 3)
        steps = self.smoothings or (1,) * (self.levels - 1) + (2,)
        level_keys = jax.random.split(cycle_key, self.levels)
        levels = tuple(
            self._level(level_keys[i], in_channels, shapes[i], steps[i], i)
            for i in range(self.levels)
        )
        return MgNOLayer(
            VCycle(levels),
            _uniform(matrix_key, (in_channels, self.channels), in_channels),
            _uniform(bias_key, (self.channels,), in_channels),
        )

    def _level(
        self, key: Array, sources: int, shape: tuple[int, ...], steps: int, index: int
    ) -> Level:
        ndim, width = len(shape), self.channels
        keys = iter(jax.random.split(key, 2 * steps + 3))

        def stencil(inputs: int, outputs: int, stride: int = 1) -> Stencil:
            return Stencil.create(next(keys), ndim, (inputs, outputs), self.boundary, stride)

        smoothings = tuple(
            Smoothing(
                stencil(sources, width),
                None if index == 0 and step == 0 else stencil(width, sources),
            )
            for step in range(steps)
        )
        if index == self.levels - 1:
            return Level(smoothings, None)
        prolong = Prolongation.create(next(keys), shape, width, self.boundary)
        transfer = Transfer(stencil(width, width, 2), stencil(sources, sources, 2), prolong)
        return Level(smoothings, transfer)
