"""Finite differences: fitted orders, exactness on polynomials, errors in words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnkit.derivatives import stencil
from pinnkit.errors import OptionError

pytestmark = pytest.mark.usefixtures("x64")


def exact(x, order):
    """Derivatives of exp(sin x) would do; this one has them in closed form."""
    return 2.0**order * jnp.sin(2 * x + 0.3 + order * jnp.pi / 2)


def errors(n, order, accuracy):
    x = np.linspace(0, 2, n)
    found = stencil.derivative(exact(x, 0), 0, order, x[1] - x[0], accuracy)
    return np.abs(np.asarray(found - exact(x, order)))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("accuracy", [2, 4, 6])
def test_fitted_order_inside_and_at_ends(order, accuracy):
    sizes = {2: (161, 321), 4: (81, 161), 6: (31, 61)}[accuracy]
    coarse, fine = (errors(n, order, accuracy) for n in sizes)
    inner = np.log2(coarse[20:-20].max() / fine[40:-40].max()) if accuracy < 6 else (
        np.log2(coarse[12:-12].max() / fine[24:-24].max()))
    ends = np.log2(max(coarse[0], coarse[-1]) / max(fine[0], fine[-1]))
    assert abs(inner - accuracy) < 0.2
    assert abs(ends - accuracy) < 0.35 if order >= 3 else abs(ends - accuracy) < 0.2


@settings(max_examples=25, deadline=None)
@given(
    order=st.integers(1, 4),
    half=st.integers(1, 3),
    coefficients=st.lists(st.floats(-2, 2), min_size=1, max_size=10),
)
def test_exact_on_polynomials(order, half, coefficients):
    """Width order + accuracy is exact up to that degree minus one, in float64."""
    accuracy = 2 * half
    polynomial = np.polynomial.Polynomial(coefficients[: order + accuracy])
    x = np.linspace(-1, 1, 24)
    with jax.enable_x64(True):
        found = stencil.derivative(
            jnp.asarray(polynomial(x)), 0, order, float(x[1] - x[0]), accuracy
        )
    np.testing.assert_allclose(found, polynomial.deriv(order)(x), atol=1e-6)


def test_weights_of_the_textbook():
    np.testing.assert_allclose(stencil.weights((-1, 0, 1), 2), [1, -2, 1], atol=1e-15)
    fourth = np.array([1, -8, 0, 8, -1]) / 12
    np.testing.assert_allclose(stencil.weights((-2, -1, 0, 1, 2), 1), fourth, atol=1e-15)


def test_any_axis_is_the_same_as_moving_it():
    values = jnp.asarray(np.random.default_rng(0).normal(size=(9, 10, 11)))
    for axis in range(3):
        moved = stencil.derivative(jnp.moveaxis(values, axis, 0), 0, 2, 0.1)
        straight = jax.jit(lambda v, a=axis: stencil.derivative(v, a, 2, 0.1))(values)
        np.testing.assert_allclose(jnp.moveaxis(straight, axis, 0), moved, rtol=1e-12)


def test_periodic_wraps():
    n = 64
    x = 2 * np.pi * np.arange(n) / n
    found = stencil.derivative(jnp.sin(x), 0, 3, 2 * np.pi / n, 6, periodic=True)
    np.testing.assert_allclose(found, -np.cos(x), atol=1e-5)
    shifted = stencil.derivative(jnp.roll(jnp.sin(x), 5), 0, 3, 2 * np.pi / n, 6, periodic=True)
    np.testing.assert_allclose(shifted, jnp.roll(found, 5), atol=1e-9)


def test_too_few_points_and_odd_accuracy_are_refused():
    with pytest.raises(OptionError, match="needs 6"):
        stencil.derivative(jnp.zeros(5), 0, 2, 0.1, 4)
    with pytest.raises(OptionError, match="even number"):
        stencil.derivative(jnp.zeros(50), 0, 2, 0.1, 3)
    with pytest.raises(OptionError, match="needs at least 3 nodes"):
        stencil.weights((0.0, 1.0), 2)
