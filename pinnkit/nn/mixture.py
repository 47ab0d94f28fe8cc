"""Mixtures of small networks on overlapping windows: finite-basis networks.

    u(z) = sum_levels sum_j w_j(z) N_j((z - c_j) / h_j),    sum_j w_j = 1 on every level,

with smooth windows w_j around c_j that vanish beyond h_j. Every network sees its own window as
[-1, 1], so that it begins with as many radians across it as any network has across the domain
(Moseley, Markham & Nissen-Meyer, Adv. Comput. Math. 49 (2023) 62; levels: Dolean, Heinlein, Mishra
& Moseley, Comput. Methods Appl. Mech. Engrg. 429 (2024) 117116).

The windows here are differences of steps S between neighbours, w_j = S_j - S_(j+1), so they sum to
one without a quotient, and at most two per axis differ from zero at a point. Only these are
evaluated, by weights picked from the stack of all networks.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.nn.head import begins_linear, head
from pinnkit.nn.initial import require_sizes
from pinnkit.nn.mlp import MLP
from pinnkit.nn.wrapped import Inner

MOST = 20_000
"""Windows of a level beyond which a mixture is taken for a mistake."""


def step(s: Array) -> Array:
    """0 below -1, 1 above 1, between them the odd-symmetric polynomial with four continuous
    derivatives: equations up to fourth order have continuous terms."""
    s = jnp.clip(s, -1.0, 1.0)
    q = s * s
    return 0.5 + s * (315.0 + q * (-420.0 + q * (378.0 + q * (-180.0 + 35.0 * q)))) / 256.0


class WindowedAxis(eqx.Module):
    """Windows along one axis of `size` inputs, of which the first runs from -1 to 1.

    `circle`: the inputs are (cos k theta, sin k theta) / k^2 for k = 1, 2, ... instead. Each of the
    `count` windows reaches into its neighbours by the share `overlap` of half its length.
    """

    size: int = eqx.field(static=True)
    count: int = eqx.field(static=True)
    overlap: float = eqx.field(static=True)
    circle: bool = eqx.field(static=True)

    @property
    def seen(self) -> int:
        """Inputs of a network."""
        return 1 if self.circle and self.count > 1 else self.size

    def pair(self, z: Array) -> list[tuple[Array, Array, Array]]:
        """The windows that hold z (size,): number (), weight () and what their network sees."""
        if self.count == 1:
            return [(jnp.zeros((), jnp.int32), jnp.ones((), z.dtype), z)]
        return self._around(z) if self.circle else self._along(z)

    def _along(self, z: Array) -> list[tuple[Array, Array, Array]]:
        half, s = 1.0 / self.count, z[0]
        place = jax.lax.stop_gradient((s + 1.0) / (2.0 * half))
        low = jnp.clip(jnp.floor(place - 0.5).astype(jnp.int32), 0, self.count - 2)
        edge = 2.0 * half * (low + 1) - 1.0
        up = step((s - edge) / (self.overlap * half))
        reach = half * (1.0 + self.overlap)
        local = [(s - edge - side * half) / reach for side in (-1.0, 1.0)]
        seen = [jnp.concatenate([own[None], z[1:]]) for own in local]
        return [(low, 1.0 - up, seen[0]), (low + 1, up, seen[1])]

    def _around(self, z: Array) -> list[tuple[Array, Array, Array]]:
        """Networks see tan(phi / 2), scaled to [-1, 1], of the angle phi from their centre."""
        half, (cosine, sine) = math.pi / self.count, (z[0], z[1])
        angle = jnp.arctan2(*jax.lax.stop_gradient((sine, cosine)))
        nearest = jnp.round(angle / (2.0 * half)).astype(jnp.int32)
        found = []
        edge = 2.0 * half * nearest
        gap = sine * jnp.cos(edge) - cosine * jnp.sin(edge)
        up = step(gap / math.sin(self.overlap * half))
        reach = math.tan(0.5 * half * (1.0 + self.overlap))
        for side, weight in ((-1, 1.0 - up), (1, up)):
            centre = edge + side * half
            c, s = jnp.cos(centre), jnp.sin(centre)
            tangent = (sine * c - cosine * s) / (1.0 + cosine * c + sine * s)
            number = jnp.mod(nearest + (side - 1) // 2, self.count)
            found.append((number, weight, tangent[None] / reach))
        return found


class MixtureLevel(eqx.Module):
    """sum_j w_j(z) N_j(local z); `experts` is one network whose arrays have a leading axis j.

    One point in, one point out: (d,) -> (c,).
    """

    experts: eqx.Module
    axes: tuple[WindowedAxis, ...]

    def __call__(self, z: Array) -> Array:
        numbers, weights, seen = self.held(z)
        arrays, static = eqx.partition(self.experts, eqx.is_array)
        picked = jax.tree.map(lambda leaf: leaf[numbers], arrays)
        values = jax.vmap(lambda own, local: eqx.combine(own, static)(local))(picked, seen)
        return weights @ values

    def held(self, z: Array) -> tuple[Array, Array, Array]:
        """The windows that hold z: numbers (k,), weights (k,) and inputs of networks (k, e)."""
        pairs, start = [], 0
        for axis in self.axes:
            pairs.append(axis.pair(z[start : start + axis.size]))
            start += axis.size
        numbers, weights, seen = [], [], []
        for chosen in itertools.product(*pairs):
            number, weight = chosen[0][0], chosen[0][1]
            for axis, (own, share, _) in zip(self.axes[1:], chosen[1:], strict=True):
                number, weight = number * axis.count + own, weight * share
            numbers.append(number)
            weights.append(weight)
            seen.append(jnp.concatenate([local for _, _, local in chosen]))
        return jnp.stack(numbers), jnp.stack(weights), jnp.stack(seen)


class MixtureNetwork(eqx.Module):
    """The sum of its levels: (d,) -> (c,)."""

    levels: tuple[MixtureLevel, ...]

    def __call__(self, z: Array) -> Array:
        return sum((level(z) for level in self.levels[1:]), self.levels[0](z))

    @property
    def head(self) -> tuple[Array, ...]:
        """The last layers of all networks."""
        return tuple(part for level in self.levels for part in head(level.experts))

    @property
    def begins_linear(self) -> bool:
        """As the networks do."""
        return all(begins_linear(level.experts) for level in self.levels)


@dataclass(frozen=True)
class Mixture:
    """A `network` for each of `windows` overlapping windows; see the module.

    - `windows`: their number, or one number per axis in the order of the domain, 1 for axes that
      are not divided.
    - `overlap`: how far a window reaches into its neighbours, as a share of half its length.
    - `levels`: level l has ceil(n / 2^l) windows where the first one has n.
    - `circles`: which axes are periodic; the ansatz knows, and says so by `around`.

    Axes with features of their own (periodic, or flat at an end) are divided along these.

    Raises `OptionError` for numbers below 1, two windows around a periodic axis, an overlap outside
    (0, 1], or more than `MOST` windows.
    """

    network: Inner = MLP(16, 2)
    windows: int | tuple[int, ...] = 8
    overlap: float = 1.0
    levels: int = 1
    circles: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        require_sizes(self, "levels")
        counts = self.windows if isinstance(self.windows, tuple) else (self.windows,)
        if not counts or not all(type(n) is int and n >= 1 for n in counts):
            raise OptionError(
                f"Mixture(windows={self.windows!r}) is no number of windows. Give a whole number "
                "of at least 1, or one per axis, such as (15, 1)."
            )
        if not 0 < self.overlap <= 1:
            raise OptionError(
                f"Mixture(overlap={self.overlap!r}) does not let neighbours overlap. Give a share "
                "above 0, and at most 1."
            )

    def around(self, circles: tuple[bool, ...]) -> Mixture:
        """The same, told which axes are periodic."""
        return replace(self, circles=circles)

    def build(
        self, in_size: int, out_size: int, *, key: Array, groups: tuple[int, ...] = ()
    ) -> MixtureNetwork:
        """Network (in_size,) -> (out_size,); `groups`: inputs per axis, one each by default."""
        groups = groups or (1,) * in_size
        circles = self.circles or (False,) * len(groups)
        counts = self._counts(circles)
        levels = []
        for number, own in enumerate(jax.random.split(key, self.levels)):
            halved = [-(-n // 2**number) for n in counts]
            # two windows around a circle would meet twice
            halved = [1 if c and n == 2 else n for n, c in zip(halved, circles, strict=True)]
            kinds = zip(groups, halved, circles, strict=True)
            axes = tuple(WindowedAxis(size, n, self.overlap, c) for size, n, c in kinds)
            build = lambda k, axes=axes: self.network.build(  # noqa: E731
                sum(axis.seen for axis in axes), out_size, key=k
            )
            experts = eqx.filter_vmap(build)(jax.random.split(own, math.prod(halved)))
            levels.append(MixtureLevel(experts, axes))
        return MixtureNetwork(tuple(levels))

    def _counts(self, circles: tuple[bool, ...]) -> tuple[int, ...]:
        """Windows of the first level along each axis."""
        axes = len(circles)
        counts = self.windows if isinstance(self.windows, tuple) else (self.windows,) * axes
        if len(counts) != axes:
            raise OptionError(
                f"Mixture(windows={self.windows!r}) has {len(counts)} numbers for {axes} axes. "
                "Give one number, or one per axis."
            )
        total = math.prod(counts)
        if total > MOST:
            raise OptionError(
                f"Mixture(windows={self.windows!r}) has {total} windows on {axes} axes. "
                f"Give fewer, at most {MOST}; inputs that are no coordinates have no windows."
            )
        if any(circle and n == 2 for circle, n in zip(circles, counts, strict=True)):
            raise OptionError(
                f"Mixture(windows={self.windows!r}) has two windows around a periodic axis, which "
                "meet twice. Give 1, or at least 3, for that axis."
            )
        return counts
