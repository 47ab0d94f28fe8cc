"""Algorithms that turn one gradient into one update: what Adam, SOAP and their friends share."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from pinnkit.errors import OptionError
from pinnkit.training.evaluation import Evaluation, Unpack
from pinnkit.training.schedules import Schedule
from pinnkit.training.stage import NONFINITE, Stage, StageState, blank, flat, whole

REJECTIONS = 20
"""Shortened repetitions of one update before the stage gives up."""


class Momentum(eqx.Module):
    """Memory: the transformation's state, the last finite x with the update taken from there.

    `factor` <= 1 shortens updates after one that led to a non-finite loss.
    """

    inner: Any
    anchor: Array
    update: Array
    factor: Array
    rejected: Array


@dataclass(frozen=True)
class FirstOrder(Stage):
    """x' = x + update(gradient), rate learning_rate * decay**(step / decay_steps).

    Instead of a number, `learning_rate` may be a `Schedule`, which is then all of the rate.

    An update that leads to a non-finite loss or gradient is taken back and repeated at half its
    length, at most 20 times; later updates grow back to full length by doubling. `clip` bounds
    the norm of the gradient. Adaptive weights are live in every step.

    Raises `OptionError` for a rate, decay or number of steps that is not positive.
    """

    steps: int = 1000
    learning_rate: float | Schedule = 1e-3
    decay: float = 0.9
    decay_steps: int = 1000
    clip: float | None = None
    resample_every: int | None = 1
    refreeze_every: int | None = None

    def __post_init__(self) -> None:
        whole(self, steps=self.steps, resample_every=self.resample_every)
        for name in ("learning_rate", "decay", "decay_steps"):
            value = getattr(self, name)
            if not (isinstance(value, Schedule) or value > 0):
                raise OptionError(
                    f"{self.name}({name}={value!r}) must be positive. Give a number above zero."
                )

    @property
    def elementwise(self) -> bool:
        """Whether the algorithm treats every parameter alike, so that it may see one vector."""
        return False

    @abstractmethod
    def transform(self, rate: optax.Schedule) -> optax.GradientTransformation:
        """The algorithm on a tree of parameters, at a rate that depends on the step."""

    def _transform(self) -> optax.GradientTransformation:
        rate = self.learning_rate
        if isinstance(rate, Schedule):
            schedule = rate.rate()
        else:
            schedule = optax.exponential_decay(rate, self.decay_steps, self.decay)
        algorithm = self.transform(schedule)
        if self.clip is None:
            return algorithm
        return optax.chain(optax.clip_by_global_norm(self.clip), algorithm)

    def init(self, x: Array, squares: dict[str, Array], unpack: Unpack = flat) -> StageState:
        inner = self._transform().init(self._parts(unpack, x))
        one, never = jnp.ones((), x.dtype), jnp.zeros((), jnp.int32)
        return blank(x, squares, Momentum(inner, x, jnp.zeros_like(x), one, never))

    def step(
        self, evaluate: Evaluation, state: StageState, batch: Any
    ) -> tuple[StageState, Array | bool]:
        old: Momentum = state.memory
        (loss, squares), gradient = evaluate(state.x, batch)
        finite = jnp.isfinite(loss) & jnp.all(jnp.isfinite(gradient))
        parts = partial(self._parts, evaluate.unpack)
        # zeros keep the memory clean, which is thrown away all the same
        clean = parts(jnp.where(finite, gradient, 0))
        updates, inner = self._transform().update(clean, old.inner, parts(state.x))
        choose = lambda a, b: jax.tree.map(lambda p, q: jnp.where(finite, p, q), a, b)  # noqa: E731
        anchor = jnp.where(finite, state.x, old.anchor)
        new = ravel_pytree(updates)[0].astype(old.update.dtype)
        update = jnp.where(finite, new, old.update)
        factor = jnp.where(finite, jnp.minimum(1, 2 * old.factor), old.factor / 2)
        rejected = jnp.where(finite, 0, old.rejected + 1)
        lost = rejected > REJECTIONS
        return state.with_(
            x=jnp.where(lost, anchor, anchor + factor * update),
            loss=loss,
            squares=squares,
            code=jnp.where(lost, NONFINITE, state.code),
            memory=Momentum(choose(inner, old.inner), anchor, update, factor, rejected),
        ), True

    def renew(self, state: StageState, due: Array) -> StageState:
        return state

    def _parts(self, unpack: Unpack, x: Array) -> Any:
        """What the algorithm sees of x (P,): the arrays of the parameters, or all in one."""
        return x if self.elementwise else eqx.filter(unpack(x), eqx.is_inexact_array)
