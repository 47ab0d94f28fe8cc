"""Pseudo-time: its formulas, what it adds and what it leaves alone, fields and signs."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sympy import Eq

from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError, OptionError
from pinnkit.geometry import Box
from pinnkit.objective import PseudoTime, Trial, residual_objective
from pinnkit.objective.pairing import pairs, signs
from pinnkit.objective.pseudo_time import Group, Stepping
from pinnkit.objective.sampling import Even
from pinnkit.spec.calculus import div, laplacian
from pinnkit.spec.condition import Equation, Initial, Integral, Periodic
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import coordinates, field
from pinnkit.training import SSBFGS, Adam, fit
from pinnkit.training.program import Program

pytestmark = pytest.mark.usefixtures("x64")
t, x, y = coordinates("t x y")
q = field("q", t)
KEY = jax.random.key(0)
QUICK = {"xla_backend_optimization_level": 0}


def test_weights_are_bounded_ratios_and_their_moving_average():
    """Three measurements of two groups with made-up residuals and fields, against NumPy."""
    rule = PseudoTime(keep=0.75, smallest=0.5, largest=20.0)
    groups = (Group((1,), (2.0,), (1.0,)), Group((0, 1), (1.0, 4.0), (1.0, -1.0)))
    stepping = Stepping(rule, groups)
    rng = np.random.default_rng(0)
    size = {0: (5, 1), 1: (4, 2)}
    made = [[(rng.normal(size=s) * 9, rng.normal(size=(s[0], 2))) for s in size.values()]
            for _ in range(4)]  # fmt: skip

    @jax.jit
    def step(state, params, now, before):
        return stepping.held(state, params, lambda p: now if p is params else before)

    params, expected = {"a": jnp.ones(())}, None
    state = stepping.begin(params, (5, 4))
    for before, now in zip((made[0], *made), made, strict=False):
        state = step(state, params, now, before)
        if now is made[0]:
            first = stepping.pull(0, state).rates  # nothing is measured yet
            np.testing.assert_array_equal(first, state.factor * jnp.ones((5, 1)))
            continue
        ratios = []
        for group, (r, u), (s, v) in zip(groups, now, before, strict=True):
            for i, (c, scale) in enumerate(zip(group.columns, group.scales, strict=True)):
                change = (u[:, c] - v[:, c]) / scale
                ratios.append(np.linalg.norm(r[:, i] - s[:, i]) / np.linalg.norm(change))
        found = np.clip(ratios, 0.5, 20.0)
        expected = found if expected is None else 0.75 * expected + 0.25 * found
        np.testing.assert_allclose(state.rates, expected, rtol=1e-12)
    np.testing.assert_array_equal(state.anchors[1], made[3][1][1] / np.array([1.0, 4.0]))
    pull = stepping.pull(1, state)
    np.testing.assert_allclose(pull.rates[0], state.factor * expected[1:] * np.array([1, -1]))


def test_weights_fall_by_half_a_cosine_of_the_decades():
    rule = PseudoTime(share=0.2, decades=(2.0, 6.0))
    found = [float(rule.factor(10.0**-d)) for d in (-3, 2, 3, 4, 6, 9)]
    turn = 0.2 + 0.8 * (1 + np.cos(np.pi / 4)) / 2
    np.testing.assert_allclose(found, [1, 1, turn, 0.6, 0.2, 0.2], rtol=1e-12)


class Line(eqx.Module):
    """q = amplitude t."""

    amplitude: jax.Array

    def __call__(self, z):
        return (self.amplitude * z[0])[None]


@pytest.fixture(scope="module")
def stepped():
    """Loss, gradient, squares and residuals after a step from one amplitude to another."""
    from pinnkit import precision

    conditions = [Equation(Eq(q.diff(t), -(q**2)), name="fall"), Initial(q, 0)]
    scaled = Problem("fall", Box(t=(0, 2), time="t"), conditions, scales={q: 3})
    system = compile_problem(scaled)
    rule = PseudoTime(keep=0.0, every=1, share=1.0)
    with precision.scope("float64"):
        objective = residual_objective(system, (), points=16, sampling=Even(), pseudo_time=rule)

        @eqx.filter_jit
        def after(old, new):
            trials = [Trial(Line(a), {}) for a in (old, new)]
            batch = objective.sample(KEY, trials[0], jnp.zeros((), int))
            first = objective.follow(trials[0], batch, jnp.zeros((), int))
            again = objective.sample(jax.random.key(1), trials[1], jnp.ones((), int), first)
            batch = objective.follow(trials[1], again, jnp.ones((), int))
            loss = lambda a: objective.loss(Trial(Line(a), {}), batch)  # noqa: E731
            found, slope = jax.value_and_grad(loss, has_aux=True)(new)
            held = objective.freeze(trials[1], batch)
            rest = objective.loss(trials[1], held)[0], objective.residuals(trials[1], batch)
            return (*found, slope, batch, *rest)

        yield after, objective.scales["fall"]


def test_loss_and_gradient_against_numpy(stepped):
    """No gradient passes through u' and w; mean squares are those of the true residual."""
    after, scale = stepped
    old, new = 0.4, 0.7
    loss, squares, slope, batch, rest, rows = after(jnp.asarray(old), jnp.asarray(new))
    s = np.asarray(batch.places[0].points)[:, 0]
    residual = lambda a: (a + (a * s) ** 2) / scale  # noqa: E731
    moved = (new - old) * s / 3
    w = np.clip(np.linalg.norm(residual(new) - residual(old)) / np.linalg.norm(moved), 0.01, 100)
    np.testing.assert_allclose(batch.steps.rates, [w], rtol=1e-12)
    whole = residual(new) + w * moved
    derivative = (1 + 2 * new * s**2) / scale + w * s / 3
    np.testing.assert_allclose(loss, np.mean(whole**2), rtol=1e-12)
    np.testing.assert_allclose(slope, np.mean(2 * whole * derivative), rtol=1e-12)
    np.testing.assert_allclose(rows @ rows, loss, rtol=1e-12)
    for value in (squares["fall"], rest):  # held, u' is the present u
        np.testing.assert_allclose(value, np.mean(residual(new) ** 2), rtol=1e-12)


