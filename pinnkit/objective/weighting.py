"""What the mean squares of residuals, and the places within them, count in the loss.

The loss is sum_i w_i mean_p(c_p lambda_ip^2 r_ip^2) over residuals i at places p: the weighting
gives w and lambda, causal weights c. None of them has a gradient.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError


class Weights(eqx.Module):
    """State of a weighting; it is part of the batch. Zeros stand for weights never measured.

    `groups` (R,) are the w_i, a moving average over `updates` measurements (None: fixed).
    `places` are the lambda (N, k), one array per group of equations (empty: all one).
    """

    groups: Array | None = None
    updates: Array | None = None
    places: tuple[Array, ...] = ()

    def factors(self, base: Array) -> Array:
        """w (R,); `base` (R,) until it was measured."""
        if self.groups is None or self.updates is None:
            return base
        return jnp.where(self.updates > 0, self.groups, base)


@dataclass(frozen=True)
class Measure:
    """What a weighting may ask of the objective at the present parameters and batch.

    `gradients(weights)`: norms (R,) of the gradients of each residual's mean square without w.
    `kernel(weights, places)`: mean diagonals (R,) of the tangent kernels, by so many places each.
    `residuals()`: |r| (N, k), one array per group of equations.
    """

    gradients: Callable[[Weights], Array]
    kernel: Callable[[Weights, int], Array]
    residuals: Callable[[], tuple[Array, ...]]


class Weighting(ABC):
    """Rule for the weights of the loss; concrete ones are frozen dataclasses.

    `conditions` is the factor of the mean squares of conditions and integrals in the validation
    score, where equations count once, whatever the rule.
    """

    conditions: float

    def start(self, groups: int, places: tuple[tuple[int, int], ...]) -> Weights:
        """State before the first measurement, for R residuals and equations at (N, k) places."""
        del groups, places
        return Weights()

    def measured(self, weights: Weights, measure: Measure) -> Weights:
        """The state after one more measurement."""
        del measure
        return weights

    def followed(self, weights: Weights, measure: Measure, step: Array) -> Weights:
        """The state for the given step of an algorithm whose weights are live."""
        del measure, step
        return weights


@dataclass(frozen=True)
class Fixed(Weighting):
    """Equations count once, conditions and integrals `conditions` times.

    Raises `OptionError` for a factor that is not positive.
    """

    conditions: float = 10.0

    def __post_init__(self) -> None:
        _sound(self, self.conditions > 0, "a factor above zero")


@dataclass(frozen=True)
class Balanced(Weighting):
    """w_i = mean_j s_j / s_i for one size s_i per residual, as a moving average.

    A measurement enters with the share 1 - `keep`, the first one with all of it. No weight exceeds
    `largest`, so that a residual with s_i = 0 does no harm; sizes that are not finite are passed
    over. Stages with a line search measure whenever they freeze weights (`refreeze_every`), first-
    order stages every `every` steps.

    Raises `OptionError` for numbers out of range.
    """

    keep: float = 0.9
    every: int = 100
    largest: float = 1e5
    conditions: float = 10.0

    def __post_init__(self) -> None:
        _sound(self, 0 <= self.keep < 1, "0 <= keep < 1")
        _sound(self, _count(self.every), "a whole number of steps for `every`, one or more")
        _sound(self, self.largest >= 1, "a largest weight of one or more")
        _sound(self, self.conditions > 0, "a factor of the conditions above zero")

    @abstractmethod
    def sizes(self, weights: Weights, measure: Measure) -> Array:
        """s (R,), zero or more."""

    def start(self, groups: int, places: tuple[tuple[int, int], ...]) -> Weights:
        del places
        return Weights(jnp.zeros(groups), jnp.zeros((), jnp.int32))

    def measured(self, weights: Weights, measure: Measure) -> Weights:
        old, updates = weights.groups, weights.updates
        assert old is not None and updates is not None
        size = self.sizes(weights, measure)
        mean = jnp.mean(size)
        usable = jnp.isfinite(mean) & (mean > 0)
        found = mean / jnp.maximum(size, mean / self.largest)
        mixed = jnp.where(updates == 0, found, self.keep * old + (1 - self.keep) * found)
        groups = jnp.where(usable, mixed, old)
        return Weights(groups, updates + usable, weights.places)

    def followed(self, weights: Weights, measure: Measure, step: Array) -> Weights:
        due = step % self.every == 0
        return jax.lax.cond(due, lambda: self.measured(weights, measure), lambda: weights)


@dataclass(frozen=True)
class GradientNorm(Balanced):
    """s_i = |gradient of the mean square of residual i|: gradients of equal length.

    Wang, Sankaran, Wang & Perdikaris, arXiv:2308.08468, section 5.1. A measurement costs a gradient
    per residual.
    """

    def sizes(self, weights: Weights, measure: Measure) -> Array:
        return measure.gradients(weights)


@dataclass(frozen=True)
class NTK(Balanced):
    """s_i = mean over places of |d r_i / d theta|^2, the mean diagonal of the tangent kernel.

    Wang, Yu & Perdikaris, J. Comput. Phys. 449 (2022) 110768, with means instead of traces as in
    arXiv:2308.08468. `places` of the batch, evenly spaced in it, stand for all.

    Raises `OptionError` for fewer than one place, and as `Balanced` does.
    """

    places: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        _sound(self, _count(self.places), "a whole number of places, one or more")

    def sizes(self, weights: Weights, measure: Measure) -> Array:
        return measure.kernel(weights, self.places)


@dataclass(frozen=True)
class Attention(Weighting):
    """Residual-based attention: lambda <- decay lambda + rate |r| / max |r| at every place.

    The equations' residuals are multiplied by lambda <= rate / (1 - decay), which begins at zero
    and stays with its place for as long as this is drawn again. Anagnostopoulos, Toscano,
    Stergiopulos & Karniadakis, Comput. Methods Appl. Mech. Engrg. 421 (2024) 116805
    (arXiv:2307.00379). Stages with a line search go on by one recursion whenever they freeze
    weights (`refreeze_every`); first-order stages in every step, as the paper does with
    decay = 0.999 and rate = 0.01, at the cost of the residuals.

    `groups` weighs whole residuals: `Fixed`, `GradientNorm` or `NTK`.

    Raises `OptionError` unless 0 <= decay < 1 and rate > 0, and for attention within attention.
    """

    decay: float = 0.9
    rate: float = 0.1
    groups: Weighting = field(default_factory=Fixed)

    def __post_init__(self) -> None:
        _sound(self, 0 <= self.decay < 1 and self.rate > 0, "0 <= decay < 1 and a rate above zero")
        _sound(
            self,
            isinstance(self.groups, (Fixed, Balanced)),
            "groups=Fixed(), GradientNorm() or NTK()",
        )

    @property
    def conditions(self) -> float:  # type: ignore[override]
        """The factor of the rule for whole residuals."""
        return self.groups.conditions

    def start(self, groups: int, places: tuple[tuple[int, int], ...]) -> Weights:
        inner = self.groups.start(groups, places)
        return Weights(inner.groups, inner.updates, tuple(jnp.zeros(shape) for shape in places))

    def measured(self, weights: Weights, measure: Measure) -> Weights:
        return self.groups.measured(self._attended(weights, measure), measure)

    def followed(self, weights: Weights, measure: Measure, step: Array) -> Weights:
        return self.groups.followed(self._attended(weights, measure), measure, step)

    def _attended(self, weights: Weights, measure: Measure) -> Weights:
        pairs = zip(weights.places, measure.residuals(), strict=True)
        places = tuple(self._next(old, size) for old, size in pairs)
        return Weights(weights.groups, weights.updates, places)

    def _next(self, old: Array, size: Array) -> Array:
        largest = jnp.max(jnp.where(jnp.isfinite(size), size, 0), axis=0)
        # where it is not finite, or zero throughout, a residual counts as the largest
        ratio = size / jnp.where(largest > 0, largest, 1.0)[None, :]
        ratio = jnp.where(jnp.isfinite(size) & (largest > 0)[None, :], ratio, 1.0)
        return self.decay * old + self.rate * ratio


def _count(value: int) -> bool:
    return isinstance(value, int) and value >= 1


def _sound(weighting: Weighting, sound: bool, wanted: str) -> None:
    if not sound:
        raise OptionError(f"{weighting!r} cannot weigh anything. Give {wanted}.")
