"""Adam with an exponentially decaying rate, through optax."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.training.stage import NONFINITE, Evaluate, Stage, StageState, blank, whole


@dataclass(frozen=True)
class Adam(Stage):
    """Adam (Kingma & Ba 2015): rate learning_rate * decay**(step / decay_steps).

    `clip` bounds the norm of the gradient. Adaptive weights are live in every step.

    Raises `OptionError` for a rate, decay or number of steps that is not positive.
    """

    steps: int = 1000
    learning_rate: float = 1e-3
    decay: float = 0.9
    decay_steps: int = 1000
    b1: float = 0.9
    b2: float = 0.999
    clip: float | None = None
    resample_every: int | None = 1
    refreeze_every: int | None = None

    def __post_init__(self) -> None:
        whole(self, steps=self.steps, resample_every=self.resample_every)
        for name in ("learning_rate", "decay", "decay_steps"):
            value = getattr(self, name)
            if not value > 0:
                raise OptionError(
                    f"Adam({name}={value!r}) must be positive. Give a number above zero."
                )

    def _transform(self) -> optax.GradientTransformation:
        rate = optax.exponential_decay(self.learning_rate, self.decay_steps, self.decay)
        adam = optax.adam(rate, self.b1, self.b2)
        return (
            adam if self.clip is None else optax.chain(optax.clip_by_global_norm(self.clip), adam)
        )

    def init(self, x: Array, squares: dict[str, Array]) -> StageState:
        return blank(x, squares, self._transform().init(x))

    def step(
        self, evaluate: Evaluate, state: StageState, batch: Any
    ) -> tuple[StageState, Array | bool]:
        (loss, squares), gradient = evaluate(state.x, batch)
        updates, memory = self._transform().update(gradient, state.memory, state.x)
        finite = jnp.isfinite(loss) & jnp.all(jnp.isfinite(gradient))
        new = state.with_(
            x=jnp.where(finite, state.x + jnp.asarray(updates), state.x),
            loss=loss,
            squares=squares,
            code=jnp.where(finite, state.code, NONFINITE),
            memory=memory,
        )
        return new, True

    def renew(self, state: StageState, due: Array) -> StageState:
        return state