def test_at_rest_the_loss_is_that_of_the_residual(stepped):
    after, _ = stepped
    loss, squares, _, batch, *_ = after(jnp.asarray(0.7), jnp.asarray(0.7))
    np.testing.assert_allclose(loss, squares["fall"], rtol=1e-14)
    assert batch.steps.updates == 0 and batch.steps.taken == 2


@pytest.mark.accuracy
def test_fits_resume_exactly(tmp_path):
    """Interrupted in a first-order stage and then in one with a line search."""
    conditions = [Equation(Eq(q.diff(t), -(q**2) - 1), name="fall"), Initial(q, 0)]
    system = compile_problem(Problem("fall", Box(t=(0, 2), time="t"), conditions))
    rule = PseudoTime(every=2)
    objective = residual_objective(system, (), points=16, sampling=Even(), pseudo_time=rule)
    trial = Trial(Line(jnp.asarray(2.0)), {})
    program = Program(objective, trial)
    stages = (Adam(steps=12), SSBFGS(steps=12, resample_every=4, refreeze_every=2))
    shared = dict(key=KEY, record_every=3, program=program)
    whole, path = fit(objective, trial, stages, **shared), tmp_path / "run.h5"
    assert np.all(whole.history["loss"] >= 0)
    for looks in (2, 3):
        left = iter(range(looks))
        stop = lambda left=left: next(left, None) is None  # noqa: E731
        part = fit(objective, trial, stages, checkpoint=path, interrupted=stop, **shared)
        assert not part.finished
    resumed = fit(objective, trial, stages, checkpoint=path, **shared)
    for name in ("loss", "validation", "fall"):
        np.testing.assert_array_equal(whole.history[name], resumed.history[name])
    # the first step has no term yet, later ones have
    squares = whole.history["fall"]
    assert np.any(np.abs(whole.history["loss"] / squares - 1) > 1e-6)


u, v, p = (field(name, x, y) for name in "uvp")


def flow(*turned):
    """Steady flow with some of its equations multiplied by -1."""

    def momentum(w, slope):
        return u * w.diff(x) + v * w.diff(y) + slope - laplacian(w) / 100

    sides = {
        "x": momentum(u, p.diff(x)),
        "y": momentum(v, p.diff(y)),
        "mass": div((u, v), x, y),
    }
    given = [Equation(-e if name in turned else e, name=name) for name, e in sides.items()]
    ends = [Periodic(x), Periodic(y), Integral(p, 0)]
    return compile_problem(Problem("flow", Box(x=(0, 1), y=(0, 1)), [*given, *ends]))


def test_fields_and_signs_follow_from_the_equations_however_they_are_written():
    for turned in ((), ("x",), ("mass", "y")):
        system = flow(*turned)
        paired = pairs(system)
        assert paired == {"x": "u", "y": "v", "mass": "p"}
        assert signs(system, paired) == {n: -1.0 if n in turned else 1.0 for n in paired}
    with pytest.raises(MethodError, match=r"\('mass', 'r'\).*equations are x, y, mass, its fields"):
        pairs(flow(), (("mass", "r"),))
    assert pairs(flow(), (("x", "v"), ("mass", "p"))) == {"x": "v", "y": "u", "mass": "p"}


def test_evolution_comes_before_order():
    a, b = field("a", t, x), field("b", t, x)
    equations = [
        Equation(Eq(2 * b.diff(x, 3), a.diff(t)), name="first"),
        Equation(Eq(b.diff(t, 2), a.diff(x, 4)), name="second"),
    ]
    starts = [Initial(a, 0), Initial(b, 0), Initial(b.diff(t), 0), Periodic(x)]
    box = Box(t=(0, 1), x=(0, 1), time="t")
    system = compile_problem(Problem("two", box, [*equations, *starts]))
    paired = pairs(system)
    assert paired == {"first": "a", "second": "b"}
    assert signs(system, paired) == {"first": -1.0, "second": 1.0}
    less = dataclasses.replace(system, residuals=system.residuals[1:])
    with pytest.raises(MethodError, match=r"1 equations for 2 fields \(b, a\).*PseudoTime"):
        pairs(less)


@pytest.mark.parametrize(
    "options, match",
    [
        (dict(keep=1.0), "0 <= keep < 1"),
        (dict(smallest=2.0, largest=1.0), "0 < smallest <= largest"),
        (dict(share=-0.1), "a share between"),
        (dict(decades=(6.0, 2.0)), "two rising decades"),
        (dict(every=0), "every=1 or more"),
    ],
)
def test_messages(options, match):
    with pytest.raises(OptionError, match=match):
        PseudoTime(**options)
