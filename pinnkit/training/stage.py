"""One interface for all algorithms: a frozen description with `init` and `step`."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import OptionError
from pinnkit.training.evaluation import Evaluation, Unpack

RUNNING, STALLED, NONFINITE, CONVERGED = range(4)

WORDS = {
    RUNNING: "all steps done",
    STALLED: "no further decrease of the loss could be found (at rounding, or a rough loss)",
    NONFINITE: "the loss or its gradient became non-finite",
    CONVERGED: "converged: the gradient is zero to rounding",
}


def flat(x: Array) -> Array:
    """Parameters that are one vector."""
    return x


class StageState(eqx.Module):
    """State of any algorithm between two steps: arrays only, so that it can be saved.

    `x` (P,) are the flattened parameters, `loss` and `squares` the loss and mean squares last
    computed, `code` one of the constants above, `memory` what the algorithm keeps for itself.
    """

    x: Array
    loss: Array
    squares: dict[str, Array]
    code: Array
    memory: Any

    def with_(self, **changes: Any) -> "StageState":
        """A copy with some fields replaced."""
        return replace(self, **changes)


class Stage(ABC):
    """An algorithm with a number of steps; concrete stages are frozen dataclasses.

    `resample_every`: steps between two batches, None for one batch throughout.
    `refreeze_every`: steps after which adaptive weights are fixed anew, None: weights are live.
    """

    steps: int
    resample_every: int | None
    refreeze_every: int | None

    @property
    def name(self) -> str:
        """Name in histories and reports."""
        return type(self).__name__

    @property
    def identity(self) -> str:
        """Description that decides whether a checkpoint may be continued; steps may be extended."""
        fields = {k: v for k, v in vars(self).items() if k != "steps"}
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in sorted(fields.items()))})"

    @abstractmethod
    def init(self, x: Array, squares: dict[str, Array], unpack: Unpack = flat) -> StageState:
        """State before the first step.

        `squares` gives the names and types of the mean squares, `unpack` the shapes of the
        parameters that x is made of.
        """

    @abstractmethod
    def step(
        self, evaluate: Evaluation, state: StageState, batch: Any
    ) -> tuple[StageState, Array | bool]:
        """One step on `batch`; the second value says whether it counts as a step."""

    @abstractmethod
    def renew(self, state: StageState, due: Array) -> StageState:
        """State where the batch was exchanged if `due`: stored losses and gradients are void."""


def whole(stage: Stage, **sizes: int | None) -> None:
    """Check that the numbers of steps are whole and positive (None is allowed where given)."""
    for name, value in sizes.items():
        if value is not None and (not isinstance(value, int) or value < (name != "steps")):
            raise OptionError(
                f"{stage.name}({name}={value!r}) is not a number of steps. "
                "Give a positive whole number."
            )


def blank(x: Array, squares: dict[str, Array], memory: Any) -> StageState:
    """A running state whose loss is not known yet."""
    return StageState(
        x=x,
        loss=jnp.full((), jnp.inf, x.dtype),
        squares={name: jnp.full_like(value, jnp.inf) for name, value in squares.items()},
        code=jnp.asarray(RUNNING, jnp.int32),
        memory=memory,
    )
