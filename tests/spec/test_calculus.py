"""Vector identities, and the method of manufactured solutions."""

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
    Robin,
    coordinates,
    curl,
    div,
    field,
    grad,
    laplacian,
    manufacture,
    normal,
    normal_derivative,
    parameter,
)
from pinnkit.errors import SpecError
from pinnkit.spec.manufacture import insert

t, x, y, z = coordinates("t x y z")


def test_vector_identities():
    u = field("u", x, y, z)
    vector = tuple(field(name, x, y, z) for name in ("a", "b", "c"))
    assert sp.expand(div(grad(u)) - laplacian(u)) == 0
    assert all(sp.expand(c.doit()) == 0 for c in curl(grad(u)))
    assert sp.expand(div(curl(vector)).doit()) == 0


def test_time_is_left_out_and_axes_can_be_named():
    u = field("u", t, x, y)
    assert laplacian(u) == u.diff(x, 2) + u.diff(y, 2)
    assert laplacian(u, t) == u.diff(t, 2)
    assert curl((field("a", x, y), field("b", x, y))).has(sp.Derivative)
    assert normal_derivative(u) == normal(x) * u.diff(x) + normal(y) * u.diff(y)
    with pytest.raises(SpecError, match="3 components on 2 axes"):
        div((u, u, u))


def test_manufactured_residuals_vanish_identically():
    u = field("u", t, x)
    nu = parameter("nu", 0.3)
    template = Problem(
        "template",
        Box(t=(0, 1), x=(0, 1), time="t"),
        [
            Equation(sp.Eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2))),
            Initial(u),
            Robin(u, 2, nu, on="x-"),
            Neumann(u, on="x+"),
        ],
    )
    problem = manufacture(template, {u: sp.exp(-t) * sp.cos(x) + x**2})
    for condition in problem.conditions:
        assert sp.simplify(insert(condition.residual, problem.exact)) == 0


def test_manufacture_refuses_what_cannot_hold():
    u = field("u", x)
    template = Problem("periodic", Box(x=(0, 1)), [Equation(u.diff(x, 2) + u), Periodic("x")])
    with pytest.raises(SpecError, match="not periodic along x"):
        manufacture(template, {u: x**2})
    with pytest.raises(SpecError, match="Give one expression per field"):
        manufacture(template, {})


def test_latex_and_summary_show_every_condition():
    u = field("u", x)
    problem = Problem("p", Box(x=(0, 1)), [Equation(u.diff(x, 2), name="poisson"), Dirichlet(u, x)])
    assert r"\frac{d^{2}}{d x^{2}}" in problem.latex()
    assert "poisson" in problem.summary()
    assert str(problem) == problem.summary()
