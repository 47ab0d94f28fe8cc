"""Hard conditions hold to 1e-12 for random weights; the account says what is hard and why not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Initial,
    Neumann,
    Periodic,
    Problem,
    Robin,
    coordinates,
    field,
    laplacian,
    manufacture,
    precision,
)
from pinnkit.ansatz import build_ansatz, enforce
from pinnkit.compile import compile_problem
from pinnkit.derivatives.autodiff import term_values
from pinnkit.nn import MLP, Mixture

pytestmark = pytest.mark.usefixtures("x64")
t, x, y = coordinates("t x y")
u, v = field("u", t, x), field("v", x, y)
w = field("w", x, y)


def space_time(*conditions, exact):
    return manufacture(Problem("p", Box(t=(0.5, 2), x=(-1, 3), time="t"), conditions), {u: exact})


def square(*conditions, exact):
    return manufacture(Problem("p", Box(x=(0, 1), y=(3, 4.5)), conditions), exact)


HEAT = Equation(u.diff(t) - u.diff(x, 2))
WAVE = Equation(u.diff(t, 2) - u.diff(x, 2))
POISSON = Equation(laplacian(v))
SMOOTH = sp.exp(t) * sp.sin(x) + x**3
PROBLEMS = {
    "heat, Dirichlet": space_time(HEAT, Initial(u), Dirichlet(u), exact=SMOOTH),
    "heat, Neumann": space_time(HEAT, Initial(u), Neumann(u), exact=SMOOTH),
    "wave, mixed": space_time(
        WAVE,
        Initial(u),
        Initial(u.diff(t)),
        Dirichlet(u, on="x-"),
        Neumann(u, on="x+"),
        exact=SMOOTH,
    ),
    "wave, mixed the other way": space_time(
        WAVE,
        Initial(u),
        Initial(u.diff(t)),
        Neumann(u, on="x-"),
        Dirichlet(u, on="x+"),
        exact=SMOOTH,
    ),
    "beam, clamped": space_time(
        Equation(u.diff(t) + u.diff(x, 4)), Initial(u), Dirichlet(u), Neumann(u), exact=SMOOTH
    ),
    "Poisson, Dirichlet": square(POISSON, Dirichlet(v), exact={v: sp.exp(x * y)}),
    "Poisson, mixed": square(
        POISSON,
        Neumann(v, on=("x-", "x+", "y-")),
        Dirichlet(v, on="y+"),
        exact={v: sp.exp(x * y)},
    ),
    "two fields": square(
        POISSON,
        Equation(laplacian(w) + v),
        Dirichlet(v),
        Dirichlet(w),
        exact={v: x**2 * y, w: sp.cos(x + y)},
    ),
}


PLAIN = MLP(width=16, depth=2)


def residual_on_faces(problem, key, points_per_face=40, architecture=PLAIN):
    """{(condition, face): max |residual|} of an untrained ansatz."""
    system = compile_problem(problem)
    ansatz = build_ansatz(enforce(system), architecture, key=key)
    found = {}
    for residual in system.conditions:
        for name in residual.regions:
            for part in system.domain.region(name).parts:
                points = part.sample(points_per_face, 1)
                z = system.coordinates(points)
                if system.time not in part.fixed:
                    normals = part.normals(points)
                    z |= {f"n_{a}": normals[:, i] for i, a in enumerate(system.domain.space_axes)}
                values = jax.vmap(
                    lambda p, r=residual: term_values(ansatz, system.fields, r.plan, p)
                )(jnp.asarray(points))
                r = residual.fn(values, z, system.parameters)
                found[residual.name, part.name] = float(jnp.abs(r).max())
    return found


@pytest.mark.parametrize("name", PROBLEMS)
def test_conditions_are_exact_for_random_weights(name):
    problem = PROBLEMS[name]
    assert not enforce(compile_problem(problem)).soft
    scale = 50.0 if "beam" in name or "Poisson" in name else 1.0
    for condition, error in residual_on_faces(problem, jax.random.key(3)).items():
        assert error < 1e-12 * scale, condition


@pytest.mark.parametrize("name", ["wave, mixed the other way", "Poisson, mixed", "two fields"])
def test_conditions_are_exact_for_mixtures(name):
    mixture = Mixture(MLP(6, 1), 3, overlap=0.7, levels=2)
    errors = residual_on_faces(PROBLEMS[name], jax.random.key(3), architecture=mixture)
    assert max(errors.values()) < (1e-12 if "wave" in name else 5e-11)


def test_data_whose_lift_would_be_outsized_stay_soft():
    """Where a wave leaves, its slope takes a lift far larger than the wave; values stay exact."""
    leaving, passing = 3 / sp.cosh(x - 9 * (t - 1)) ** 2, sp.sin(x / 4 + t)

    def account(solution):
        conditions = [
            Equation(u.diff(t) + u.diff(x, 3)),
            Initial(u, solution.subs(t, 0)),
            Dirichlet(u, solution),
            Neumann(u, solution.diff(x), on="x+", name="slope"),
        ]
        box = Box(t=(0, 6), x=(0, 40), time="t")
        return enforce(compile_problem(Problem("p", box, conditions)))

    found = account(leaving)
    assert [residual.name for residual in found.soft] == ["slope"]
    assert "far larger" in found.reasons["slope"]
    assert {f.region for f in found.hard} == {"initial", "x-", "x+"}
    assert not account(passing).soft


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), low=st.floats(-3, 2), width=st.floats(0.1, 20))
def test_dirichlet_is_exact_on_any_interval(seed, low, width):
    z = coordinates("z")
    f = field("f", z)
    problem = manufacture(
        Problem("p", Box(z=(low, low + width)), [Equation(f.diff(z, 2)), Dirichlet(f)]),
        {f: sp.cos(z)},
    )
    with precision.scope("float64"):
        errors = residual_on_faces(problem, jax.random.key(seed), 1)
    assert max(errors.values()) < 1e-12


@pytest.mark.parametrize("architecture", [PLAIN, Mixture(MLP(6, 1), (2, 4))], ids=repr)
def test_periodic_ansatz_repeats_with_all_derivatives(architecture):
    problem = Problem(
        "p",
        Box(t=(0, 1), x=(-1, 3), time="t"),
        [HEAT, Initial(u, sp.sin(sp.pi * x)), Periodic("x")],
    )
    system = compile_problem(problem)
    ansatz = build_ansatz(enforce(system), architecture, harmonics=2, key=jax.random.key(0))
    plan = system.equations[0].plan
    terms = jax.jit(lambda point: term_values(ansatz, system.fields, plan, point))
    for time in (0.2, 0.9):
        left, right = (terms(jnp.array([time, end])) for end in (-1.0, 3.0))
        for term in plan.terms:
            np.testing.assert_allclose(left[term], right[term], atol=1e-11)


def test_harmonics_have_equal_curvature():
    """Second derivatives of all pairs (cos, sin)(w k s)/k^2 lie on one circle, of radius w^2."""
    from pinnkit.ansatz.embedding import AxisFeatures

    features = AxisFeatures(-1.0, 3.0, "periodic", 4)
    curvature = jax.jacfwd(jax.jacfwd(features))
    pairs = jax.vmap(curvature)(jnp.linspace(-1, 3, 17)).reshape(17, 4, 2)
    radii = np.linalg.norm(np.asarray(pairs), axis=-1)
    np.testing.assert_allclose(radii, (2 * np.pi / 4) ** 2, rtol=1e-5)


def test_flat_features_keep_generality():
    """With g'(0) = 0 but g'''(0) != 0 the features must represent s^3, not even functions only."""
    from pinnkit.ansatz.embedding import AxisFeatures

    s = jnp.linspace(0, 1, 50)
    for ends in ("flat-low", "flat-high", "flat-both"):
        features = jax.vmap(AxisFeatures(0.0, 1.0, ends))(s)
        products = jnp.stack(
            [features[:, 0] ** i * features[:, 1] ** j for i in range(5) for j in range(5)], axis=-1
        )
        target = (1 - s) ** 3 if ends == "flat-high" else s**3 * (1 - s) ** 2
        solution = np.linalg.lstsq(np.asarray(products), np.asarray(target), rcond=None)[0]
        np.testing.assert_allclose(products @ solution, target, atol=2e-4)


def test_account_gives_reasons():
    robin = space_time(
        HEAT, Initial(u), Robin(u, 1, 1, on="x-"), Dirichlet(u, on="x+"), exact=SMOOTH
    )
    account = enforce(compile_problem(robin))
    assert [r.regions for r in account.soft] == [("x-",)]
    assert "couples several terms" in account.describe()

    hinged = space_time(
        Equation(u.diff(t) + u.diff(x, 4)),
        Initial(u),
        Dirichlet(u),
        Dirichlet(u.diff(x, 2)),
        exact=SMOOTH,
    )
    assert "lower derivatives are free" in enforce(compile_problem(hinged)).describe()

    lid = Problem(
        "lid",
        Box(x=(0, 1), y=(0, 1)),
        [POISSON, Dirichlet(v, 1, on="y+"), Dirichlet(v, 0, on=("x-", "x+", "y-"), priority=1)],
    )
    account = enforce(compile_problem(lid))
    assert [(r.name, r.regions) for r in account.soft] == [("v y+", ("y+",))]
    assert "disagrees" in account.describe()


def periodic_heat(initial):
    equation = Equation(u.diff(t) - u.diff(x, 2))
    conditions = (equation, Initial(u, initial), Periodic("x"))
    return compile_problem(Problem("p", Box(t=(0, 1), x=(-1, 1), time="t"), conditions))


@pytest.mark.parametrize(
    ("initial", "order"), [(x**2 * sp.cos(sp.pi * x), 1), (x, 0), (sp.sin(sp.pi * x / 2), 0)]
)
def test_initial_values_that_jump_where_an_axis_closes_are_soft(initial, order):
    """The lift would keep the jump for all times; equations of second order mend it at once."""
    account = enforce(periodic_heat(initial))
    assert not account.hard
    (residual,) = account.soft
    assert account.reasons[residual.name] == (
        f"its derivative of order {order} jumps where x closes"
    )


@pytest.mark.parametrize("initial", [sp.cos(sp.pi * x), sp.exp(sp.sin(sp.pi * x)), sp.S.One])
def test_periodic_initial_values_are_exact(initial):
    account = enforce(periodic_heat(initial))
    assert len(account.hard) == 1 and not account.soft


def test_data_on_many_faces_are_soft():
    """A lift from 2 d faces is a sum of 3^d - 1 copies of the data; without data there is none."""
    axes = coordinates("a b c d e")
    f = field("f", *axes)
    box = Box(**{a.name: (0, 1) for a in axes})
    given = {value: (Equation(laplacian(f)), Dirichlet(f, value)) for value in (sum(axes), 0)}
    soft, hard = (enforce(compile_problem(Problem("p", box, c))) for c in given.values())
    assert not soft.hard and len(soft.soft) == 1
    assert "too long" in next(iter(soft.reasons.values()))
    assert len(hard.hard) == 10 and not hard.soft
