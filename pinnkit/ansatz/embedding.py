"""Coordinates as networks see them: O(1), periodic where the problem is, flat at Neumann ends.

A network of these features inherits their periodicity and their vanishing normal derivative for
all weights. The flat features keep full generality: every smooth g(s) with g'(0) = 0 is a smooth
function of (s^2, s^3).
"""

from __future__ import annotations

import enum
import math

import equinox as eqx
import jax
import jax.numpy as jnp


class Ends(enum.StrEnum):
    """What the features of one axis guarantee at its ends."""

    FREE = "free"
    PERIODIC = "periodic"
    FLAT_LOW = "flat-low"
    FLAT_HIGH = "flat-high"
    FLAT_BOTH = "flat-both"
    UNSEEN = "unseen"


class AxisFeatures(eqx.Module):
    """Features of one axis [low, high]; `harmonics` counts cos/sin pairs on a periodic axis.

    The k-th pair is divided by k^2: networks that begin with the same weights for all pairs begin
    smooth. Otherwise short waves rule the highest derivatives of an equation, and training fits
    these between the points instead of the solution.

    An axis whose ends are `UNSEEN` has none.
    """

    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)
    ends: str = eqx.field(static=True, default=Ends.FREE)
    harmonics: int = eqx.field(static=True, default=1)

    @property
    def size(self) -> int:
        if self.ends == Ends.PERIODIC:
            return 2 * self.harmonics
        if self.ends == Ends.UNSEEN:
            return 0
        return 1 if self.ends == Ends.FREE else 2

    def __call__(self, x: jax.Array) -> jax.Array:
        """Scalar x -> features (size,), each of magnitude at most about 1."""
        s = (x - self.low) / (self.high - self.low)
        if self.ends == Ends.PERIODIC:
            waves = [(k, 2 * math.pi * k * s) for k in range(1, self.harmonics + 1)]
            return jnp.stack([f(angle) / k**2 for k, angle in waves for f in (jnp.cos, jnp.sin)])
        if self.ends == Ends.FLAT_LOW:
            return jnp.stack([2 * s**2 - 1, 2 * s**3 - 1])
        if self.ends == Ends.FLAT_HIGH:
            r = 1 - s
            return jnp.stack([2 * r**2 - 1, 2 * r**3 - 1])
        if self.ends == Ends.FLAT_BOTH:
            return jnp.stack([jnp.cos(math.pi * s), 2 * s**2 * (3 - 2 * s) - 1])
        return jnp.stack([2 * s - 1])


class Embedding(eqx.Module):
    """Point (d,) -> features (size,), axis by axis."""

    axes: tuple[AxisFeatures, ...]

    @property
    def size(self) -> int:
        return sum(axis.size for axis in self.axes)

    def __call__(self, z: jax.Array) -> jax.Array:
        return jnp.concatenate([axis(z[i]) for i, axis in enumerate(self.axes) if axis.size])
