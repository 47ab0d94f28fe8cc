"""The residual objective: exact solutions, scaling, sampling, integrals, observations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sympy import Eq, exp, pi, sin

from pinnkit.compile import compile_problem
from pinnkit.geometry import Box
from pinnkit.nn import MLP
from pinnkit.nn.initial import built
from pinnkit.objective import Causal, TimeSlabs, Trial, residual_adaptive, residual_objective
from pinnkit.objective.sampling import RAD
from pinnkit.objective.scaling import residual_scale
from pinnkit.objective.weighting import Fixed
from pinnkit.spec.condition import Dirichlet, Equation, Initial, Integral, Neumann, Observed
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import coordinates, field

pytestmark = pytest.mark.usefixtures("x64")
t, x = coordinates("t x")
u = field("u", t, x)
KEY = jax.random.key(0)


class Decay(eqx.Module):
    """amplitude * exp(-pi^2 t) sin(pi x): solves the heat equation."""

    amplitude: jax.Array

    def __call__(self, z):
        return (self.amplitude * jnp.exp(-(jnp.pi**2) * z[0]) * jnp.sin(jnp.pi * z[1]))[None]


def heat(factor=1, extra=()):
    return compile_problem(
        Problem(
            name="heat",
            domain=Box(t=(0, 0.5), x=(0, 1), time="t"),
            conditions=[
                Equation(Eq(factor * u.diff(t), factor * u.diff(x, 2)), name="heat"),
                Initial(u, sin(pi * x), name="start"),
                Dirichlet(u, 0, on="x-", name="left"),
                Neumann(u, -pi * exp(-(pi**2) * t), on="x+", name="right"),
                *extra,
            ],
        )
    )


def objective(system, **options):
    return residual_objective(system, system.conditions, points=200, **options)


def squares(system, amplitude=1.0, **options):
    loss = objective(system, **options)
    trial = Trial(Decay(jnp.asarray(amplitude)), {})
    return {k: float(v) for k, v in drawn_and_squared(loss, trial).items()}


@eqx.filter_jit
def drawn(loss, trial, key=KEY):
    return loss.sample(key, trial, 0)


@eqx.filter_jit
def drawn_and_squared(loss, trial):
    return loss.loss(trial, loss.sample(KEY, trial, 0))[1]


def test_the_exact_solution_has_no_residual():
    total = Integral(u, 2 / pi * exp(-(pi**2) * t), name="heat content")
    at = {"t": np.array([0.1, 0.2]), "x": np.array([0.3, 0.7])}
    values = np.exp(-(np.pi**2) * at["t"]) * np.sin(np.pi * at["x"])
    found = squares(heat(extra=(total, Observed(u, at=at, values=values, name="probe"))))
    assert set(found) == {"heat", "start", "left", "right", "heat content", "probe"}
    assert max(found.values()) < 1e-22


def test_each_wrong_condition_shows_by_its_own_amount():
    total = Integral(u, 2 / pi * exp(-(pi**2) * t), name="content")
    found = squares(heat(extra=(total,)), amplitude=1.5)
    assert found["heat"] < 1e-22 and found["left"] < 1e-22
    assert min(found["start"], found["right"], found["content"]) > 1e-4
    np.testing.assert_allclose(found["start"], 0.5**2 * 0.5 / 1.5, rtol=0.2)


def test_steady_integral_with_a_measure_other_than_one():
    v = field("v", x)
    problem = Problem(
        name="mean",
        domain=Box(x=(0, 4)),
        conditions=[
            Equation(v.diff(x, 2), name="line"),
            Dirichlet(v, 0, on="x-", name="left"),
            Dirichlet(v, 4, on="x+", name="right"),
            Integral(v, 8, name="area"),
        ],
    )
    system = compile_problem(problem)
    loss = residual_objective(system, system.conditions, points=100)

    class Line(eqx.Module):
        def __call__(self, z):
            return z

    trial = Trial(Line(), {})
    assert drawn_and_squared(loss, trial)["area"] < 1e-24


def test_factors_in_an_equation_do_not_matter():
    bent = lambda k: squares(heat(k, extra=(Equation(u.diff(x), name="bend"),)))  # noqa: E731
    np.testing.assert_allclose(bent(1)["heat"], bent(1000)["heat"], atol=1e-22)
    scales = [
        residual_scale(s, s.equations[0], np.random.default_rng(1).random((500, 2)))
        for s in (heat(1), heat(1000))
    ]
    np.testing.assert_allclose(scales[1] / scales[0], 1000, rtol=1e-12)


def test_batches_have_fixed_shapes_and_depend_on_the_key_alone():
    loss, trial = objective(heat(), sampling=RAD(share=0.7)), Trial(Decay(jnp.asarray(1.2)), {})
    a, b, c = (drawn(loss, trial, jax.random.key(k)) for k in (1, 1, 2))
    assert all(np.array_equal(p, q) for p, q in zip(*map(jax.tree.leaves, (a, b)), strict=True))
    assert not np.array_equal(a.places[0].points, c.places[0].points)
    assert a.places[0].points.shape == (200, 2)
    faces = {tuple(np.unique(p.points[:, 1])) for p in a.places[1:] if p.normals is not None}
    assert (0.0,) in faces and (1.0,) in faces


def waves(z):
    return jnp.cos(3 * z[1:] + z[0])


def test_causal_weights_frozen_or_live_agree_at_the_same_parameters():
    loss = objective(heat(), slabs=TimeSlabs(0.0, 0.5, Causal((2.0,), 8)))
    trial = Trial(waves, {})

    @jax.jit
    def values(step):
        batch = loss.sample(KEY, trial, 0)
        both = loss.follow(trial, batch, step), loss.freeze(trial, batch)
        return *(loss.loss(trial, b)[0] for b in both), loss.score(trial, batch)

    live, frozen, plain = values(7)
    np.testing.assert_allclose(live, frozen, rtol=1e-14)
    assert live < plain


def test_soft_initial_conditions_in_the_exponent():
    """w_i = exp(-epsilon (sum_{k<i} L_k + w_ic L_ic)), in NumPy from the points and residuals."""
    trial, system = Trial(waves, {}), heat()
    rule = Causal((0.3,), 8, initial=True)
    loss = objective(system, slabs=TimeSlabs(0.0, 0.5, rule), weighting=Fixed(7.0))
    (part,) = loss.equations

    @jax.jit
    def measured():
        batch = loss.freeze(trial, loss.sample(KEY, trial, 0))
        values = part.values(waves, system.parameters, batch.places[0])
        return batch, values["heat"], loss.means(trial, batch)["start"]

    batch, residual, start = measured()
    places, square = batch.places[0], np.asarray(residual) ** 2
    slab = (np.asarray(places.points)[:, 0] / 0.5 * 8).astype(int)
    means = [square[slab == i].mean() for i in range(8)]
    expected = np.exp(-0.3 * (np.concatenate([[0], np.cumsum(means)[:-1]]) + 7.0 * start))
    np.testing.assert_allclose(batch.causal.weights, expected, rtol=1e-12)
    assert batch.causal.weights[0] < 1
    notes = loss.notes(batch)
    np.testing.assert_allclose(notes["causal weight"], expected.min(), rtol=1e-12)
    assert notes["epsilon"] == 0.3 and loss.notes(loss.validation(KEY, trial)) == {}


def test_adaptive_draw_has_the_density_and_no_repetition():
    residual = jnp.where(jnp.arange(4000) < 400, 10.0, 0.5)
    draw = jax.jit(lambda k: residual_adaptive(k, residual, 40))
    picks = jax.vmap(draw)(jax.random.split(KEY, 400))
    assert all(len(set(row.tolist())) == 40 for row in np.asarray(picks[:5]))
    mean = float(residual.mean())
    density = np.asarray(residual) / mean + 1
    expected = density[:400].sum() / density.sum()
    np.testing.assert_allclose((picks < 400).mean(), expected, rtol=0.05)


def test_non_finite_residuals_are_drawn_like_the_largest():
    residual = jnp.ones(100).at[3].set(jnp.nan).at[7].set(jnp.inf)
    picks = residual_adaptive(KEY, residual, 50)
    assert len(set(picks.tolist())) == 50


def test_data_that_fit_no_field_are_only_in_the_residual():
    at = {"t": np.array([0.1]), "x": np.array([0.5])}
    found = squares(heat(extra=(Observed(2 * u, at=at, values=np.array([3.0]), name="probe"),)))
    gap = 2 * np.exp(-(np.pi**2) * 0.1) - 3.0
    system = heat(extra=(Observed(2 * u, at=at, values=np.array([3.0]), name="probe"),))
    probe = next(r for r in system.conditions if r.name == "probe")
    scale = residual_scale(system, probe, probe.points)
    np.testing.assert_allclose(found["probe"], (gap / scale) ** 2, rtol=1e-12)


def test_conditions_that_share_a_pass_keep_their_own_residuals_and_gradient():
    at = {"t": np.array([0.1, 0.2]), "x": np.array([0.3, 0.7])}
    system = heat(extra=(Observed(u, at=at, values=np.array([0.5, -0.2]), name="probe"),))
    loss = objective(system, weighting=Fixed(conditions=1.0))
    trial = Trial(built(MLP(6, 2), 2, 1, key=KEY), {})
    batch = drawn(loss, trial)
    alike = [part for part in loss.conditions if part.shareable == ((0, 0),)]
    assert len(alike) == 3 and len(loss.conditions) == 4

    def apart(trial):
        parts = zip(loss.conditions, batch.places[1:], strict=True)
        values = [part.values(trial.function, {}, places) for part, places in parts]
        return {name: jnp.mean(r**2) for found in values for name, r in found.items()}

    def together(trial):
        whole, parts = loss.loss(trial, batch)
        return whole - parts["heat"], parts

    def summed(trial):
        parts = apart(trial)
        return sum(parts.values()), parts

    slopes = (eqx.filter_value_and_grad(f, has_aux=True) for f in (together, summed))
    results = (eqx.filter_jit(f)(trial) for f in slopes)
    ((_, found), total), ((_, expected), others) = results
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-13)
    for a, b in zip(*map(jax.tree.leaves, (total, others)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
