"""Channels of the ansatz of declared problems: gates, lifts, periodic and flat features."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pinnkit
from pinnkit.ansatz import build_ansatz, enforce
from pinnkit.compile import compile_problem
from pinnkit.derivatives.autodiff import term_values
from pinnkit.derivatives.channels import examine, propagate
from pinnkit.nn import MLP

pytestmark = pytest.mark.usefixtures("x64")
PROBLEMS = Path(__file__).parent.parent.parent / "problems"
NAMES = ("burgers", "cavity", "taylor_green", "ks_classic", "kovasznay", "cavity_parabolic")
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@pytest.mark.parametrize("name", NAMES)
def test_every_term_of_a_declared_problem(name):
    system = compile_problem(pinnkit.load(PROBLEMS / f"{name}.py"))
    ansatz = build_ansatz(enforce(system), MLP(5, 2), key=jax.random.key(0))
    rng = np.random.default_rng(0)
    bounds = np.array([system.domain.bounds[axis] for axis in system.axes]).T
    points = jnp.asarray(rng.uniform(*bounds, (4, len(system.axes))))
    orders = {term.orders for term in system.plan.terms}

    def both(z):
        plain = jax.vmap(lambda p: term_values(ansatz, system.fields, system.plan, p))(z)
        found = propagate(ansatz, z, orders)
        place = system.fields.index
        return [(found[t.orders][:, place(t.field)], v) for t, v in plain.items()]

    for found, expected in jax.jit(both, compiler_options=QUICK)(points):
        size = max(float(jnp.abs(expected).max()), 1e-6)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * size)
    assert examine(ansatz, points, orders).fallbacks == ()
