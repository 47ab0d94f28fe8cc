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
    return jnp.exp(jnp.sin(jnp.pi * x + t)) * jnp.cos(2 * y)


def plan(*orders):
    return DerivativePlan.of(Term("u", o, AXES) for o in orders)


def test_terms_agree_with_automatic_differentiation():
    provider = GridProvider(grid())
    z = provider.coordinates()
    wanted = plan((0, 0, 0), (1, 0, 0), (0, 2, 0), (0, 1, 1), (1, 0, 2), (0, 0, 1))
    found = provider.terms({"u": wave(**z)}, wanted)
    assert set(found) == set(wanted.terms)
    index = (11, 5, 7)
    point = jnp.asarray([z[a][index] for a in AXES])
    exact = term_values(lambda q: wave(*q)[None], ("u",), wanted, point)
    for term, values in found.items():
        assert values.shape == provider.shape
        assert float(values[index]) == pytest.approx(float(exact[term]), abs=2e-6), str(term)


def test_shared_prefixes_are_taken_once(monkeypatch):
    calls = []
    original = FourierAxis.derivative
    monkeypatch.setattr(
        FourierAxis, "derivative",
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
    both = provider.terms({"u": jnp.stack([one, 2 * one])}, wanted)[wanted.terms[0]]
    alone = provider.terms({"u": one}, wanted)[wanted.terms[0]]
    np.testing.assert_allclose(both, np.stack([alone, 2 * alone]), rtol=1e-9, atol=1e-9)


def test_quadrature_of_all_kinds():
    provider = GridProvider(grid())
    z = provider.coordinates()
    values = np.exp(z["t"]) * (1 + np.sin(np.pi * z["x"])) * z["y"] ** 3
    exact = (np.e - 1) * 2 * 4
    assert np.sum(provider.weights() * values) == pytest.approx(exact, rel=1e-9)


def test_interpolation_is_exact_for_resolved_fields():
    provider = GridProvider(grid())
    data = wave(**provider.coordinates())[None]
    points = np.random.default_rng(0).uniform((0, -3, 0), (1, 3, 2), (500, 3))
    found = jax.jit(lambda d, q: interpolate(provider.axes, d, q))(data, jnp.asarray(points))
    np.testing.assert_allclose(found[:, 0], wave(*points.T), atol=1e-9)
    nodes = np.stack([provider.coordinates()[a][::8, ::8, ::7].ravel() for a in AXES], axis=1)
    at_nodes = interpolate(provider.axes, data, jnp.asarray(nodes))
    np.testing.assert_allclose(at_nodes[:, 0], data[0, ::8, ::8, ::7].ravel(), atol=1e-13)


def test_uniform_axis_has_the_order_of_its_windows():
    def error(n):
        axis = UniformAxis("t", 0.0, 2.0, n, accuracy=4)
        t = np.linspace(0.0, 2.0, 301)
        return np.abs(axis.interpolation_matrix(t) @ np.sin(3 * axis.nodes) - np.sin(3 * t)).max()

    assert np.log2(error(21) / error(41)) == pytest.approx(6, abs=0.4)


def test_interpolant_may_be_differentiated_also_at_nodes_and_ends():
    axes = (ChebyshevAxis("x", -1.0, 2.0, 40), FourierAxis("y", 0.0, 1.0, 32))

    def f(x, y):
        return jnp.exp(jnp.sin(2 * x)) * jnp.cos(2 * jnp.pi * y)

    z = GridProvider(axes).coordinates()
    data = f(z["x"], z["y"])[None]
    hessian = jax.jit(jax.hessian(lambda q: interpolate(axes, data, q[None])[0, 0]))
    exact = jax.jit(jax.hessian(lambda q: f(q[0], q[1])))
    for q in ([-1.0, 0.0], [2.0, 0.25], [axes[0].nodes[7], 0.5], [0.3, 0.77]):
        np.testing.assert_allclose(hessian(jnp.array(q)), exact(jnp.array(q)), atol=1e-5)


def test_wrong_shapes_and_names_are_refused():
    provider = GridProvider(grid())
    with pytest.raises(OptionError, match="'u' is not given"):
        provider.terms({"v": jnp.ones(provider.shape)}, plan((0, 0, 0)))
    with pytest.raises(OptionError, match="Transpose or resample"):
        provider.terms({"u": jnp.ones((3, 4, 5))}, plan((0, 0, 0)))
    with pytest.raises(OptionError, match="finite lo < hi"):
        FourierAxis("x", 1.0, 0.0, 8)
