"""Variable projection: the reduced loss and its derivatives by dense linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_objectives import Rosenbrock

from pinnkit.errors import MethodError, OptionError
from pinnkit.training import (
    SSBFGS,
    Evaluation,
    LevenbergMarquardt,
    Objective,
    Rows,
    VariableProjection,
    fit,
)
from pinnkit.training.variable_projection import Reduced

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(3)
DAMPING = 1e-10


class Tones(Objective):
    """Data at places by sum_i a_i cos(k_i z); amplitudes a are the head, frequencies k hidden."""

    places: jax.Array
    data: jax.Array

    def sample(self, key, params, step, previous=None):
        return jnp.zeros(0)

    def loss(self, params, batch):
        (part,) = self.rows(params, batch)
        value = jnp.sum(part.values(params) ** 2)
        return value, {"value": value}

    def rows(self, params, batch):
        def miss(p, place):
            z, b = place
            return (p["a"] @ jnp.cos(p["k"] * z) - b)[None]

        count = self.places.size
        return (Rows(miss, (self.places, self.data), jnp.full((count, 1), count**-0.5)),)

    def head(self, params):
        return (params["a"],)


PLACES = np.linspace(-2, 2, 41)
TRUTH = np.array([1.3, 2.0, 3.7])


def tones():
    data = np.cos(PLACES[:, None] * TRUTH[None, :]) @ [1.0, -0.5, 0.3]
    return Tones(jnp.asarray(PLACES), jnp.asarray(data))


def start():
    """Amplitudes and frequencies at first, one vector."""
    return jnp.array([5.0, -3.0, 0.2, 0.9, 2.3, 3.4])


def unpack(x):
    return {"a": x[:3], "k": x[3:]}


def reduced(objective):
    return Reduced(objective, unpack, np.arange(3), DAMPING)


def projected(objective, k):
    """min_a |r|^2 by the normal equations, differentiated as they stand."""
    matrix = jnp.cos(objective.places[:, None] * k[None, :])
    a = jnp.linalg.solve(matrix.T @ matrix, matrix.T @ objective.data)
    return jnp.mean((matrix @ a - objective.data) ** 2)


def test_reduced_loss_and_gradient_by_dense_algebra():
    objective = tones()
    x = start()
    (loss, squares), gradient = reduced(objective)(x, None)
    value, slope = jax.value_and_grad(lambda k: projected(objective, k))(x[3:])
    np.testing.assert_allclose([loss, squares["value"]], value, rtol=1e-10)
    np.testing.assert_allclose(gradient[3:], slope, rtol=1e-9)
    assert not jnp.any(gradient[:3])


def test_gauss_newton_step_is_the_joint_one_with_the_head_eliminated():
    objective = tones()
    whole = reduced(objective)
    x = whole.solved(start(), None)
    residuals, jacobian = whole.jacobian(x, None)
    np.testing.assert_allclose(residuals, whole.residuals(x, None), atol=1e-13)
    np.testing.assert_allclose(residuals @ residuals, whole.loss(x, None)[0], rtol=1e-12)
    own = np.linalg.lstsq(np.asarray(jacobian)[:, 3:], -np.asarray(residuals), rcond=None)[0]
    r, joint = Evaluation(objective, unpack).jacobian(x, None)
    both = np.linalg.lstsq(np.asarray(joint), -np.asarray(r), rcond=None)[0]
    np.testing.assert_allclose(own, both[3:], rtol=1e-8)
    assert not jnp.any(jacobian[:, :3])


@pytest.mark.parametrize(
    "stage",
    [SSBFGS(steps=200, resample_every=None), LevenbergMarquardt(steps=60)],
    ids=lambda stage: stage.name,
)
def test_hidden_numbers_are_found_through_the_solve(stage):
    found = fit(tones(), unpack(start()), (VariableProjection(stage),), key=KEY)
    np.testing.assert_allclose(jnp.sort(found.params["k"]), TRUTH, rtol=1e-5)
    order = jnp.argsort(found.params["k"])
    np.testing.assert_allclose(found.params["a"][order], [1.0, -0.5, 0.3], rtol=1e-4)


def test_every_step_ends_with_the_solution():
    """Also where the features repeat each other: the fit is the best one, its numbers bounded."""
    objective = tones()
    twin = {"a": start()[:3], "k": jnp.array([0.9, 0.9, 3.4])}
    stage = VariableProjection(SSBFGS(steps=1, resample_every=None))
    found = fit(objective, twin, (stage,), key=KEY, record_every=1)
    matrix = np.cos(PLACES[:, None] * np.asarray(found.params["k"])[None, :])
    best = np.linalg.lstsq(matrix, np.asarray(objective.data), rcond=None)[0]
    miss = lambda a: np.linalg.norm(matrix @ np.asarray(a) - np.asarray(objective.data))  # noqa: E731
    np.testing.assert_allclose(miss(found.params["a"]), miss(best), rtol=1e-6)
    assert float(jnp.abs(found.params["a"]).max()) < 100


def test_steps_may_be_extended_and_options_are_part_of_the_identity():
    stages = [VariableProjection(SSBFGS(steps=n)) for n in (5, 9)]
    assert stages[0].identity == stages[1].identity and stages[1].steps == 9
    assert VariableProjection(SSBFGS(steps=5), 1e-8).identity != stages[0].identity


def test_what_cannot_be_projected_is_refused():
    with pytest.raises(MethodError, match="VariableProjection needs a network that names its last"):
        fit(Rosenbrock(), jnp.zeros(4), (VariableProjection(),), key=KEY)
    with pytest.raises(OptionError, match=r"VariableProjection\(damping=0\) leaves the last layer"):
        VariableProjection(damping=0)
