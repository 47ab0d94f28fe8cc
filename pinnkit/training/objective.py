"""What is minimised: the interface between the training loop and everything that knows PDEs."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit.errors import MethodError

Batch = Any
Params = Any


@dataclass(frozen=True)
class Rows:
    """Residuals weights * function(params, place) for every place of `places`.

    `places` is a pytree of arrays whose leading axis (N,) counts the places; `function` maps one
    of them to (k,) numbers; `weights` is (N, k) and takes no part in derivatives. A residual that
    belongs to no single place (an integral, say) has one place, N = 1.
    """

    function: Callable[[Params, Any], Array]
    places: Any
    weights: Array

    def values(self, params: Params) -> Array:
        """All the weighted residuals, (N * k,)."""
        found = jax.vmap(lambda place: self.function(params, place))(self.places)
        return jnp.ravel(jax.lax.stop_gradient(self.weights) * found)


class Objective(eqx.Module):
    """A function of parameters and a random batch, with its parts reported by name.

    All methods are traced; arrays of the module (data, pools of points) are passed to the compiled
    loop as arguments, never embedded as constants.
    """

    @abstractmethod
    def sample(
        self, key: Array, params: Params, step: Array, previous: Batch | None = None
    ) -> Batch:
        """A batch: a pytree of arrays whose shapes do not depend on the arguments' values.

        `previous` is the batch that this one replaces, frozen or not, so that a batch may keep
        places or weights; before the first draw it is None, or holds nothing but zeros. A stage
        begins with the last batch of the stage before.
        """

    @abstractmethod
    def loss(self, params: Params, batch: Batch) -> tuple[Array, dict[str, Array]]:
        """Scalar loss >= 0 and the mean square of each residual, by name."""

    def rows(self, params: Params, batch: Batch) -> tuple[Rows, ...]:
        """The loss as a sum of squares: loss = sum over all rows of values**2.

        Gauss-Newton methods need this; `params` only serve for weights that are not frozen.
        Raises `MethodError` where an objective does not say how its loss is made up.
        """
        del params, batch
        raise MethodError(
            f"{type(self).__name__} gives no residuals, so Gauss-Newton stages cannot train it. "
            "Use SSBFGS, LBFGS or Adam, or define its `rows`."
        )

    def residuals(self, params: Params, batch: Batch) -> Array:
        """The residuals (m,) whose squares sum to the loss, in the order of `rows`."""
        return jnp.concatenate([part.values(params) for part in self.rows(params, batch)])

    def head(self, params: Params) -> tuple[Array, ...]:
        """The arrays of `params` in which the trial function is affine while the rest is fixed.

        The same objects that `params` holds, so that they can be found in it; none by default.
        """
        del params
        return ()

    def freeze(self, params: Params, batch: Batch) -> Batch:
        """The batch with adaptive weights (causal weights, say) fixed at `params`.

        Quasi-Newton stages need one smooth function within a line search and between the two
        gradients of an update; they call this whenever they take up a batch.
        """
        del params
        return batch

    def follow(self, params: Params, batch: Batch, step: Array) -> Batch:
        """The batch with the memory of its adaptive weights brought up to date for `step`.

        Stages whose weights are live (`refreeze_every` is None) call this before every step, and
        never `freeze`. The structure of the batch does not change.
        """
        del params, step
        return batch

    def notes(self, batch: Batch) -> dict[str, Array]:
        """What else a record of the history holds: scalars of the batch, by name."""
        del batch
        return {}

    def validation(self, key: Array, params: Params) -> Batch:
        """The fixed batch on which the best parameters are chosen; by default a first sample."""
        return self.sample(key, params, jnp.zeros((), int))

    def score(self, params: Params, batch: Batch) -> Array:
        """Scalar by which the best parameters are chosen on the validation batch."""
        return self.loss(params, batch)[0]
