"""The compiled part of the loop: any number of steps in one call, with one result however split."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from pinnkit import devices
from pinnkit.training.evaluation import Evaluation, Unpack
from pinnkit.training.objective import Batch, Objective, Params
from pinnkit.training.stage import CONVERGED, RUNNING, STALLED, Stage, StageState


class Carry(eqx.Module):
    """What passes from step to step, all of it arrays, all of it in the checkpoint.

    `step` counts finished steps of the stage; `sampled` and `frozen` are the steps at which the
    batch was last drawn and its weights last fixed (-1: never).
    """

    state: StageState
    batch: Batch
    step: Array
    sampled: Array
    frozen: Array


def initial(
    objective: Objective,
    stage: Stage,
    unpack: Unpack,
    x: Array,
    key: Array,
    previous: Batch | None = None,
) -> Carry:
    """Carry before the first step, whose batch the first step replaces.

    It holds what `previous`, the batch of another stage, has in common with it, and zeros.
    """
    step = jnp.zeros((), jnp.int32)
    draw = lambda: _draw(objective, stage, unpack(x), key, step, None)  # noqa: E731
    shapes = eqx.filter_eval_shape(draw)
    empty = lambda: _onto(shapes, None)  # noqa: E731
    loss = lambda v: objective.loss(unpack(v), empty())  # noqa: E731
    _, squares = eqx.filter_eval_shape(loss, x)

    @jax.jit  # one small program instead of many; each leaf gets a buffer of its own
    def start(x: Array, previous: Batch | None) -> Carry:
        zeros = {name: jnp.zeros(leaf.shape, leaf.dtype) for name, leaf in squares.items()}
        never = jnp.full((), -1, jnp.int32)
        state = stage.init(x, zeros, unpack)
        carry = Carry(state, _onto(shapes, previous), jnp.zeros((), jnp.int32), never, never)
        return devices.everywhere(carry)

    return start(x, previous)


def _onto(shapes: Batch, previous: Batch | None) -> Batch:
    """Zeros of these shapes, or the leaves of `previous` in the same places where they fit."""
    held = dict(jax.tree.leaves_with_path(previous))

    def leaf(path: Any, shape: Any) -> Array:
        zero = jnp.zeros(shape.shape, shape.dtype)
        old = held.get(path, zero)
        return old if (old.shape, old.dtype) == (zero.shape, zero.dtype) else zero

    return jax.tree.map_with_path(leaf, shapes)


def compiled(rest: Objective, stage: Stage, unpack: Unpack) -> Callable[..., Carry]:
    """Jitted (arrays, carry, key, limit) -> carry: steps until `limit` or until the stage ends.

    `arrays` and `rest` make up the objective. The trip count is an argument of one compiled loop
    and batches are keyed by the step, so the split into dispatches cannot change a bit of the
    result. The carry is donated; between dispatches all of it is on every device.
    """

    def advance(arrays: Any, carry: Carry, key: Array, limit: Array) -> Carry:
        whole = eqx.combine(arrays, rest)
        evaluate = Evaluation(whole, unpack)

        def body(carry: Carry) -> Carry:
            carry = _renewed(whole, stage, unpack, key, carry)
            state, counts = stage.step(evaluate, carry.state, carry.batch)
            step = carry.step + jnp.asarray(counts, jnp.int32)
            return Carry(state, carry.batch, step, carry.sampled, carry.frozen)

        last = jax.lax.while_loop(lambda c: (c.step < limit) & active(stage, c), body, carry)
        return devices.everywhere(last)

    return jax.jit(advance, donate_argnums=1)


def active(stage: Stage, carry: Carry) -> Array:
    """Whether the stage can go on: running, or at its end with a new batch still to be tried."""
    again = _spent(carry) & (carry.sampled != carry.step) & (stage.resample_every is not None)
    return (carry.state.code == RUNNING) | again


def _spent(carry: Carry) -> Array:
    """Whether nothing more is to be gained on the present batch."""
    return (carry.state.code == STALLED) | (carry.state.code == CONVERGED)


def _draw(
    objective: Objective,
    stage: Stage,
    params: Params,
    key: Array,
    step: Array,
    previous: Batch | None,
) -> Batch:
    batch = objective.sample(jax.random.fold_in(key, step), params, step, previous)
    return batch if stage.refreeze_every is None else objective.freeze(params, batch)


def _renewed(objective: Objective, stage: Stage, unpack: Unpack, key: Array, carry: Carry) -> Carry:
    """Draw a batch and fix its weights where the step asks for it, or let them follow."""
    step, batch = carry.step, carry.batch
    params = unpack(carry.state.x)
    every = stage.resample_every
    due = (carry.sampled < 0) if every is None else _spent(carry) | (step % every == 0)
    due = due & (carry.sampled != step)
    draw = lambda: _draw(objective, stage, params, key, step, carry.batch)  # noqa: E731
    batch = draw() if every == 1 else jax.lax.cond(due, draw, lambda: batch)
    frozen = jnp.where(due, step, carry.frozen)
    renewed = due
    if stage.refreeze_every not in (None, every):
        again = (step % stage.refreeze_every == 0) & (frozen != step)
        drawn = batch
        fix = lambda: objective.freeze(params, drawn)  # noqa: E731
        batch = jax.lax.cond(again, fix, lambda: drawn)
        frozen = jnp.where(again, step, frozen)
        renewed = renewed | again
    if stage.refreeze_every is None:
        batch = objective.follow(params, batch, step)
    state = stage.renew(carry.state, renewed)
    return Carry(state, batch, step, jnp.where(due, step, carry.sampled), frozen)
