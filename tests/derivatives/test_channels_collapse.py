"""Collapsed operators found in compiled residuals, and sums over chunks of points."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sympy import Eq, sin

import pinnkit
from pinnkit.compile import compile_problem
from pinnkit.derivatives.autodiff import term_values
from pinnkit.derivatives.channels import mapped, scheme, summed
from pinnkit.derivatives.channels.chunks import chunk_size
from pinnkit.geometry import Box
from pinnkit.nn import MLP
from pinnkit.spec.condition import Dirichlet, Equation, Initial
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import coordinates, field, parameter

pytestmark = pytest.mark.usefixtures("x64")
PROBLEMS = Path(__file__).parent.parent.parent / "problems"
t, x, y = coordinates("t x y")
u, v = field("u", t, x, y), field("v", t, x, y)
nu = parameter("nu", 0.3)


def load(name):
    return compile_problem(pinnkit.load(PROBLEMS / f"{name}.py"))


def declared(*equations):
    box = Box(t=(0, 1), x=(0, 1), y=(0, 1), time="t")
    named = [Equation(e, name=f"equation {i}") for i, e in enumerate(equations)]
    fields = {f for e in equations for f in e.atoms(type(u), type(v))}
    named += [Initial(f, 0, name=f"start of {f}") for f in sorted(fields, key=str)]
    named += [Dirichlet(f, 0, name=f"walls of {f}") for f in sorted(fields, key=str)]
    return compile_problem(Problem(name="declared", domain=box, conditions=named))


def ways(system):
    return scheme(system.equations, system.fields)


@pytest.mark.parametrize(
    ("name", "channels", "operator"),
    [
        ("burgers", 3, "-nu*u_xx + u_t"),
        ("ks_classic", 5, "u_t + u_xxxx"),
        ("cavity", 4, "-u_xx/Re - u_yy/Re"),
        ("taylor_green", 4, "-nu*u_xx - nu*u_yy + u_t"),
        ("poisson3d", 5, "-u_xx - u_yy - u_zz"),
        ("gray_scott", 4, None),
        ("legendre", 3, None),
    ],
)
def test_operators_are_collapsed_where_that_saves_channels(name, channels, operator):
    found = ways(load(name))
    assert found.channels == channels
    assert found.describe() == f"{channels} channels" + (
        "" if operator is None else f" with [{operator}] as one"
    )


def test_terms_with_varying_or_nonlinear_coefficients_are_kept():
    system = declared(Eq(u.diff(t), x * u.diff(x, 2) + nu * u.diff(y, 2) + u * u.diff(y)))
    found = ways(system)
    assert set(found.orders) == {(0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 0, 1)}
    (operator,) = found.operators
    assert set(operator) == {(1, 0, 0), (0, 0, 2)}


def test_proportional_operators_of_two_fields_share_a_channel():
    heat = u.diff(t) - nu * u.diff(x, 2), 3 * nu * v.diff(x, 2) - 3 * v.diff(t) + u**2
    found = ways(declared(*heat))
    assert found.channels == 3
    assert [share.factor for own in found.shares for share in own] == [1.0, -3.0]


@pytest.mark.parametrize("name", ["burgers", "ks_classic", "cavity", "taylor_green", "gray_scott"])
def test_residuals_equal_those_from_nested_derivatives(name):
    system = load(name)
    net = MLP(5, 2).build(len(system.axes), len(system.fields), key=jax.random.key(0))
    points = jax.random.uniform(jax.random.key(1), (6, len(system.axes)))

    @jax.jit
    def both(points):
        z = system.coordinates(points)
        plain = jax.vmap(lambda p: term_values(net, system.fields, system.plan, p))(points)
        expected = [r.fn(plain, z, system.parameters) for r in system.equations]
        return ways(system).values(net, points, z, system.parameters), expected

    for found, expected in zip(*both(points), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_a_traced_coefficient_gets_its_gradient():
    system = declared(Eq(u.diff(t), nu * u.diff(x, 2) + sin(t)))
    net = MLP(5, 2).build(3, 1, key=jax.random.key(0))
    points = jax.random.uniform(jax.random.key(1), (6, 3))
    z = system.coordinates(points)

    @jax.jit
    @jax.grad
    def slope(nu):
        (found,) = ways(system).values(net, points, z, {"nu": nu})
        return jnp.sum(found**2)

    plain = jax.vmap(lambda p: term_values(net, system.fields, system.plan, p))(points)
    (residual,) = ways(system).values(net, points, z, {"nu": 0.3})
    second = plain[next(term for term in plain if term.orders == (0, 2, 0))]
    np.testing.assert_allclose(slope(0.3), -2 * jnp.sum(residual * second), rtol=1e-11)


@pytest.mark.parametrize("size", [1, 4, 7, 10, 64])
def test_sums_over_chunks_and_their_gradient(size):
    data = jax.random.normal(jax.random.key(0), (10, 2)), jnp.arange(10.0)

    def part(params, chunk, mask):
        points, numbers = chunk
        squares = mask * (jnp.sin(points @ params["w"]) - numbers) ** 2
        return jnp.sum(squares), {"mean": jnp.sum(squares) / 10}

    def whole(params):
        return part(params, data, jnp.ones(10))

    params = {"w": jnp.asarray([0.3, -1.2]), "idle": jnp.ones(3)}
    got = jax.jit(jax.value_and_grad(lambda p: summed(part, p, data, size), has_aux=True))(params)
    expected = jax.value_and_grad(whole, has_aux=True)(params)
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    np.testing.assert_allclose(summed(part, params, data, size)[0], expected[0][0], rtol=1e-13)


@pytest.mark.parametrize("size", [3, 5, 20])
def test_mapping_over_chunks_keeps_every_place(size):
    data = {"a": jnp.arange(10.0), "b": jnp.ones((10, 2))}
    found = mapped(lambda d: {"c": d["a"][:, None] * d["b"]}, data, size)
    np.testing.assert_array_equal(found["c"], data["a"][:, None] * data["b"])


def test_chunks_are_equal_and_within_the_budget():
    assert chunk_size(2540, 1000, 600e3) == 508
    assert chunk_size(100, 1000, 1e9) == 100
    assert chunk_size(3, 1e9, 1.0) == 1
