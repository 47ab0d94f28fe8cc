"""Rows from the compiled residual: exact against hand-made operators and against autodiff."""

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from pinnkit.compile import compile_problem
from pinnkit.derivatives import basis as along_basis
from pinnkit.derivatives.autodiff import term_values
from pinnkit.experts.bases import RandomSine
from pinnkit.geometry import Box
from pinnkit.spec.condition import Dirichlet, Equation, Initial
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import coordinates, field, parameter

pytestmark = pytest.mark.usefixtures("x64")

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def burgers():
    t, x = coordinates("t x")
    u, nu = field("u", t, x), parameter("nu", 0.1)
    return compile_problem(
        Problem(
            name="burgers",
            domain=Box(t=(0, 1), x=(-1, 1), time="t"),
            conditions=[
                Equation(sp.Eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2)), name="momentum"),
                Initial(u, -sp.sin(sp.pi * x)),
                Dirichlet(u, 0, on=("x-", "x+")),
            ],
        )
    )


@pytest.fixture
def setting():
    basis = RandomSine.draw(12, (2.0, 3.0), 1)
    return basis, RNG.uniform(-1, 1, (9, 2)), np.array([0.25, 0.5]), RNG.normal(size=(1, 12))


def test_term_values_agree_with_autodiff_of_the_same_function(burgers, setting):
    basis, xi, half, coefficients = setting
    tables = along_basis.tabulate(basis, xi, burgers.plan.terms)
    found = along_basis.term_values(tables, half, coefficients, ("u",), burgers.plan.terms)

    def function(z):
        features = basis.features((z / jnp.asarray(half))[None, :], (0, 0))
        return features @ jnp.asarray(coefficients[0])

    for p in range(3):
        exact = term_values(function, ("u",), burgers.plan, jnp.asarray(xi[p] * half))
        for term, value in exact.items():
            assert found[term][p] == pytest.approx(float(value), rel=1e-10, abs=1e-12)


def test_rows_are_the_linearised_operator(burgers, setting):
    """Row times d equals the directional derivative of the residual along d."""
    basis, xi, half, coefficients = setting
    (residual,) = burgers.equations
    tables = along_basis.tabulate(basis, xi, residual.plan.terms)
    z = {"t": xi[:, 0], "x": xi[:, 1]}
    direction = RNG.normal(size=(1, 12))

    def residual_at(c):
        values = along_basis.term_values(tables, half, c, ("u",), residual.plan.terms)
        return np.asarray(residual.fn(values, z, burgers.parameters))

    values = along_basis.term_values(tables, half, coefficients, ("u",), residual.plan.terms)
    value, slopes = along_basis.linearise(residual)(values, z, burgers.parameters)
    np.testing.assert_allclose(value, residual_at(coefficients), rtol=1e-12)
    matrix = along_basis.rows(tables, half, slopes, ("u",))
    step = 1e-5 * direction
    central = (residual_at(coefficients + step) - residual_at(coefficients - step)) / 2e-5
    np.testing.assert_allclose(matrix @ direction[0], central, rtol=1e-6, atol=1e-6)


def test_coefficients_of_the_linearised_equation_are_those_of_the_formula(burgers):
    (residual,) = burgers.equations
    names = {str(t): t for t in residual.plan.terms}
    values = {t: RNG.normal(size=5) for t in residual.plan.terms}
    z = {"t": np.zeros(5), "x": np.zeros(5)}
    _, slopes = along_basis.linearise(residual)(values, z, {"nu": 0.3})
    np.testing.assert_allclose(slopes[names["u_t"]], 1.0)
    np.testing.assert_allclose(slopes[names["u_x"]], values[names["u"]])
    np.testing.assert_allclose(slopes[names["u"]], values[names["u_x"]])
    np.testing.assert_allclose(slopes[names["u_xx"]], -0.3)


def test_each_derivative_is_tabulated_once(burgers):
    asked = []

    class Counting:
        def features(self, xi, orders):
            asked.append(orders)
            return np.zeros((len(xi), 2))

    along_basis.tabulate(Counting(), np.zeros((3, 2)), [*burgers.plan.terms] * 2)
    assert len(asked) == len(set(asked)) == 4


@pytest.mark.parametrize("count", [1, 255, 256, 257])
def test_padding_changes_nothing(burgers, count):
    (residual,) = burgers.equations
    values = {t: np.linspace(-1, 1, count) for t in residual.plan.terms}
    z = {"t": np.zeros(count), "x": np.zeros(count)}
    value, slopes = along_basis.linearise(residual)(values, z, burgers.parameters)
    assert value.shape == (count,)
    np.testing.assert_allclose(value, residual.fn(values, z, burgers.parameters), atol=1e-15)
    assert all(s.shape == (count,) for s in slopes.values())
