"""Bases: exact derivatives, one code for NumPy and JAX, exact periodicity."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnkit.experts.bases import (
    ChebyshevTensor,
    FourierChebyshev,
    RandomSine,
    RandomTanh,
    TrainedLayer,
    tensor_basis,
)

pytestmark = pytest.mark.usefixtures("x64")

POINTS = np.random.default_rng(0).uniform(-1.0, 1.0, (7, 2))


class _Hidden(eqx.Module):
    weights: jax.Array

    def __call__(self, point):
        return jnp.tanh(self.weights @ point)


BASES = {
    "sine": RandomSine.draw(9, (3.0, 2.0), 1),
    "tanh": RandomTanh.draw(9, (1.0, 1.5), 1),
    "chebyshev": ChebyshevTensor((4, 3)),
    "ball": tensor_basis((6, 5), ("chebyshev", "chebyshev")),
    "fourier": FourierChebyshev((2, 3), (0,)),
    "trained": TrainedLayer(_Hidden(np.random.default_rng(2).normal(size=(5, 2))), 5, (1.0, 1.0)),
}


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("orders", [(1, 0), (2, 1), (0, 3)])
def test_derivatives_agree_with_automatic_differentiation_of_the_values(name, orders):
    basis = BASES[name]

    def value(point):
        return basis.features(point[None, :], (0, 0))[0]

    wanted = value
    for axis, order in enumerate(orders):
        for _ in range(order):
            wanted = _directional(wanted, axis)
    expected = jax.jit(jax.vmap(wanted))(jnp.asarray(POINTS))
    found = basis.features(POINTS, orders)
    assert found.shape == (7, basis.size)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-8)


def _directional(function, axis):
    return lambda p: jax.jvp(function, (p,), (jnp.zeros(2).at[axis].set(1.0),))[1]


@pytest.mark.parametrize("name", BASES)
def test_numpy_and_jax_compute_the_same_features(name):
    basis = BASES[name]
    host = basis.features(POINTS, (1, 2))
    device = basis.features(jnp.asarray(POINTS), (1, 2))
    assert isinstance(host, np.ndarray)
    assert isinstance(device, jax.Array)
    np.testing.assert_allclose(host, device, rtol=1e-12, atol=1e-11)


@given(k=st.integers(0, 12), order=st.integers(0, 5), x=st.floats(-1.0, 1.0))
@settings(max_examples=60, deadline=None)
def test_chebyshev_columns_are_derivatives_of_chebyshev_polynomials(k, order, x):
    column = ChebyshevTensor((12,)).features(np.array([[x]]), (order,))[0, k]
    wanted = (
        np.polynomial.chebyshev.Chebyshev.basis(k).deriv(order)(x)
        if order
        else np.cos(k * np.arccos(x))
    )
    assert column == pytest.approx(wanted, rel=1e-9, abs=1e-7)


@pytest.mark.parametrize(
    "basis", [RandomSine.draw(20, (9.0, 2.0), 3, periodic=(0,)), FourierChebyshev((3, 2), (0,))]
)
@pytest.mark.parametrize("order", [0, 1, 3])
def test_periodic_bases_repeat_with_every_derivative(basis, order):
    low, high = POINTS.copy(), POINTS.copy()
    low[:, 0], high[:, 0] = -1.0, 1.0
    a, b = basis.features(low, (order, 0)), basis.features(high, (order, 0))
    np.testing.assert_allclose(a, b, atol=1e-10 * np.abs(a).max())


def test_one_seed_gives_one_basis_and_another_seed_another():
    first, again, other = (RandomSine.draw(5, (1.0, 1.0), seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.weights, again.weights)
    assert np.abs(first.weights - other.weights).max() > 0.01


def test_the_euclidean_ball_keeps_its_share_of_the_full_product():
    full = ChebyshevTensor((40, 40)).size
    assert tensor_basis((40, 40), ("chebyshev",) * 2).size / full == pytest.approx(
        np.pi / 4, rel=0.05
    )


def test_tails_tell_the_axis_that_is_not_resolved():
    basis = ChebyshevTensor((8, 8))
    nodes = np.polynomial.legendre.leggauss(30)[0]
    x, y = (a.ravel() for a in np.meshgrid(nodes, nodes))
    table = basis.features(np.stack([x, y], axis=1), (0, 0))
    coefficients = np.linalg.lstsq(table, np.cos(9 * x) * np.exp(0.1 * y), rcond=None)[0]
    along_x, along_y = basis.tails(coefficients)
    assert along_x > 1e-2
    assert along_y < 1e-4 * along_x
