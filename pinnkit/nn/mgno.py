"""Multigrid neural operator: layers of learned V-cycles between functions on a regular grid.

Every layer maps C functions to C functions by one multi-channel multigrid V-cycle whose smoothers,
restrictions and prolongations are small learned convolutions,

    v_{i+1} = gelu(W_i v_i + L_i v_i + b_i),      W_i: V-cycle,  L_i: pointwise matrix.

Source: He, Liu and Xu, "MgNO: Efficient Parameterization of Linear Operators via Multigrid",
ICLR 2024, arXiv:2310.19809, section 3 and algorithm 1. There the source is restricted and
boundaries are zero padding. Grids that have nodes on a wall would so carry zeros one spacing
beyond it, which is another place on every level. Here the continuation is that of the condition:
odd about the wall for zero values, even for zero normal derivatives, so that a V-cycle whose
kernels are those of classical multigrid contracts the error at the classical rate.

Arrays are kept channels-last inside, so that convolutions are matrix products.
"""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.nn.boundary import require_boundary, require_grid
from pinnkit.nn.initial import alike, require_sizes
from pinnkit.nn.pointwise import uniform
from pinnkit.nn.stencil import Ends, Prolongation, Stencil, ends_of


class Smoothing(eqx.Module):
    """One relaxation step u <- u + S (f - A u); without A it starts from u = 0: u = S f."""

    correction: Stencil
    operator: Stencil | None

    def __call__(self, u: Array | None, f: Array) -> Array:
        if u is None or self.operator is None:
            return self.correction(f)
        return u + self.correction(f - self.operator(u))


class Transfer(eqx.Module):
    """Between one grid and the next coarser one; with `operator` A, what is left of the source,
    f - A u, is restricted, else f."""

    restrict_state: Stencil
    restrict_source: Stencil
    prolong: Prolongation
    operator: Stencil | None

    def down(self, u: Array, f: Array) -> tuple[Array, Array]:
        """State and source on the coarser grid."""
        rest = f if self.operator is None else f - self.operator(u)
        return self.restrict_state(u), self.restrict_source(rest)


class Level(eqx.Module):
    """What happens on one grid: smoothing steps, then, unless it is the coarsest, everything on
    coarser ones and the smoothing steps `after` it."""

    smoothings: tuple[Smoothing, ...]
    transfer: Transfer | None
    after: tuple[Smoothing, ...]


