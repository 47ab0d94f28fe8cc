"""Residuals of equations, conditions and integrals are rows whose squares sum to the loss."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from sympy import Eq, exp, pi, sin

from pinnkit.compile import compile_problem
from pinnkit.geometry import Box
from pinnkit.nn import MLP
from pinnkit.objective import Causal, TimeSlabs, Trial, residual_objective
from pinnkit.spec.condition import Dirichlet, Equation, Initial, Integral, Neumann
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import coordinates, field
from pinnkit.training import Evaluation

pytestmark = pytest.mark.usefixtures("x64")
t, x = coordinates("t x")
u = field("u", t, x)


def heat():
    conditions = [
        Equation(Eq(u.diff(t), u.diff(x, 2) + u**2), name="heat"),
        Initial(u, sin(pi * x), name="start"),
        Dirichlet(u, 0, on="x-", name="left"),
        Neumann(u, -pi * exp(-(pi**2) * t), on="x+", name="right"),
        Integral(u, 2 / pi * exp(-(pi**2) * t), name="heat content"),
    ]
    box = Box(t=(0, 0.5), x=(0, 1), time="t")
    return compile_problem(Problem(name="heat", domain=box, conditions=conditions))


@pytest.mark.parametrize(
    "slabs", [None, TimeSlabs(0.0, 0.5, Causal((2.0,), 4))], ids=["plain", "causal"]
)
def test_squares_sum_to_the_loss(slabs):
    system = heat()
    objective = residual_objective(system, system.conditions, points=64, slabs=slabs)
    trial = Trial(MLP(5, 2).build(2, 1, key=jax.random.key(0)), {})
    arrays, static = eqx.partition(trial, eqx.is_inexact_array)
    vector, unravel = ravel_pytree(arrays)
    evaluate = Evaluation(objective, lambda v: eqx.combine(unravel(v), static))

    @jax.jit
    def measured(v):
        batch = objective.sample(jax.random.key(1), evaluate.unpack(v), jnp.zeros((), int))
        batch = objective.freeze(evaluate.unpack(v), batch)
        (loss, _), gradient = evaluate(v, batch)
        return loss, gradient, evaluate.residuals(v, batch), evaluate.jacobian(v, batch)

    loss, gradient, residuals, (r, jacobian) = measured(vector)
    assert r.size > 64 + 3 * 64
    np.testing.assert_allclose(r, residuals, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(r @ r, loss, rtol=1e-12)
    np.testing.assert_allclose(2 * r @ jacobian, gradient, rtol=1e-9, atol=1e-12)
