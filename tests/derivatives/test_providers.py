"""One compiled residual, every provider: it vanishes to round-off at a manufactured solution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from pinnkit import Box, Dirichlet, Equation, Initial, Problem, coordinates, field, manufacture
from pinnkit.compile import compile_problem
from pinnkit.derivatives import ChebyshevAxis, FourierAxis, GridProvider, UniformAxis
from pinnkit.derivatives import basis as along_basis
from pinnkit.derivatives.autodiff import term_values
from pinnkit.experts.bases import tensor_basis

pytestmark = pytest.mark.usefixtures("x64")

t, x = coordinates("t x")
u = field("u", t, x)
POLYNOMIAL = t**2 * x**3 - 2 * t * x + x**2 / 2 + 1
PERIODIC = (1 + t**2) * sp.sin(sp.pi * x) + sp.cos(3 * sp.pi * x)


def residual(exact):
    template = Problem(
        "burgers",
        Box(t=(-1, 1), x=(-1, 1), time="t"),
        [Equation(u.diff(t) + u * u.diff(x) - u.diff(x, 2) / 3), Initial(u), Dirichlet(u)],
    )
    system = compile_problem(manufacture(template, {u: exact}))
    return system, system.equations[0]


def on_grid(exact, *axes):
    system, equation = residual(exact)
    mesh = np.meshgrid(*(axis.nodes for axis in axes), indexing="ij")
    data = np.broadcast_to(sp.lambdify([t, x], exact, "numpy")(*mesh), mesh[0].shape)
    values = GridProvider(axes).terms({"u": jnp.asarray(data)}, equation.plan)
    z = dict(zip(system.axes, map(jnp.asarray, mesh), strict=True))
    return equation.fn(values, z, system.parameters)


GRIDS = {
    "stencil": (POLYNOMIAL, UniformAxis("t", -1, 1, 9, 4), UniformAxis("x", -1, 1, 11, 6)),
    "chebyshev": (POLYNOMIAL, ChebyshevAxis("t", -1, 1, 5), ChebyshevAxis("x", -1, 1, 6)),
    "spectral": (PERIODIC, ChebyshevAxis("t", -1, 1, 5), FourierAxis("x", -1, 1, 16)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_on_grids(name):
    np.testing.assert_allclose(on_grid(*GRIDS[name]), 0, atol=1e-11)


def test_at_points():
    system, equation = residual(POLYNOMIAL)
    f = sp.lambdify([t, x], POLYNOMIAL, "jax")
    points = jnp.asarray(system.domain.interior.sample(64, 0))
    values = jax.vmap(
        lambda p: term_values(lambda z: jnp.stack([f(*z)]), ("u",), equation.plan, p)
    )(points)
    r = equation.fn(values, system.coordinates(points), system.parameters)
    np.testing.assert_allclose(r, 0, atol=1e-13)


def test_in_a_basis():
    system, equation = residual(POLYNOMIAL)
    basis = tensor_basis((3, 3), ("chebyshev", "chebyshev"), full=True)
    points = system.domain.interior.sample(64, 0)
    wanted = sp.lambdify([t, x], POLYNOMIAL, "numpy")(*points.T)
    features = np.asarray(basis.features(points, (0, 0)))
    coefficients = np.linalg.lstsq(features, wanted, rcond=None)[0]
    tables = along_basis.tabulate(basis, points, equation.plan.terms)
    terms = equation.plan.terms
    values = along_basis.term_values(tables, np.ones(2), coefficients[None], ("u",), terms)
    r = equation.fn(values, system.coordinates(points), system.parameters)
    np.testing.assert_allclose(r, 0, atol=1e-11)
