"""Gauss-Newton stages: least-squares solutions, one step by three solvers, damping, failures."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_objectives import Linear, Regression, Rosenbrock, Wall, linear

from pinnkit.errors import MethodError, OptionError
from pinnkit.training import Evaluation, GaussNewtonCG, LevenbergMarquardt, Objective, fit
from pinnkit.training.linear_models import (
    ParameterSpace,
    SampleSpace,
    dense,
    lower_gram,
    matrix_free,
)

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(0)


def same(x):
    return x


def stacked(problem: Linear):
    w = np.asarray(problem.weights)
    return w[:, None] * np.asarray(problem.matrix), w * np.asarray(problem.right)


@pytest.mark.parametrize(("m", "n"), [(40, 12), (12, 40)], ids=["parameters", "samples"])
def test_one_undamped_step_solves_a_linear_problem(m, n):
    problem = linear(0, m, n)
    stage = LevenbergMarquardt(steps=1, damping=0.0, resample_every=None)
    found = fit(problem, jnp.zeros(n), (stage,), key=KEY)
    expected = np.linalg.lstsq(*stacked(problem), rcond=None)[0]
    np.testing.assert_allclose(found.state.x, expected, atol=1e-10 * np.abs(expected).max())


@jax.jit
def both(J, r, damping):
    """Scale and step in parameter and in sample space, and the decrease by the first."""
    first = ParameterSpace(r, r @ J, J, lower_gram(J))
    second = SampleSpace(r, r @ J, J, lower_gram(J.T))
    a, b = first.step(damping), second.step(damping)
    return (first.scale, a), (second.scale, b), first.decrease(a)


@pytest.mark.parametrize(("m", "n"), [(40, 12), (12, 40), (30, 30)])
def test_parameter_and_sample_space_give_the_same_step(m, n):
    J, right = stacked(linear(1, m, n))
    r = J @ np.ones(n) - right
    for damping in (1e-4, 1.0):
        (s, a), (t, b), decrease = both(J, r, damping)
        np.testing.assert_allclose(s, t, rtol=1e-12)
        np.testing.assert_allclose(a, b, atol=1e-10 * np.abs(a).max())
        expected = np.linalg.solve(J.T @ J + damping * np.eye(n), -J.T @ r)
        np.testing.assert_allclose(a, expected, atol=1e-8 * np.abs(a).max())
        np.testing.assert_allclose(decrease, r @ r - np.sum((r + J @ a) ** 2), rtol=1e-9)


@pytest.mark.parametrize(("m", "n"), [(5, 4), (4, 5)])
def test_the_dense_model_takes_the_lower_dimension(m, n):
    model = jax.eval_shape(lambda: dense(Evaluation(linear(1, m, n), same), jnp.ones(n), None))
    assert isinstance(model, SampleSpace if m < n else ParameterSpace)


def test_conjugate_gradients_give_the_dense_step():
    evaluate, x = Evaluation(Rosenbrock(), same), jnp.linspace(-1, 1.5, 9)

    @jax.jit
    def solved(damping):
        full = dense(evaluate, x, None)
        free = matrix_free(evaluate, x, None, 1e-13, 100)
        step = full.step(damping)
        return [(m.gradient, m.step(damping), m.decrease(step)) for m in (full, free)]

    for damping in (1e-2, 10.0):
        for a, b in zip(*solved(damping), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8)


@pytest.mark.parametrize("columns", [1, 127, 300])
def test_lower_gram_is_the_lower_triangle(columns):
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((50, columns)))
    np.testing.assert_allclose(
        jnp.tril(lower_gram(matrix)), jnp.tril(matrix.T @ matrix), atol=1e-12
    )


def test_rows_are_the_loss_and_its_derivative():
    objective = Regression()
    batch = objective.sample(KEY, None, None)
    params = {"line": jnp.array([0.2, -0.1]), "wave": jnp.array([1.0])}
    x, unpack = jax.flatten_util.ravel_pytree(params)
    evaluate = Evaluation(objective, unpack)
    (loss, _), gradient = evaluate(x, batch)
    r, J = evaluate.jacobian(x, batch)
    np.testing.assert_allclose(r, evaluate.residuals(x, batch), rtol=1e-14)
    np.testing.assert_allclose(r @ r, loss, rtol=1e-14)
    np.testing.assert_allclose(2 * r @ J, gradient, rtol=1e-12)
    np.testing.assert_allclose(J, jax.jacfwd(evaluate.residuals)(x, batch), atol=1e-14)


@pytest.mark.parametrize(
    "stage",
    [
        LevenbergMarquardt(steps=200, resample_every=None),
        GaussNewtonCG(steps=200, resample_every=None, tolerance=1e-3),
    ],
    ids=lambda stage: stage.name,
)
def test_rosenbrock_in_20_dimensions(stage):
    found = fit(Rosenbrock(), jnp.full(20, -1.2), (stage,), key=KEY, record_every=1)
    assert found.score < 1e-20
    np.testing.assert_allclose(found.params, 1, atol=1e-9)
    losses, memory = found.history["loss"], found.state.memory
    assert np.all(np.diff(losses) < 0)
    assert memory.rejected > 0 and memory.evaluations >= memory.rejected + len(losses)


def test_the_damping_falls_by_the_gain_and_keeps_its_value_where_nothing_is_gained():
    problem, stage = linear(4, 10, 3), LevenbergMarquardt(damping=0.5, shrink=0.25)
    evaluate = Evaluation(problem, same)
    state = stage.init(jnp.ones(3), {"value": jnp.zeros(())})
    state, moved = jax.jit(lambda s: stage.step(evaluate, s, None))(state)
    assert moved  # the model is exact, so that the gain is one
    np.testing.assert_allclose(state.memory.value, 0.5 * 0.25)
    expected = np.linalg.lstsq(*stacked(problem), rcond=None)[0]
    state = state.with_(x=jnp.asarray(expected))
    end, moved = jax.jit(lambda s: stage.step(evaluate, s, None))(state)
    assert not moved and end.memory.value == state.memory.value
    assert jnp.array_equal(end.x, state.x)


@pytest.mark.parametrize("kind", [LevenbergMarquardt, GaussNewtonCG])
def test_non_finite_steps_are_rejected(kind):
    base = linear(2, 20, 4, condition=2.0)
    base = eqx.tree_at(lambda p: p.right, base, base.matrix @ jnp.array([1.0, 2.0, 0.0, -1.0]))
    problem = Wall(base.matrix, base.right, base.weights, limit=0.5)
    stage = kind(steps=30, damping=0.0, resample_every=None)
    found = fit(problem, jnp.zeros(4), (stage,), key=KEY, record_every=1)
    assert np.all(np.isfinite(found.history["loss"])) and np.isfinite(found.score)
    assert found.state.x[0] <= 0.5 and found.state.memory.rejected > 0
    assert found.history["loss"][-1] < found.history["loss"][0]


def test_a_start_that_is_not_finite_ends_in_words():
    base = linear(2, 20, 4)
    problem = Wall(base.matrix, base.right, base.weights, limit=-1.0)
    found = fit(problem, jnp.zeros(4), (LevenbergMarquardt(steps=5),), key=KEY)
    assert "non-finite" in found.status
    assert jnp.array_equal(found.state.x, jnp.zeros(4))


class Scalar(Objective):
    """Gives no residuals."""

    def sample(self, key, params, step, previous=None):
        return jnp.zeros(0)

    def loss(self, params, batch):
        return params @ params, {"value": params @ params}


def test_messages():
    with pytest.raises(MethodError, match="Scalar gives no residuals.*Use SSBFGS.*`rows`"):
        fit(Scalar(), jnp.ones(2), (LevenbergMarquardt(),), key=KEY)
    with pytest.raises(MethodError, match=r"9000 parameters .* Use GaussNewtonCG"):
        fit(Rosenbrock(), jnp.zeros(9000), (LevenbergMarquardt(),), key=KEY)
    with pytest.raises(OptionError, match=r"Choose damping >= 0 and 0 < shrink <= 1"):
        LevenbergMarquardt(damping=-1)
    with pytest.raises(OptionError, match=r"GaussNewtonCG\(tolerance=2\).*Choose 0 < tolerance"):
        GaussNewtonCG(tolerance=2)