class VCycle(eqx.Module):
    """One multi-channel V-cycle, (*grid, C_in) -> (*grid, C); linear, without bias."""

    levels: tuple[Level, ...]

    def __call__(self, f: Array) -> Array:
        u: Array | None = None
        visited = []
        for level in self.levels:
            for step in level.smoothings:
                u = step(u, f)
            assert u is not None
            visited.append((level, u, f))
            if level.transfer is not None:
                u, f = level.transfer.down(u, f)
        for level, state, f in reversed(visited):
            if level.transfer is not None:
                u = state + level.transfer.prolong(u)
            for step in level.after:
                u = step(u, f)
        assert u is not None
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
    level, as a number or as (before, after) the coarser grids, by default one each before and two
    on the coarsest; residual: whether f - A u is restricted in place of f.

    boundary: how fields continue beyond the grid, one word or one per axis, None for the problem's
    own conditions: "periodic", "dirichlet" (odd about the end node), "neumann" (even) or "free"
    (straight on). All levels share the walls if the nodes along an axis number a multiple of
    2^(levels - 1), plus one where it is not periodic.

    Raises OptionError for values out of range.
    """

    channels: int = 12
    layers: int = 4
    levels: int = 5
    boundary: str | tuple[str, ...] | None = None
    smoothings: tuple[int | tuple[int, int], ...] | None = None
    residual: bool = False

    def __post_init__(self) -> None:
        require_sizes(self, "channels", "layers", "levels")
        named = () if self.boundary is None else self.boundary
        named = (named,) if isinstance(named, str) else named
        require_boundary("MgNO", named, len(named))
        steps = self._steps()
        if len(steps) != self.levels or min(min(before - 1, after) for before, after in steps) < 0:
            raise OptionError(
                f"MgNO: smoothings {self.smoothings} must hold one positive number, or a pair of "
                f"which the first is positive, for each of the {self.levels} levels; give as many "
                "as there are levels."
            )

    def build(
        self,
        in_channels: int,
        out_channels: int,
        grid_shape: tuple[int, ...],
        boundary: tuple[str, ...],
        *,
        key: Array,
    ) -> MgNONetwork:
        """Random network for fields on `grid_shape`, kernels uniform in +-1/sqrt(fan-in).

        Raises OptionError if the coarsest grid would have fewer than two nodes along an axis.
        """
        if self.boundary is not None:
            same = isinstance(self.boundary, str)
            boundary = (self.boundary,) * len(grid_shape) if same else self.boundary  # type: ignore[assignment]
        require_grid("MgNO", grid_shape)
        require_boundary("MgNO", boundary, len(grid_shape))
        shapes = self._shapes(grid_shape)
        ends, whole = [], (True,) * len(grid_shape)
        for shape in shapes:
            ends.append(ends_of(boundary, whole))
            whole = tuple(w and n % 2 == 1 for w, n in zip(whole, shape, strict=True))
        keys = jax.random.split(key, self.layers + 1)
        first = self._layer(keys[0], in_channels, shapes, ends)
        others = alike(lambda k: self._layer(k, self.channels, shapes, ends), keys[1:-1])
        head = uniform(keys[-1], (self.channels, out_channels), self.channels)
        return MgNONetwork((first, *others), head)

    def _steps(self) -> list[tuple[int, int]]:
        given = self.smoothings or (1,) * (self.levels - 1) + (2,)
        return [(s, 0) if isinstance(s, int) else s for s in given]

    def _shapes(self, grid_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        shapes = [tuple(grid_shape)]
        for _ in range(self.levels - 1):
            shapes.append(tuple((n + 1) // 2 for n in shapes[-1]))
        if min(shapes[-1]) < 2:
            raise OptionError(
                f"MgNO: a grid of {grid_shape} nodes cannot be halved {self.levels - 1} times; "
                "use fewer levels or a finer grid."
            )
        return shapes

    def _layer(
        self, key: Array, in_channels: int, shapes: list[tuple[int, ...]], ends: list[Ends]
    ) -> MgNOLayer:
        cycle_key, matrix_key, bias_key = jax.random.split(key, 3)
        level_keys = jax.random.split(cycle_key, self.levels)
        levels = tuple(
            self._level(level_keys[i], in_channels, shapes, ends, i) for i in range(self.levels)
        )
        return MgNOLayer(
            VCycle(levels),
            uniform(matrix_key, (in_channels, self.channels), in_channels),
            uniform(bias_key, (self.channels,), in_channels),
        )

    def _level(
        self,
        key: Array,
        sources: int,
        shapes: list[tuple[int, ...]],
        ends: list[Ends],
        index: int,
    ) -> Level:
        width, (before, after) = self.channels, self._steps()[index]
        keys = iter(jax.random.split(key, 2 * (before + after) + 4))

        def stencil(inputs: int, outputs: int, stride: int = 1) -> Stencil:
            return Stencil.create(next(keys), (inputs, outputs), ends[index], stride)

        def smoothing(first: bool) -> Smoothing:
            correction = stencil(sources, width)
            return Smoothing(correction, None if first else stencil(width, sources))

        steps = tuple(smoothing(index == 0 and i == 0) for i in range(before))
        if index == self.levels - 1:
            return Level(steps, None, tuple(smoothing(False) for _ in range(after)))
        prolong = Prolongation.create(next(keys), shapes[index], width, ends[index + 1])
        transfer = Transfer(
            stencil(width, width, 2),
            stencil(sources, sources, 2),
            prolong,
            stencil(width, sources) if self.residual else None,
        )
        return Level(steps, transfer, tuple(smoothing(False) for _ in range(after)))
