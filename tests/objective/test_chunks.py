"""The loss in chunks against the loss at once, and the account of the derivatives."""

import dataclasses
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

import pinnkit
from pinnkit.ansatz import build_ansatz, enforce
from pinnkit.compile import compile_problem
from pinnkit.nn import MLP
from pinnkit.objective import Causal, TimeSlabs, Trial, residual_objective

pytestmark = pytest.mark.usefixtures("x64")
PROBLEMS = Path(__file__).parent.parent.parent / "problems"
KEY = jax.random.key(0)


def burgers():
    system = compile_problem(pinnkit.load(PROBLEMS / "burgers.py"))
    ansatz = build_ansatz(enforce(system), MLP(6, 2), key=KEY)
    slabs = TimeSlabs(0.0, 1.0, Causal((1.0,), 4))
    loss = residual_objective(system, system.conditions, points=101, slabs=slabs)
    return loss, Trial(ansatz, {})


def test_chunks_change_neither_the_loss_nor_its_gradient():
    loss, trial = burgers()
    small = dataclasses.replace(loss, max_memory=40e3)
    assert small.equations[0].chunk(trial.function, loss.equations[0].pool, 40e3) < 50
    batch = loss.freeze(trial, loss.sample(KEY, trial, 0))

    def value(objective):
        def at(arrays, batch):
            return objective.loss(eqx.combine(arrays, static), batch)

        arrays, static = eqx.partition(trial, eqx.is_inexact_array)
        options = {"xla_backend_optimization_level": 0}
        run = jax.jit(jax.value_and_grad(at, has_aux=True), compiler_options=options)
        return jax.tree.leaves(run(arrays, batch))

    for a, b in zip(value(loss), value(small), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)


def test_chunks_change_no_draw():
    loss, trial = burgers()
    small = dataclasses.replace(loss, max_memory=40e3)
    one, two = (o.sample(KEY, trial, 0) for o in (loss, small))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_account_names_operators_chunks_and_fallbacks():
    loss, trial = burgers()
    small = dataclasses.replace(loss, max_memory=40e3)
    assert loss.derivatives(trial) == "momentum: 3 channels with [-nu*u_xx + u_t] as one"
    assert "points at a time" in small.derivatives(trial)
    sorted_net = Trial(lambda z: jax.numpy.sort(z)[:1], {})
    assert "nested jvp for sort" in loss.derivatives(sorted_net)
