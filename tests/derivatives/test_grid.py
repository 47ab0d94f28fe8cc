"""Term values on tensor grids and interpolation of gridded fields."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnkit.compile import DerivativePlan, Term
from pinnkit.derivatives import ChebyshevAxis, FourierAxis, GridProvider, UniformAxis, interpolate
from pinnkit.derivatives.autodiff import term_values
from pinnkit.errors import OptionError

pytestmark = pytest.mark.usefixtures("x64")
AXES = ("t", "x", "y")


def grid():
    return (
        UniformAxis("t", 0.0, 1.0, 33, accuracy=6),
        FourierAxis("x", -1.0, 1.0, 32),
        ChebyshevAxis("y", 0.0, 2.0, 20),
    )


def wave(t, x, y):
    return np.exp(np.sin(np.pi * x + t)) * np.cos(2 * y)


def wave_jax(q):
    return (jnp.exp(jnp.sin(jnp.pi * q[1] + q[0])) * jnp.cos(2 * q[2]))[None]


def plan(*orders):
    return DerivativePlan.of(Term("u", o, AXES) for o in orders)


def test_terms_agree_with_automatic_differentiation():
    provider = GridProvider(grid())
    z = provider.coordinates()
    wanted = plan((0, 0, 0), (1, 0, 0), (0, 2, 0), (0, 1, 1), (1, 0, 2), (0, 0, 1))
    found = jax.jit(lambda u: provider.terms({"u": u}, wanted))(wave(**z))
    assert set(found) == set(wanted.terms)
    index = (11, 5, 7)
    point = jnp.asarray([z[a][index] for a in AXES])
    exact = jax.jit(lambda p: term_values(wave_jax, ("u",), wanted, p))(point)
    for term, values in found.items():
        assert values.shape == provider.shape
        assert float(values[index]) == pytest.approx(float(exact[term]), abs=2e-6), str(term)


def test_shared_prefixes_are_taken_once(monkeypatch):
    calls = []
    original = FourierAxis.derivative
    monkeypatch.setattr(
        FourierAxis,
        "derivative",
        lambda self, v, axis, order: (calls.append(order), original(self, v, axis, order))[1],
    )
    provider = GridProvider(grid())
    u = jnp.ones(provider.shape)
    provider.terms({"u": u}, plan((0, 1, 0), (0, 1, 1), (0, 1, 2), (0, 2, 0)))
    assert sorted(calls) == [1, 2]


def test_leading_dimensions_are_batches():
    provider = GridProvider(grid())
    one = wave(**provider.coordinates())
    wanted = plan((0, 1, 1))
    take = jax.jit(lambda u: provider.terms({"u": u}, wanted)[wanted.terms[0]])
    both, alone = take(np.stack([one, 2 * one])), take(one)
    np.testing.assert_allclose(both, np.stack([alone, 2 * alone]), rtol=1e-9, atol=1e-9)


def test_quadrature_of_all_kinds():
    provider = GridProvider(grid())
    z = provider.coordinates()
    values = np.exp(z["t"]) * (1 + np.sin(np.pi * z["x"])) * z["y"] ** 3
    exact = (np.e - 1) * 2 * 4
    assert np.sum(provider.weights() * values) == pytest.approx(exact, rel=1e-9)


def test_interpolation_is_exact_for_resolved_fields():
    provider = GridProvider(grid())
    data = jnp.asarray(wave(**provider.coordinates()))[None]
    points = np.random.default_rng(0).uniform((0, -3, 0), (1, 3, 2), (500, 3))
    at = jax.jit(lambda q: interpolate(provider.axes, data, q))
    found = at(jnp.asarray(points))
    np.testing.assert_allclose(found[:, 0], wave(*points.T), atol=1e-9)
    nodes = np.stack([provider.coordinates()[a][::8, ::8, ::7].ravel() for a in AXES], axis=1)
    at_nodes = at(jnp.asarray(np.resize(nodes, points.shape)))[: len(nodes), 0]
    np.testing.assert_allclose(at_nodes, data[0, ::8, ::8, ::7].ravel(), atol=1e-13)


def test_uniform_axis_has_the_order_of_its_windows():
    def error(n):
        axis = UniformAxis("t", 0.0, 2.0, n, accuracy=4)
        t = np.linspace(0.5, 1.5, 301)
        return np.abs(axis.interpolation_matrix(t) @ np.sin(3 * axis.nodes) - np.sin(3 * t)).max()

    assert np.log2(error(21) / error(41)) == pytest.approx(6, abs=0.2)


@pytest.mark.parametrize(
    "axis,places",
    [
        (ChebyshevAxis("x", -1.0, 2.0, 24), (-1.0, 2.0, 0.3)),
        (FourierAxis("x", 0.0, 3.0, 24), (0, 1)),
    ],
)
def test_interpolant_may_be_differentiated_also_at_nodes_and_ends(axis, places):
    def f(x):
        return jnp.sin(2 * jnp.pi * x / 3)

    data = f(jnp.asarray(axis.nodes))[None]

    def value(x):
        return interpolate((axis,), data, x[None, None])[0, 0]

    curvature = jax.jit(jax.grad(jax.grad(value)))
    for x in (*places, axis.nodes[7]):
        exact = -((2 * np.pi / 3) ** 2) * f(x)
        assert float(curvature(jnp.asarray(float(x)))) == pytest.approx(float(exact), abs=1e-7)


def test_wrong_shapes_and_names_are_refused():
    provider = GridProvider(grid())
    with pytest.raises(OptionError, match="'u' is not given"):
        provider.terms({"v": jnp.ones(provider.shape)}, plan((0, 0, 0)))
    with pytest.raises(OptionError, match="Transpose or resample"):
        provider.terms({"u": jnp.ones((3, 4, 5))}, plan((0, 0, 0)))
    with pytest.raises(OptionError, match="finite lo < hi"):
        FourierAxis("x", 1.0, 0.0, 8)
