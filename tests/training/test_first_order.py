"""First-order stages: optax's updates, SOAP's equations, rejected updates, messages."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_objectives import Wall, linear

from pinnkit.errors import OptionError
from pinnkit.training import SOAP, Adam, Objective, Optax, fit
from pinnkit.training.optax_stage import NAMES

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(0)


class Skewed(Objective):
    """|A W B|^2 for a matrix W: a Hessian of condition (cond A cond B)^2, a Kronecker product."""

    left: jax.Array
    right: jax.Array

    def sample(self, key, params, step, previous=None):
        return jnp.zeros(0)

    def loss(self, params, batch):
        value = jnp.sum((self.left @ params["w"] @ self.right) ** 2) + jnp.sum(params["b"] ** 2)
        return value, {"value": value}


def skewed(n=8, condition=10.0):
    rng = np.random.default_rng(3)

    def matrix():
        q, _ = np.linalg.qr(rng.standard_normal((n, n)))
        return jnp.asarray(q * np.logspace(0, -np.log10(condition), n) @ q.T)

    start = {"w": jnp.asarray(rng.standard_normal((n, n))), "b": jnp.ones(3)}
    return Skewed(matrix(), matrix()), start


def test_soap_beats_adam_on_an_ill_conditioned_quadratic():
    objective, start = skewed()
    options = dict(steps=300, learning_rate=0.02, decay=1.0, b1=0.9, b2=0.99)
    adam = fit(objective, start, (Adam(**options),), key=KEY)
    soap = fit(objective, start, (SOAP(**options),), key=KEY)
    assert soap.score < adam.score / 100


def test_soap_in_its_first_step_moves_by_the_rate_along_the_singular_vectors():
    objective, start = skewed()
    found = fit(objective, start, (SOAP(steps=1, learning_rate=0.1),), key=KEY)
    G = jax.grad(lambda p: objective.loss(p, None)[0])(start)["w"]
    u, s, vt = np.linalg.svd(np.asarray(G))
    shrink = s / (s + 1e-8)
    moved = start["w"] - unpacked(found, start)["w"]
    np.testing.assert_allclose(moved, 0.1 * (u * shrink) @ vt, atol=1e-5)


def unpacked(found, start):
    return jax.flatten_util.ravel_pytree(start)[1](found.state.x)


def test_adam_equals_optax():
    objective, start = skewed()
    stage = Adam(steps=30, learning_rate=0.01, decay=0.5, decay_steps=10, clip=0.3)
    found = fit(objective, start, (stage,), key=KEY)
    rate = optax.exponential_decay(0.01, 10, 0.5)
    theirs = optax.chain(optax.clip_by_global_norm(0.3), optax.adam(rate))

    def step(_, carry):
        params, memory = carry
        gradient = jax.grad(lambda p: objective.loss(p, None)[0])(params)
        updates, memory = theirs.update(gradient, memory, params)
        return optax.apply_updates(params, updates), memory

    params, _ = jax.lax.fori_loop(0, 30, step, (start, theirs.init(start)))
    assert np.allclose(found.state.x, jax.flatten_util.ravel_pytree(params)[0], rtol=1e-10)


@pytest.mark.parametrize("algorithm", ["adamw", "muon"])
def test_optax_algorithms_descend(algorithm):
    objective, start = skewed()
    stage = Optax(steps=100, learning_rate=0.01, algorithm=algorithm)
    found = fit(objective, start, (stage,), key=KEY, record_every=10)
    assert found.history["loss"][-1] < found.history["loss"][0] / 2
    assert stage.name == algorithm and f"{algorithm}: all steps done" in found.status


def test_all_names_exist():
    for name in NAMES:
        Optax(algorithm=name)


@pytest.mark.parametrize(
    "stage",
    [Adam(steps=200, learning_rate=0.3), SOAP(steps=200, learning_rate=0.3), Optax(steps=200)],
    ids=lambda stage: stage.name,
)
def test_updates_into_the_forbidden_region_are_taken_back(stage):
    base = linear(2, 20, 4, condition=2.0)
    right = base.matrix @ jnp.array([1.0, 2.0, 0.0, -1.0])
    problem = Wall(base.matrix, right, base.weights, limit=0.5)
    found = fit(problem, jnp.zeros(4), (stage,), key=KEY, record_every=1)
    assert np.isfinite(found.score) and bool(jnp.all(jnp.isfinite(found.state.x)))
    assert found.state.memory.anchor[0] <= 0.5
    assert np.nanmin(found.history["loss"]) < 0.8 * found.history["loss"][0]


def test_messages():
    with pytest.raises(OptionError, match=r"'bogus'\) is unknown. Choose one of .*adamw"):
        Optax(algorithm="bogus")
    with pytest.raises(OptionError, match=r"Optax\('lion'\) cannot take its options.*momentum"):
        Optax(algorithm="lion", options=(("momentum", 0.1),))
    with pytest.raises(OptionError, match=r"SOAP\(learning_rate=0\) must be positive"):
        SOAP(learning_rate=0)
