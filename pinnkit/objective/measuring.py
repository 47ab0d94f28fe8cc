"""Residuals row by row, and how large they and their gradients are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit import devices
from pinnkit.objective.batch import ResidualBatch, Trial
from pinnkit.objective.blocks import IntegralBlock
from pinnkit.objective.kernel import mean_diagonals
from pinnkit.objective.weighting import Measure
from pinnkit.training.objective import Rows

if TYPE_CHECKING:
    from pinnkit.objective.residuals import ResidualObjective


def rows(whole: ResidualObjective, batch: ResidualBatch, factors: Array) -> tuple[Rows, ...]:
    """Rows for the weights w = `factors` (R,), in the order of the parts."""
    found, parts = [], whole.split(factors)
    for index, own in enumerate(whole.parts):
        part, places = own.pointwise(batch.places[index])

        def at(trial: Trial, place: Any, part: Any = part) -> Array:
            where, pull = jax.tree.map(lambda leaf: leaf[None], place)
            values, fields = part.both(trial.function, whole.known(trial), where)
            counted = values if pull is None else pull(values, fields)
            return jnp.concatenate(list(counted.values()))

        weight = jnp.sqrt(whole.share(index, batch) * parts[index][None, :])
        where, weight = devices.shared(((places, whole.pull(index, batch)), weight))
        found.append(Rows(at, where, weight))
    integrals = zip(whole.integrals, parts[len(whole.parts) :], strict=True)
    return (*found, *(_integral_rows(whole, part, factor) for part, factor in integrals))


def _integral_rows(whole: ResidualObjective, part: IntegralBlock, factor: Array) -> Rows:
    def at(trial: Trial, _: Array) -> Array:
        (values,) = part.values(trial.function, whole.known(trial)).values()
        return values

    size = part.value.size
    weight = jnp.sqrt(jnp.broadcast_to(factor[None, :] / size, (1, size)))
    return Rows(at, jnp.zeros(1), weight)


def measure(whole: ResidualObjective, params: Trial, batch: ResidualBatch) -> Measure:
    """Sizes of the residuals for the weighting; nothing is computed that is not asked for.

    Residuals are those of the problem, without terms of pseudo-time.
    """
    plain = replace(batch, steps=None)

    def residuals() -> tuple[Array, ...]:
        return tuple(jnp.abs(r) for r, _ in whole.probes(params, plain))

    return Measure(
        gradients=lambda weights: _gradients(whole, params, replace(plain, weights=weights)),
        kernel=lambda weights, places: mean_diagonals(
            rows(whole, replace(plain, weights=weights), jnp.ones(len(whole.names))),
            params,
            places,
        ),
        residuals=residuals,
    )


def _gradients(whole: ResidualObjective, params: Trial, batch: ResidualBatch) -> Array:
    """Norms (R,) of the gradients of the mean squares, weighted within but not by w."""
    found = []
    for index, part in enumerate(whole.parts):
        share, places = whole.share(index, batch), batch.places[index]

        def one(p: Trial, s: Array, part: Any = part, places: Any = places) -> Array:
            return whole.summed(part, p, places, s)[0]

        # one residual at a time through one compiled gradient
        only = jnp.eye(len(part.names))[:, None, :] * share[None]
        found.append(jax.lax.map(lambda s, one=one: _gradient_norm(one, params, s), only))
    for part in whole.integrals:

        def mean(p: Trial, _: None, part: IntegralBlock = part) -> Array:
            (values,) = part.values(p.function, whole.known(p)).values()
            return jnp.mean(values**2)

        found.append(_gradient_norm(mean, params, None)[None])
    return jnp.concatenate(found)


def _gradient_norm(function: Callable[..., Array], params: Trial, data: Any) -> Array:
    """Euclidean norm of the gradient of function(params, data) in all trained numbers."""
    arrays, static = eqx.partition(params, eqx.is_inexact_array)
    slope = jax.grad(lambda a: function(eqx.combine(a, static), data))(arrays)
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(slope)))
