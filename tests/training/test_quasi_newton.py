"""Self-scaled BFGS: minima, line-search conditions, formula, failures."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from training_objectives import Rosenbrock

from pinnkit.errors import MethodError, OptionError
from pinnkit.training import (
    LBFGS,
    SSBFGS,
    Adam,
    Evaluation,
    FactoredSSBFGS,
    Objective,
    SSBroyden,
    fit,
)
from pinnkit.training.line_search import Edge, Point, WolfeSearch

pytestmark = pytest.mark.usefixtures("x64")
KEY = jax.random.key(0)


class Quadratic(Objective):
    """(x - c)^T A (x - c) / 2 + offset."""

    matrix: jax.Array
    centre: jax.Array
    offset: float = eqx.field(static=True, default=0.0)

    def sample(self, key, params, step, previous=None):
        return jnp.zeros(0)

    def loss(self, params, batch):
        d = params - self.centre
        value = 0.5 * d @ self.matrix @ d + self.offset
        return value, {"value": value}


def bowl(seed: int, n: int, condition: float) -> Quadratic:
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    spectrum = np.logspace(0, np.log10(condition), n)
    return Quadratic(jnp.asarray(q * spectrum @ q.T), jnp.asarray(rng.standard_normal(n)))


@pytest.mark.accuracy
@pytest.mark.parametrize(
    "stage",
    [
        SSBFGS(steps=400, log_loss=False, resample_every=None),
        SSBFGS(steps=400, resample_every=None),
        SSBroyden(steps=400, resample_every=None),
        FactoredSSBFGS(steps=400, resample_every=None),
        LBFGS(steps=400, resample_every=None),
        LBFGS(steps=400, log_loss=False, history=6, resample_every=None),
    ],
    ids=["plain", "log", "broyden", "factored", "lbfgs", "lbfgs-plain"],
)
def test_rosenbrock_in_20_dimensions(stage):
    found = fit(Rosenbrock(), jnp.full(20, -1.2), (stage,), key=KEY)
    assert found.score < 1e-12
    np.testing.assert_allclose(found.params, 1, atol=1e-6)


STEEP = SSBFGS(steps=150, log_loss=False, resample_every=None)


@jax.jit
def minimise(objective, steps):
    """A bare loop of steps, compiled once for all quadratics of one size."""
    evaluate = Evaluation(objective, lambda x: x)
    start = STEEP.init(jnp.zeros(8), {"value": jnp.zeros(())})
    return jax.lax.fori_loop(0, steps, lambda _, s: STEEP.step(evaluate, s, None)[0], start)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), condition=st.sampled_from([1.0, 1e2, 1e4]))
def test_random_quadratics(seed, condition):
    state = minimise(bowl(seed, 8, condition), 150)
    assert state.loss < 1e-12


def test_same_minimum_as_scipy():
    objective = bowl(5, 10, 50.0)

    def value(x):
        loss, gradient = jax.value_and_grad(lambda p: objective.loss(p, None)[0])(jnp.asarray(x))
        return float(loss), np.asarray(gradient)

    theirs = scipy.optimize.minimize(value, np.zeros(10), jac=True, method="BFGS")
    stage = SSBFGS(steps=60, log_loss=False, resample_every=None)
    ours = fit(objective, jnp.zeros(10), (stage,), key=KEY)
    np.testing.assert_allclose(ours.params, theirs.x, atol=1e-5)
    np.testing.assert_allclose(ours.params, objective.centre, atol=1e-8)


@jax.jit
def searched(first, stretch, wiggle, limit):
    """Start and outcome of a search on a curve with ripples that may end in not-a-number."""

    def phi(x):
        z = x[0] / stretch
        value = jnp.sqrt(1 + (z - 2) ** 2) + wiggle * jnp.sin(3 * z)
        return jnp.where(limit & (z > 4), jnp.nan, value)

    evaluate = lambda x: ((phi(x), {}), jax.grad(phi)(x))  # noqa: E731
    x = jnp.zeros(1)
    (value, _), gradient = evaluate(x)
    direction = -jnp.sign(gradient)
    start = Point(Edge(jnp.zeros(()), value, gradient @ direction), gradient, {})
    found = WolfeSearch()(evaluate, x, direction, start, first, jnp.asarray(False))
    return start, found, direction


@settings(max_examples=100, deadline=None)
@given(
    first=st.floats(1e-3, 1e3),
    stretch=st.floats(1e-2, 1e2),
    wiggle=st.floats(0, 0.3),
    limit=st.booleans(),
)
def test_accepted_steps_satisfy_the_strong_wolfe_conditions(first, stretch, wiggle, limit):
    start, found, direction = searched(first, stretch, wiggle, limit)
    assert bool(found.accepted)
    edge = found.point.edge
    assert edge.alpha > 0 and jnp.isfinite(edge.value)
    assert edge.value <= start.edge.value + 1e-4 * edge.alpha * start.edge.slope
    assert abs(edge.slope) <= 0.9 * abs(start.edge.slope)
    np.testing.assert_allclose(edge.slope, found.point.gradient @ direction, rtol=1e-14)


def test_update_equals_the_published_formula_and_keeps_symmetry():
    objective, stage = bowl(2, 6, 30.0), SSBFGS(steps=9, log_loss=False)
    evaluate = Evaluation(objective, lambda x: x)
    state = stage.init(jnp.zeros(6), {"value": jnp.zeros(())})
    step = jax.jit(lambda state: stage.step(evaluate, state, None)[0])
    for count in range(12):
        old, state = state, step(state)
        if count < 2:  # the first evaluation, and the first update with its own scaling
            continue
        s, y = state.x - old.x, state.memory.gradient - old.memory.gradient
        H, g = old.memory.H, old.memory.gradient
        b = s @ jnp.linalg.solve(H, s) / (s @ y)
        Hy, q = H @ y, y @ H @ y
        v = s / (s @ y) - Hy / q
        expected = (H - jnp.outer(Hy, Hy) / q + q * jnp.outer(v, v)) / jnp.minimum(1, 1 / b)
        expected += jnp.outer(s, s) / (s @ y)
        np.testing.assert_allclose(state.memory.H, expected, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(state.memory.H @ y, s, rtol=1e-7, atol=1e-10)
        assert jnp.array_equal(state.memory.H, state.memory.H.T)
        assert g @ old.memory.direction < 0


def test_broyden_updates_satisfy_the_secant_equation_and_stay_positive():
    objective, stage = bowl(2, 6, 30.0), SSBroyden(steps=9, log_loss=False)
    evaluate = Evaluation(objective, lambda x: x)
    state = stage.init(jnp.zeros(6), {"value": jnp.zeros(())})
    step = jax.jit(lambda state: stage.step(evaluate, state, None)[0])
    differs = False
    for count in range(12):
        old, state = state, step(state)
        if count < 2:
            continue
        s, y = state.x - old.x, state.memory.gradient - old.memory.gradient
        H = state.memory.H
        np.testing.assert_allclose(H @ y, s, rtol=1e-7, atol=1e-10)
        assert jnp.all(jnp.linalg.eigvalsh(H) > 0)
        b = s @ jnp.linalg.solve(old.memory.H, s) / (s @ y)
        h = y @ old.memory.H @ y / (s @ y)
        tau, phi = stage.coefficients(h, b, 6)
        Hy, q = old.memory.H @ y, y @ old.memory.H @ y
        v = s / (s @ y) - Hy / q
        expected = (old.memory.H - jnp.outer(Hy, Hy) / q + phi * q * jnp.outer(v, v)) / tau
        expected += jnp.outer(s, s) / (s @ y)
        np.testing.assert_allclose(H, expected, rtol=1e-6, atol=1e-8)
        differs |= bool(jnp.abs(phi - 1) > 1e-2)
    assert differs


def test_coefficients_of_broyden_against_the_published_formulas():
    rng, size = np.random.default_rng(0), 7
    for h, b in zip(rng.uniform(0.3, 5, 40), rng.uniform(0.3, 5, 40), strict=True):
        if h * b <= 1:
            continue
        a = h * b - 1
        rho = min(1, h * (1 - np.sqrt(a / (1 + a))))
        theta = max((rho - 1) / a, min(1 / rho, (1 - b) / b))
        sigma, p = 1 + theta * a, min(1, 1 / b)
        spread = abs(sigma) ** (1 / (1 - size))
        tau = min(p * spread, sigma) if theta <= 0 else p * min(spread, 1 / theta)
        found = SSBroyden().coefficients(jnp.asarray(h), jnp.asarray(b), size)
        np.testing.assert_allclose(found, (tau, (1 - theta) / sigma), rtol=1e-12)


def test_a_failed_search_mends_the_matrix_before_it_is_given_up():
    objective, stage = bowl(3, 5, 10.0), SSBFGS(log_loss=False)
    evaluate = Evaluation(objective, lambda x: x)
    step = jax.jit(lambda state: stage.step(evaluate, state, None)[0])
    state = stage.init(jnp.zeros(5), {"value": jnp.zeros(())})
    for _ in range(6):
        state = step(state)
    memory = state.memory
    broken = memory.H - 2 * jnp.max(jnp.linalg.eigvalsh(memory.H)) * jnp.eye(5)
    memory = eqx.tree_at(lambda m: (m.H, m.direction), memory, (broken, -broken @ memory.gradient))
    mended = step(state.with_(memory=memory))
    assert mended.memory.resets == 1 and jnp.array_equal(mended.x, state.x)
    assert jnp.all(jnp.linalg.eigvalsh(mended.memory.H) > 0)
    reset = step(mended.with_(memory=eqx.tree_at(
        lambda m: m.direction, mended.memory, -mended.memory.direction
    )))  # fmt: skip
    H = reset.memory.H
    assert reset.memory.fresh
    np.testing.assert_allclose(H, H[0, 0] * jnp.eye(5))
    for _ in range(30):
        reset = step(reset)
    np.testing.assert_allclose(reset.x, objective.centre, atol=1e-6)


def test_ends_in_words_at_rounding():
    objective = Quadratic(jnp.eye(3), jnp.ones(3), offset=1.0)
    found = fit(objective, jnp.zeros(3), (SSBFGS(steps=500),), key=KEY)
    assert "no further decrease" in found.status or "converged" in found.status
    np.testing.assert_allclose(found.params, 1, atol=1e-7)
    assert found.history["step"][-1] < 500


class Cliff(Quadratic):
    """Not a number beyond the sphere |x| = 1.5, where the first steps lead."""

    def loss(self, params, batch):
        value, squares = super().loss(params, batch)
        return jnp.where(params @ params > 1.5**2, jnp.nan, value), squares


@pytest.mark.parametrize(
    "stage",
    [
        SSBFGS(steps=80, log_loss=False, resample_every=None),
        SSBroyden(steps=80, log_loss=False, resample_every=None),
        LBFGS(steps=80, resample_every=None),
    ],
    ids=lambda stage: stage.name,
)
def test_non_finite_trial_steps_are_rejected(stage):
    objective = Cliff(jnp.diag(jnp.array([1.0, 1e-3])), jnp.array([1.0, 1.0]))
    found = fit(objective, jnp.array([0.0, -1.0]), (stage,), key=KEY)
    np.testing.assert_allclose(found.params, 1, atol=1e-5)


class Anew(Quadratic):
    """Each batch has its own minimum, of value 1."""

    def sample(self, key, params, step, previous=None):
        return jax.random.normal(key, (3,))

    def loss(self, params, batch):
        value = jnp.sum((params - batch) ** 2) + 1.0
        return value, {"value": value}


def test_a_stalled_stage_takes_a_new_batch_before_it_ends():
    stage = SSBFGS(steps=60, log_loss=False, resample_every=1000)
    objective = Anew(jnp.eye(3), jnp.zeros(3))
    found = fit(objective, jnp.zeros(3), (stage,), key=KEY, record_every=1)
    first = objective.sample(jax.random.fold_in(jax.random.fold_in(KEY, 0), 0), None, 0)
    assert not np.allclose(found.state.x, first)
    assert found.history["step"][-1] > 3


def test_messages():
    with pytest.raises(MethodError, match=r"9000 x 9000 .* Use LBFGS or Adam"):
        fit(Rosenbrock(), jnp.zeros(9000), (SSBFGS(),), key=KEY)
    with pytest.raises(OptionError, match=r"Choose 0 < c1 < c2 < 1"):
        SSBFGS(c1=0.9, c2=0.1)
    with pytest.raises(OptionError, match=r"SSBFGS\(steps=-1\).*positive whole number"):
        SSBFGS(steps=-1)
    with pytest.raises(OptionError, match=r"Adam\(learning_rate=0\) must be positive"):
        Adam(learning_rate=0)


@pytest.mark.accuracy
def test_the_factored_form_takes_the_steps_of_ssbfgs():
    """Until rounding, which the powers of the condition number amplify, tells them apart."""
    objective = bowl(4, 8, 50.0)
    for options in ({"log_loss": False}, {}):
        plain, factored = (
            fit(objective, jnp.zeros(8), (kind(steps=12, resample_every=None, **options),), key=KEY)
            for kind in (SSBFGS, FactoredSSBFGS)
        )
        H, root = plain.state.memory.H, factored.state.memory.H
        np.testing.assert_allclose(factored.state.x, plain.state.x, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(root.J @ root.J.T, H, atol=1e-6 * float(jnp.abs(H).max()))
        g = factored.state.memory.gradient
        np.testing.assert_allclose(g @ root.J, root.slopes, atol=1e-9 * float(jnp.abs(g).max()))


def test_the_factored_form_refuses_large_networks():
    with pytest.raises(MethodError, match="FactoredSSBFGS keeps a dense matrix of 9000 x 9000"):
        fit(Rosenbrock(), jnp.zeros(9000), (FactoredSSBFGS(),), key=KEY)
