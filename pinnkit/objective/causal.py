"""Causal weights: late times count only once earlier times are solved.

Wang, Sankaran & Perdikaris, Comput. Methods Appl. Mech. Engrg. 421 (2024) 116813, eqs. for w_i.
"""

import math
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError

NOTES = "causal weight", "epsilon"
"""What histories hold in addition: min_i w_i, and epsilon."""


@dataclass(frozen=True)
class Causal:
    """Causal weights w_i = exp(-epsilon sum_{k<i} L_k) of equal time slabs i = 0, 1, ...

    L_k is the mean over slab k of the sum of the equations' squared (dimensionless) residuals.
    Wang, Sankaran & Perdikaris, Comput. Methods Appl. Mech. Engrg. 421 (2024) 116813.

    - `epsilons`: rungs of a ladder, climbed one by one on the same parameters and state of the
      algorithm. Each holds until min_i w_i > `certificate`.
    - `slabs`: their number in the time interval, or in a window of a march.
    - `certificate`: the min w above which a rung is done; on the last one it is the certificate
      that all times are solved.
    - `most`: checks of a rung after which the next follows in any case; None waits for ever.
    - `initial`: whether the weighted mean squares of soft initial conditions are part of every
      slab's sum, so that all slabs wait for them, the first one too.
    - `stop`: whether training, or that of a window of a march, ends where the certificate holds on
      the last rung, so that its time is left to later windows; else it goes on to the end of its
      steps or budget.
    - `every`: steps between two checks of first-order stages. Stages with a line search check
      whenever they fix the weights (`resample_every`, `refreeze_every`).

    The authors' published code states that a patent application covers the causal training
    algorithm; this implementation is written from the published equations alone. Whether it may
    be used for a given purpose is for the user to judge. Nothing here uses it unless asked to.

    Raises `OptionError` unless the epsilons are positive and increase, 0 < certificate < 1, and
    the counts are whole numbers of one or more.
    """

    epsilons: tuple[float, ...] = (1e-2, 1e-1, 1.0, 10.0, 100.0)
    slabs: int = 32
    certificate: float = 0.99
    most: int | None = None
    initial: bool = False
    stop: bool = True
    every: int = 100

    def __post_init__(self) -> None:
        rungs = self.epsilons if isinstance(self.epsilons, tuple) else ()
        rising = all(a < b for a, b in zip((0, *rungs), rungs, strict=False))
        sound = bool(rungs) and rising and math.isfinite(rungs[-1])
        self._require(sound, "a tuple of positive, increasing epsilons, such as (0.01, 0.1, 1.0)")
        self._require(0 < self.certificate < 1, "a certificate between 0 and 1, such as 0.99")
        for name in ("slabs", "every") if self.most is None else ("slabs", "every", "most"):
            count = getattr(self, name)
            self._require(isinstance(count, int) and count >= 1, f"{name}=1 or more, whole")

    def _require(self, sound: bool, wanted: str) -> None:
        if not sound:
            raise OptionError(f"{self!r} makes no sense. Give {wanted}.")

    def certifies(self, least: float, epsilon: float) -> bool:
        """Whether min w = `least` at `epsilon` is the certificate that all times are solved."""
        return self._rung(epsilon) == len(self.epsilons) and least > self.certificate

    def words(self, least: float, epsilon: float) -> str:
        """What min w = `least` at `epsilon` certifies."""
        found, rung = f"min w = {least:.4g} at epsilon = {epsilon:g}", self._rung(epsilon)
        if rung < len(self.epsilons):
            return f"{found}, rung {rung} of {len(self.epsilons)}: not certified, train longer"
        if self.certifies(least, epsilon):
            return f"{found}: certified"
        return f"{found}: not certified, late times still wait for earlier ones"

    def _rung(self, epsilon: float) -> int:
        """Number of the rung, from 1."""
        return 1 + min(range(len(self.epsilons)), key=lambda i: abs(self.epsilons[i] - epsilon))


class Ladder(eqx.Module):
    """State of `Causal`, part of the batch: weights (slabs,), number of the rung, checks on it.

    The weights are one until they are measured.
    """

    weights: Array
    rung: Array
    checks: Array


def slab_means(squares: Array, slab: Array, slabs: int) -> tuple[Array, Array]:
    """Mean of `squares` (N,) over the points of each time slab, and which slabs hold points.

    `slab` (N,) numbers each point's own slab, so the order of the points is irrelevant. An empty
    slab has mean zero. Returns (slabs,) floats and (slabs,) booleans.
    """
    zero = jnp.zeros(slabs, squares.dtype)
    count = zero.at[slab].add(1)
    total = zero.at[slab].add(squares)
    return total / jnp.maximum(count, 1), count > 0


def earlier(means: Array) -> Array:
    """sum_{k<i} L_k for slab means L (slabs,)."""
    # a shifted sum, as subtracting L_i from the full sum would let it in through rounding
    return jnp.cumsum(jnp.concatenate([jnp.zeros(1, means.dtype), means[:-1]]))


def causal_weights(means: Array, epsilon: float | Array) -> Array:
    """w_i = exp(-epsilon sum_{k<i} L_k) for slab means L (slabs,); no gradient passes.

    w_0 = 1, and w does not increase with time.
    """
    return jax.lax.stop_gradient(jnp.exp(-epsilon * earlier(means)))


class TimeSlabs(eqx.Module):
    """Equal slabs of the time interval [start, end], weighted by `rule`."""

    start: float = eqx.field(static=True)
    end: float = eqx.field(static=True)
    rule: Causal = eqx.field(static=True, default=Causal())

    def of(self, time: Array) -> Array:
        """Number of the slab of each time, (N,) -> (N,) integers."""
        position = (time - self.start) / (self.end - self.start) * self.rule.slabs
        return jnp.clip(position.astype(jnp.int32), 0, self.rule.slabs - 1)

    def past(self, squares: Array, time: Array) -> Array:
        """sum_{k<i} L_k (slabs,) of summed squared residuals (N,) at their own times (N,)."""
        return earlier(slab_means(squares, self.of(time), self.rule.slabs)[0])

    def mean(self, squares: Array, time: Array, weights: Array) -> Array:
        """sum_i w_i L_i / (number of slabs that hold points): the weighted mean square."""
        means, held = slab_means(squares, self.of(time), self.rule.slabs)
        return jnp.sum(weights * means) / jnp.maximum(jnp.sum(held), 1)

    def begin(self) -> Ladder:
        """The first rung, nothing measured."""
        none = jnp.zeros((), jnp.int32)
        return Ladder(jnp.ones(self.rule.slabs), none, none)

    def epsilon(self, state: Ladder) -> Array:
        """Epsilon of the present rung."""
        return jnp.asarray(self.rule.epsilons)[state.rung]

    def measured(self, state: Ladder, past: Array, check: bool | Array = True) -> Ladder:
        """The state with exp(-epsilon past) for weights, a rung higher if a `check` finds it due.

        A rung is done where all weights at its own epsilon are above the certificate, or after
        `most` checks; the last one never is.
        """
        past, rule = jax.lax.stop_gradient(past), self.rule
        checks = state.checks + jnp.asarray(check, jnp.int32)
        done = jnp.min(jnp.exp(-self.epsilon(state) * past)) > rule.certificate
        if rule.most is not None:
            done = done | (checks >= rule.most)
        up = done & check & (state.rung < len(rule.epsilons) - 1)
        new = Ladder(state.weights, state.rung + up, jnp.where(up, 0, checks))
        return Ladder(jnp.exp(-self.epsilon(new) * past), new.rung, new.checks)
