"""L-BFGS: its matrix against the dense update, its memory, and what empties it. jaxopt's stages."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_quasi_newton import Cliff, bowl

from pinnkit.errors import OptionError
from pinnkit.training import LBFGS, Evaluation, Jaxopt, fit
from pinnkit.training.jaxopt_stage import NAMES

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(0)


def stepper(objective, stage):
    evaluate = Evaluation(objective, lambda x: x)
    start = stage.init(jnp.zeros_like(objective.centre), {"value": jnp.zeros(())})
    return jax.jit(lambda state: stage.step(evaluate, state, None)[0]), start


def dense(pairs, scale, size):
    """BFGS from scale * I by the pairs, the matrix formed."""
    H = scale * np.eye(size)
    for s, y in pairs:
        rho = 1 / (s @ y)
        left = np.eye(size) - rho * np.outer(s, y)
        H = left @ H @ left.T + rho * np.outer(s, s)
    return H


def test_directions_are_those_of_bfgs_by_the_last_pairs():
    objective, history = bowl(2, 7, 30.0), 3
    step, state = stepper(objective, LBFGS(log_loss=False, history=history))
    pairs = []
    for count in range(10):
        old, state = state, step(state)
        if count:
            s, y = state.x - old.x, state.memory.gradient - old.memory.gradient
            pairs = [*pairs, (np.asarray(s), np.asarray(y))][-history:]
            H = dense(pairs, s @ y / (y @ y), 7)
            expected = -H @ state.memory.gradient
            np.testing.assert_allclose(state.memory.direction, expected, rtol=1e-8, atol=1e-12)


def test_a_quadratic_takes_as_many_steps_as_it_has_dimensions():
    """With exact searches L-BFGS is the method of conjugate gradients."""
    objective = bowl(5, 8, 100.0)
    step, state = stepper(objective, LBFGS(log_loss=False, c1=1e-8, c2=1e-7))
    for _ in range(1 + 8 + 2):
        state = step(state)
    np.testing.assert_allclose(state.x, objective.centre, atol=1e-7)


def test_memory_is_bounded():
    state = LBFGS(history=10).init(jnp.zeros(50_000), {"value": jnp.zeros(())})
    numbers = sum(leaf.size for leaf in jax.tree.leaves(state))
    assert numbers < (2 * 10 + 3) * 50_000 + 100


def test_pairs_outlive_the_batch_and_are_forgotten_after_a_failure():
    objective, stage = bowl(3, 5, 10.0), LBFGS(log_loss=False)
    step, state = stepper(objective, stage)
    for _ in range(6):
        state = step(state)
    known = np.sort(state.memory.H.rho)
    renewed = step(stage.renew(state, jnp.asarray(True)))
    np.testing.assert_array_equal(np.sort(renewed.memory.H.rho), known)
    uphill = eqx.tree_at(lambda m: m.direction, state.memory, -state.memory.direction)
    failed = step(state.with_(memory=uphill))
    assert failed.memory.fresh and failed.memory.resets == 1
    assert jnp.all(failed.memory.H.rho == 0) and jnp.array_equal(failed.x, state.x)
    for _ in range(20):
        failed = step(failed)
    np.testing.assert_allclose(failed.x, objective.centre, atol=1e-6)


@pytest.mark.parametrize("algorithm", NAMES)
def test_algorithms_of_jaxopt(algorithm):
    """All find the minimum, and none keeps a step over the cliff."""
    objective = Cliff(jnp.diag(jnp.array([1.0, 0.1])), jnp.array([1.0, 1.0]))
    stage = Jaxopt(steps=300, algorithm=algorithm, resample_every=None)
    found = fit(objective, jnp.array([0.0, -1.0]), (stage,), key=KEY)
    assert stage.name == f"jaxopt.{algorithm}" and stage.name in found.status
    np.testing.assert_allclose(found.params, 1, atol=1e-4)
    assert bool(jnp.all(jnp.isfinite(found.state.x))) and jnp.isfinite(found.state.loss)


def test_messages():
    with pytest.raises(OptionError, match=r"'bogus'\) is unknown. Choose one of .*NonlinearCG"):
        Jaxopt(algorithm="bogus")
    with pytest.raises(OptionError, match=r"Jaxopt\('BFGS'\) cannot take its options.*memory"):
        Jaxopt(algorithm="BFGS", options=(("memory", 3),))
    with pytest.raises(OptionError, match=r"LBFGS\(history=0\).*positive whole number"):
        LBFGS(history=0)
