"""Finite differences: fitted orders, exactness on polynomials, errors in words."""

from fractions import Fraction

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
    return 8.0**order * np.sin(8 * x + 0.3 + order * np.pi / 2)


def inner_error(n, order, accuracy):
    x = np.linspace(0, 2, n)
    found = stencil.derivative(jnp.asarray(exact(x, 0)), 0, order, x[1] - x[0], accuracy)
    quarter = n // 4
    return np.abs(found - exact(x, order))[quarter:-quarter].max()


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("accuracy", [2, 4, 6])
def test_fitted_order_inside(order, accuracy):
    n = 61 if accuracy == 6 else 81
    ratio = inner_error(n, order, accuracy) / inner_error(2 * n - 1, order, accuracy)
    assert np.log2(ratio) == pytest.approx(accuracy, abs=0.2)


def end_error(h, order, accuracy):
    """Error of the one-sided rows at the end node, in extended precision."""
    offsets = tuple(range(order + accuracy))
    rational = [Fraction(w).limit_denominator(10**6) for w in stencil.weights(offsets, order)]
    weights = np.array([np.longdouble(w.numerator) / w.denominator for w in rational])
    phases = np.linspace(0, np.pi, 20, dtype=np.longdouble)
    values = np.sin(phases[:, None] + np.arange(len(offsets)) * np.longdouble(h))
    return np.abs(values @ weights / h**order - np.sin(phases + order * np.pi / 2)).max()


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("accuracy", [2, 4, 6])
def test_fitted_order_at_ends(order, accuracy):
    h = np.longdouble(0.08 if accuracy == 6 else 0.04 if accuracy == 4 else 0.02)
    ratio = end_error(h, order, accuracy) / end_error(h / 2, order, accuracy)
    assert np.log2(ratio) == pytest.approx(accuracy, abs=0.2)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("accuracy", [2, 4, 6])
def test_ends_use_the_one_sided_rows(order, accuracy):
    width = order + accuracy
    values = np.random.default_rng(order).normal(size=2 * width)
    found = stencil.derivative(jnp.asarray(values), 0, order, 1.0, accuracy)
    for i in range(stencil.half_width(order, accuracy)):
        row = stencil.weights(tuple(np.arange(width) - i), order)
        assert float(found[i]) == pytest.approx(row @ values[:width], rel=1e-9, abs=1e-9)
        mirrored = (-1) ** order * row @ values[::-1][:width]
        assert float(found[-1 - i]) == pytest.approx(mirrored, rel=1e-9, abs=1e-9)


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
