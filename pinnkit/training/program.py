"""Compiled code of a fit, which fits of the same structure share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from pinnkit import devices
from pinnkit.training.dispatch import Carry, compiled
from pinnkit.training.objective import Objective, Params
from pinnkit.training.stage import Stage


class Program:
    """What is compiled to minimise an objective from given parameters.

    It serves every objective and parameters that differ from these in the values of arrays alone,
    such as those of one window in time after another.
    """

    def __init__(self, objective: Objective, params: Params) -> None:
        self._signature = _signature(objective), _signature(params)
        arrays, static = eqx.partition(params, eqx.is_inexact_array)
        _, unravel = ravel_pytree(arrays)
        self.unpack: Callable[[Array], Params] = lambda x: eqx.combine(unravel(x), static)
        self._rest = eqx.partition(objective, eqx.is_array)[1]
        self._stages: dict[str, Callable[..., Carry]] = {}
        self._hold = jax.jit(self._held)
        self._validate = jax.jit(self._validated)

    def fits(self, objective: Objective, params: Params) -> bool:
        """Whether it serves these."""
        return self._signature == (_signature(objective), _signature(params))

    def advance(
        self, objective: Objective, stage: Stage, carry: Carry, key: Array, limit: Array
    ) -> Carry:
        """Steps of `stage` until `limit` or its own end; the carry is donated."""
        if stage.identity not in self._stages:
            self._stages[stage.identity] = compiled(self._rest, stage, self.unpack)
        return self._stages[stage.identity](self._arrays(objective), carry, key, limit)

    def validation(self, objective: Objective, key: Array, x: Array) -> Any:
        """The batch on which the best parameters are chosen."""
        return self._hold(self._arrays(objective), key, x)

    def validate(
        self, objective: Objective, x: Array, held: Any, best: Array, score: Array
    ) -> tuple[Array, Array, Array]:
        """Best parameters and score after looking at `x`, and the score of `x`."""
        return self._validate(self._arrays(objective), x, held, best, score)

    def _arrays(self, objective: Objective) -> Any:
        return eqx.filter(objective, eqx.is_array)

    def _held(self, arrays: Any, key: Array, x: Array) -> Any:
        return devices.everywhere(eqx.combine(arrays, self._rest).validation(key, self.unpack(x)))

    def _validated(
        self, arrays: Any, x: Array, held: Any, best: Array, score: Array
    ) -> tuple[Array, Array, Array]:
        value = eqx.combine(arrays, self._rest).score(self.unpack(x), held)
        better = jnp.isfinite(value) & jnp.all(jnp.isfinite(x)) & (value < score)
        found = jnp.where(better, x, best), jnp.where(better, value, score), value
        return devices.everywhere(found)


def _signature(tree: Any) -> tuple[Any, ...]:
    """Everything that compiled code depends on: structure, static leaves, shapes and types."""
    arrays, static = eqx.partition(tree, eqx.is_array)
    leaves, structure = jax.tree.flatten(arrays)
    shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
    return structure, shapes, tuple(jax.tree.leaves(static))
