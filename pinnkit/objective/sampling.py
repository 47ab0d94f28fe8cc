"""How batches are drawn inside compiled code from fixed pools of well-spread points."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError

Residual = Callable[[Array], Array]
"""Indices of places in the pool (n,) -> sizes of the residuals there (n,)."""


class Sampling(ABC):
    """Rule by which the places of the equations are drawn; concrete ones are frozen dataclasses."""

    @abstractmethod
    def draw(
        self, key: Array, size: int, previous: Array, drawn: Array, residual: Residual
    ) -> Array:
        """Indices (N,) into a pool of `size` places, that replace the N indices `previous`.

        `drawn` counts the draws before this one; at zero `previous` means nothing.
        """


@dataclass(frozen=True)
class Even(Sampling):
    """Places spread evenly, whatever the residual: a stretch of a low-discrepancy sequence."""

    def draw(
        self, key: Array, size: int, previous: Array, drawn: Array, residual: Residual
    ) -> Array:
        del drawn, residual
        return window(key, size, len(previous))


@dataclass(frozen=True)
class RAD(Sampling):
    """Residual-based adaptive distribution: all places are drawn anew, with the density

        p ~ |r|^power / mean |r|^power + offset

    for the share `share` of the batch, out of `candidates` times as many places of the pool; the
    rest is drawn evenly. Wu, Zhu, Tan, Kartha & Lu, Comput. Methods Appl. Mech. Engrg. 403 (2023)
    115671, section 2.3.2 (power = offset = 1 is their choice).

    Raises `OptionError` for a share outside [0, 1], a power that is not positive, a negative
    offset or fewer than one candidate.
    """

    share: float = 1.0
    power: float = 1.0
    offset: float = 1.0
    candidates: int = 8

    def __post_init__(self) -> None:
        _sound(self, 0 <= self.share <= 1, "a share between 0 and 1")
        _sound_density(self, self.power, self.offset, self.candidates)

    def draw(
        self, key: Array, size: int, previous: Array, drawn: Array, residual: Residual
    ) -> Array:
        del drawn
        first, second, third = jax.random.split(key, 3)
        chosen = round(self.share * len(previous))
        even = window(first, size, len(previous) - chosen)
        if chosen == 0:
            return even
        offer = window(second, size, min(size, self.candidates * chosen))
        picked = residual_adaptive(third, residual(offer), chosen, self.offset, self.power)
        return jnp.concatenate([offer[picked], even])


@dataclass(frozen=True)
class RARD(Sampling):
    """Residual-based adaptive refinement with a distribution (RAR-D), at a fixed size of the batch.

    A first batch is even. Every later draw adds the share `share` of the batch, with the density of
    `RAD` out of `candidates` times as many places, to those that are kept from then on, until these
    are the share `most`; all others are drawn evenly anew. Wu et al. (see `RAD`), algorithm 3, add
    places to a growing batch and keep the even ones too. Here the kept ones take their room, so
    that shapes are fixed, and the even ones change, so that no batch can be fitted better than the
    solution. No place is twice in a batch. (power = 2 and offset = 0 are the choice of the paper.)

    Raises `OptionError` unless 0 < share <= most <= 1, and as `RAD` does.
    """

    share: float = 0.05
    most: float = 0.5
    power: float = 2.0
    offset: float = 0.0
    candidates: int = 32

    def __post_init__(self) -> None:
        _sound(self, 0 < self.share <= self.most <= 1, "0 < share <= most <= 1")
        _sound_density(self, self.power, self.offset, self.candidates)

    def kept(self, count: int, drawn: Array) -> Array:
        """Number of places of a batch of `count` that are kept, after so many draws."""
        more, most = self._numbers(count)
        rounds = jnp.clip(drawn - 1, 0, -(-most // more))
        return jnp.minimum(more * rounds, most)

    def draw(
        self, key: Array, size: int, previous: Array, drawn: Array, residual: Residual
    ) -> Array:
        count, slot = len(previous), jnp.arange(len(previous))
        more, _ = self._numbers(count)
        first, second, third = jax.random.split(key, 3)
        before, after = self.kept(count, drawn), self.kept(count, drawn + 1)
        old = slot < before
        offer = window(first, size, min(size, self.candidates * more))
        free = ~_taken(size, previous, old)[offer]
        sizes = residual(offer)
        picked = offer[residual_adaptive(second, sizes, more, self.offset, self.power, free)]
        added = picked[jnp.clip(slot - before, 0, more - 1)]
        held = jnp.where(old, previous, added)
        return _filled(third, size, held, slot < after)

    def _numbers(self, count: int) -> tuple[int, int]:
        """Places added by a draw, and most places that are kept."""
        return max(1, round(self.share * count)), max(1, round(self.most * count))


@dataclass(frozen=True)
class R3(Sampling):
    """Retain, resample, release: places whose residual exceeds the batch's mean stay.

    The others are released, and drawn evenly anew. Daw, Bu, Wang, Perdikaris & Karpatne, ICML
    2023, algorithm 1. They redraw in every step; so does a first-order stage with
    `resample_every=1`, where each draw costs the residuals of the batch once more. No place is
    twice in a batch.
    """

    def draw(
        self, key: Array, size: int, previous: Array, drawn: Array, residual: Residual
    ) -> Array:
        sizes = _finite(residual(previous))
        return _filled(key, size, previous, (sizes > jnp.mean(sizes)) & (drawn > 0))


@dataclass(frozen=True)
class Grid(Sampling):
    """Small tensor grids all over the box, for sums of products of functions of one axis.

    With n nodes on each of d axes a sum of products (`Separable`) is evaluated d n times instead of
    n^d times per grid (Cho et al., Separable PINN, NeurIPS 2023). One large grid has so few nodes
    on each axis that factors can be fitted there and be anything in between; many small ones have
    as many places with more nodes. Every draw takes new ones: each grid has one node in each of n
    equal stretches, and all of them together one in each of as many stretches as they have nodes.
    Weights of places stay with the stretches.

    `points` is about the number of places, None leaves it to the method; `nodes` is n, None takes
    16 on two axes and 8 on three.

    Raises `OptionError` for numbers that are no counts.
    """

    points: int | None = None
    nodes: int | None = None

    def __post_init__(self) -> None:
        sound = all(
            value is None or (isinstance(value, int) and value >= 1)
            for value in (self.points, self.nodes)
        )
        _sound(self, sound, "a whole number of points and nodes, one or more, or None")

    def draw(
        self, key: Array, size: int, previous: Array, drawn: Array, residual: Residual
    ) -> Array:
        del key, size, drawn, residual
        return jnp.arange(len(previous))

    def shape(self, points: int, axes: int) -> tuple[int, ...]:
        """Number of grids, and nodes on each axis, for about so many places."""
        wanted = self.points or points
        n = self.nodes or NODES.get(axes, 4)
        n = max(1, min(n, round(wanted ** (1 / axes))))
        return (max(1, round(wanted / n**axes)), *(n,) * axes)

    def along(self, key: Array, grids: int, nodes: int, low: float, high: float) -> Array:
        """Nodes on one axis (grids, nodes), rising in each grid."""
        first, second = jax.random.split(key)
        shift = jax.random.permutation(first, grids)[:, None]
        place = (shift + jax.random.uniform(second, (grids, nodes))) / grids
        return low + (high - low) * (place + jnp.arange(nodes)[None, :]) / nodes


NODES = {1: 64, 2: 16, 3: 8}
"""Nodes on each axis of a small grid, by the number of axes."""


def window(key: Array, size: int, count: int) -> Array:
    """Indices (count,) of a cyclic window at a random place of a pool of `size` points.

    A stretch of a low-discrepancy sequence is itself well spread.
    """
    if count == size:
        return jnp.arange(size)
    start = jax.random.randint(key, (), 0, size)
    return (start + jnp.arange(count)) % size


def residual_adaptive(
    key: Array,
    residual: Array,
    count: int,
    offset: float = 1.0,
    power: float = 1.0,
    free: Array | None = None,
) -> Array:
    """Indices (count,) of candidates drawn without repetition, p ~ |r|^k / mean |r|^k + offset.

    The draw is the top `count` of log p + Gumbel noise, whose shapes do not depend on the residuals
    (N,). Non-finite residuals count as the largest. Candidates that are not `free` (N,) come last.
    """
    size = _finite(residual)
    tiny = jnp.finfo(size.dtype).tiny
    if power != 1:
        # the density is a ratio, so that powers may be taken of ratios
        size = (size / jnp.maximum(jnp.max(size), tiny)) ** power
    density = jnp.maximum(size / jnp.maximum(jnp.mean(size, where=free), tiny) + offset, tiny)
    rank = jnp.log(density) + jax.random.gumbel(key, size.shape, size.dtype)
    return jax.lax.top_k(rank if free is None else jnp.where(free, rank, -jnp.inf), count)[1]


def _finite(residual: Array) -> Array:
    """|r| with the largest finite value where it is not finite."""
    size = jnp.abs(residual)
    known = jnp.isfinite(size)
    return jnp.where(known, size, jnp.max(jnp.where(known, size, 0)))


def _taken(size: int, index: Array, held: Array) -> Array:
    """Which places of the pool (size,) are among those of `index` (N,) that are `held`."""
    return jnp.zeros(size, bool).at[jnp.where(held, index, size)].set(True, mode="drop")


def _filled(key: Array, size: int, index: Array, held: Array) -> Array:
    """`index` (N,) where `held`, and elsewhere places spread evenly that are not among these."""
    offer = window(key, size, min(size, 2 * len(index)))
    free = offer[jnp.argsort(_taken(size, index, held)[offer], stable=True)]
    return jnp.where(held, index, free[jnp.cumsum(~held) - 1])


def _sound(sampling: Sampling, sound: bool, wanted: str) -> None:
    if not sound:
        raise OptionError(f"{sampling!r} cannot be drawn from. Give {wanted}.")


def _sound_density(sampling: Sampling, power: float, offset: float, candidates: int) -> None:
    _sound(sampling, power > 0 and offset >= 0, "a power above zero and an offset of zero or more")
    _sound(
        sampling,
        isinstance(candidates, int) and candidates >= 1,
        "a whole number of candidates, one or more",
    )
