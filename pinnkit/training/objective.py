"""What is minimised: the interface between the training loop and everything that knows PDEs."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import Array

Batch = Any
Params = Any


class Objective(eqx.Module):
    """A function of parameters and a random batch, with its parts reported by name.

    All methods are traced; arrays of the module (data, pools of points) are passed to the compiled
    loop as arguments, never embedded as constants.
    """

    @abstractmethod
    def sample(self, key: Array, params: Params, step: Array) -> Batch:
        """A batch: a pytree of arrays whose shapes do not depend on the arguments' values."""

    @abstractmethod
    def loss(self, params: Params, batch: Batch) -> tuple[Array, dict[str, Array]]:
        """Scalar loss >= 0 and the mean square of each residual, by name."""

    def freeze(self, params: Params, batch: Batch) -> Batch:
        """The batch with adaptive weights (causal weights, say) fixed at `params`.

        Quasi-Newton stages need one smooth function within a line search and between the two
        gradients of an update; they call this whenever they take up a batch.
        """
        del params
        return batch

    def validation(self, key: Array, params: Params) -> Batch:
        """The fixed batch on which the best parameters are chosen; by default a first sample."""
        return self.sample(key, params, jnp.zeros((), int))

    def score(self, params: Params, batch: Batch) -> Array:
        """Scalar by which the best parameters are chosen on the validation batch."""
        return self.loss(params, batch)[0]
