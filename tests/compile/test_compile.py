"""The compiled residual is the declared one; traits and digest follow the mathematics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Initial,
    Neumann,
    Periodic,
    Problem,
    coordinates,
    div,
    eigenvalue,
    field,
    grad,
    input_function,
    manufacture,
    parameter,
)
from pinnkit.compile import DerivativePlan, Term, compile_problem
from pinnkit.derivatives.autodiff import term_values

pytestmark = pytest.mark.usefixtures("x64")

t, x, y = coordinates("t x y")
SPACE_TIME = Box(t=(0, 1), x=(-1, 1), time="t")
u = field("u", t, x)
nu = parameter("nu", 0.1)


def burgers(**options):
    return Problem(
        "burgers",
        SPACE_TIME,
        [
            Equation(sp.Eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2)), name="momentum"),
            Initial(u, -sp.sin(sp.pi * x)),
            Dirichlet(u, 0, on=("x-", "x+")),
        ],
        **options,
    )


def names(plan):
    return {str(term) for term in plan.terms}


def test_conservative_form_needs_the_same_terms():
    conservative = Problem(
        "burgers",
        SPACE_TIME,
        [
            Equation(sp.Eq(u.diff(t) + sp.Derivative(u**2 / 2, x), nu * u.diff(x, 2))),
            Initial(u, -sp.sin(sp.pi * x)),
            Dirichlet(u, 0, on=("x-", "x+")),
        ],
    )
    (equation,) = compile_problem(conservative).equations
    assert names(equation.plan) == {"u", "u_t", "u_x", "u_xx"}


def test_traits():
    traits = compile_problem(burgers()).traits
    assert not traits.linear and traits.constant_coefficients and traits.autonomous
    assert traits.order == {("u", "t"): 1, ("u", "x"): 2}
    assert not traits.steady and not traits.eigen and not traits.family

    v, a = field("v", x, y), input_function("a", x, y)
    darcy = Problem(
        "darcy",
        Box(x=(0, 1), y=(0, 1)),
        [Equation(-div([a * d for d in grad(v)], x, y) - 1), Dirichlet(v, 0)],
    )
    system = compile_problem(darcy)
    assert system.traits.linear and system.traits.family and system.traits.steady
    assert not system.traits.constant_coefficients
    assert names(system.equations[0].input_plan) == {"a", "a_x", "a_y"}


def test_breakpoints_of_a_well():
    psi, energy = field("psi", x), eigenvalue("E")
    potential = sp.Piecewise((0, sp.Abs(x) < sp.Rational(1, 2)), (50, True))
    well = Problem(
        "well",
        Box(x=(-1, 1)),
        [
            Equation(sp.Eq(-psi.diff(x, 2) + potential * psi, energy * psi)),
            Dirichlet(psi, 0, on=("x-", "x+")),
        ],
    )
    system = compile_problem(well)
    assert system.traits.eigen and system.eigenvalues == ("E",)
    assert system.traits.breakpoints == {"x": (-0.5, 0.5)}


def test_evolution_form_splits_off_the_linear_part():
    (rate,) = compile_problem(burgers()).evolution
    assert {str(k): v for k, v in rate.linear.items()} == {"u_xx": pytest.approx(0.1)}
    assert names(rate.remainder_plan) == {"u", "u_x"}
    values = {
        term: jnp.asarray(v) for term, v in zip(rate.plan.terms, (2.0, 3.0, 5.0), strict=True)
    }
    z = {"t": jnp.asarray(0.0), "x": jnp.asarray(0.0)}
    assert rate.fn(values, z, {"nu": 0.1}) == pytest.approx(0.1 * 5 - 2 * 3)
    assert rate.remainder(values, z, {"nu": 0.1}) == pytest.approx(-6)


def test_constraints_have_no_evolution_form():
    v = field("v", t, x)
    system = compile_problem(
        Problem(
            "dae",
            SPACE_TIME,
            [Equation(u.diff(t) - v.diff(x)), Equation(u.diff(x)), Initial(u, 0), Periodic("x")],
        )
    )
    assert system.evolution is None


def test_manufactured_residual_is_zero_to_round_off():
    exact = sp.exp(-t) * sp.sin(sp.pi * x) + t * x**3
    system = compile_problem(manufacture(burgers(), {u: exact}))

    def f(z):
        return jnp.stack([jnp.exp(-z[0]) * jnp.sin(jnp.pi * z[1]) + z[0] * z[1] ** 3])

    for residual in system.residuals:
        for region in residual.regions:
            points = jnp.asarray(system.domain.region(region).sample(32, 0))
            values = jax.vmap(lambda p, r=residual: term_values(f, system.fields, r.plan, p))(
                points
            )
            r = residual.fn(values, system.coordinates(points), system.parameters)
            assert r.shape == (32,)
            np.testing.assert_allclose(r, 0, atol=1e-13)


def test_autodiff_agrees_with_symbolic_derivatives():
    expression = sp.exp(x * t) * sp.sin(3 * x + y) + y**4 * x
    f = sp.lambdify([t, x, y], expression, "jax")
    orders = [(0, 0, 0), (1, 0, 0), (0, 2, 0), (0, 4, 0), (1, 2, 1), (0, 1, 3), (2, 0, 0)]
    plan = DerivativePlan.of(Term("u", o, ("t", "x", "y")) for o in orders)
    point = jnp.array([0.3, -0.7, 1.1])
    values = term_values(lambda z: jnp.stack([f(*z)]), ("u",), plan, point)
    for term in plan.terms:
        derivative = expression
        for axis, n in zip((t, x, y), term.orders, strict=True):
            derivative = derivative.diff(axis, n) if n else derivative
        exact = float(derivative.subs({t: 0.3, x: -0.7, y: 1.1}))
        assert values[term] == pytest.approx(exact, rel=1e-12)


def test_digest_follows_the_physics_only():
    digest = compile_problem(burgers()).digest
    assert digest == compile_problem(burgers()).digest
    assert digest == compile_problem(burgers(doc="other words")).digest
    assert digest != compile_problem(burgers(parameters={"nu": 0.2})).digest
    forced = manufacture(burgers(), {u: sp.sin(sp.pi * x)})
    assert digest != compile_problem(forced).digest


def test_neumann_uses_the_outward_normal():
    v = field("v", x)
    system = compile_problem(
        Problem(
            "n",
            Box(x=(0, 1)),
            [Equation(v.diff(x, 2)), Dirichlet(v, 0, on="x-"), Neumann(v, 2, on="x+")],
        )
    )
    neumann = system.conditions[1]
    (term,) = neumann.plan.terms
    z = {"x": jnp.ones(3), "n_x": -jnp.ones(3)}
    r = neumann.fn({term: jnp.full(3, 5.0)}, z, {})
    np.testing.assert_allclose(r, -5 - 2)


def test_equal_orders_on_other_axes_are_another_term():
    first = Term("u", (0, 1), ("t", "x"))
    assert first != Term("u", (0, 1), ("x", "y"))
    v = field("u", x, y)
    compile_problem(burgers())
    system = compile_problem(
        Problem(
            "p", Box(x=(0, 1), y=(0, 1)), [Equation(v.diff(x, 2) + v.diff(y, 2)), Dirichlet(v, 0)]
        )
    )
    assert all(t.axes == ("x", "y") for r in system.residuals for t in r.plan.terms)
