"""The last layer of a network by least squares, as a start of training."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax import Array

from pinnkit.errors import MethodError
from pinnkit.training.damped import Damped
from pinnkit.training.evaluation import Evaluation
from pinnkit.training.linear_models import LinearModel, spectral
from pinnkit.training.stage import StageState


@dataclass(frozen=True)
class LastLayer(Damped):
    """Damped Gauss-Newton steps in the last layer alone; damping and acceptance as in `Damped`.

    A network is affine in its last layer, so that one undamped step is the least-squares fit of a
    linear problem by the features that the hidden layers begin with (for initial data: Wang et al.,
    PirateNets, arXiv:2402.00326, section 4; here all equations and soft conditions together). A
    nonlinear problem is linearised about the present parameters. Steps are damped by default: the
    best fit has large weights that cancel, from which training is slower (docs/pinn.md). A step is
    only taken if the loss decreases. All else, unknown numbers of the problem included, stays as
    it is.

    The objective names the last layer by its `head`. A step costs m n^2 operations for m residuals
    and n weights in the head. Raises `MethodError` where there is no head.
    """

    steps: int = 1
    resample_every: int | None = None
    refreeze_every: int | None = 1

    def model(self, evaluate: Evaluation, x: Array, batch: Any) -> LinearModel:
        return spectral(evaluate, x, batch)

    def step(
        self, evaluate: Evaluation, state: StageState, batch: Any
    ) -> tuple[StageState, Array | bool]:
        x = state.x
        own = places(evaluate, x)
        if not own.size:
            raise MethodError(
                f"{self.name} needs a network that names its last layer (a property `head`). "
                "Use another network, such as MLP, or leave this stage out."
            )
        inner = Evaluation(evaluate.objective, lambda h: evaluate.unpack(x.at[own].set(h)))
        found, counts = super().step(inner, state.with_(x=x[own]), batch)
        return found.with_(x=x.at[own].set(found.x)), counts


def places(evaluate: Evaluation, x: Array) -> np.ndarray:
    """Indices in x of the numbers of the head."""
    params = evaluate.unpack(x)
    head = evaluate.objective.head(params)
    leaves = jax.tree.leaves(eqx.filter(params, eqx.is_inexact_array))
    marks = [np.full(leaf.size, any(leaf is part for part in head)) for leaf in leaves]
    return np.flatnonzero(np.concatenate(marks))
