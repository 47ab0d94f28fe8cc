"""Chebyshev collocation: polynomials exactly, analytic functions to near round-off."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnkit.derivatives import chebyshev
from pinnkit.errors import OptionError

pytestmark = pytest.mark.usefixtures("x64")


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(5, 20),
    lo=st.floats(-3, 1),
    length=st.floats(0.5, 4),
    coefficients=st.lists(st.floats(-1, 1), min_size=1, max_size=20),
)
def test_exact_on_polynomials(n, lo, length, coefficients):
    hi = lo + length
    p = np.polynomial.Chebyshev(coefficients[:n], domain=[lo, hi])
    x = chebyshev.nodes(lo, hi, n)
    for order in (1, 2, 3):
        found = chebyshev.matrix(lo, hi, n, order) @ p(x)
        scale = (2 * n**2 / length) ** order
        np.testing.assert_allclose(found, p.deriv(order)(x), atol=1e-12 * scale)
    assert chebyshev.quadrature(lo, hi, n) @ p(x) == pytest.approx(
        p.integ()(hi) - p.integ()(lo), abs=1e-12
    )
    points = np.linspace(lo, hi, 33)
    rows = chebyshev.interpolation_matrix(lo, hi, n, points)
    np.testing.assert_allclose(rows @ p(x), p(points), atol=1e-12)


@pytest.mark.parametrize("order,tolerance", [(1, 1e-12), (2, 1e-9), (3, 1e-6), (4, 1e-3)])
def test_round_off_stays_near_that_of_one_matrix(order, tolerance):
    n = 64
    x = chebyshev.nodes(-1, 1, n)
    exact = 3.0**order * np.sin(3 * x + order * np.pi / 2)
    found = chebyshev.derivative(jnp.sin(3 * x), 0, order, -1.0, 1.0)
    assert np.abs(found - exact).max() < tolerance
    naive = np.linalg.matrix_power(chebyshev.matrix(-1, 1, n), order) @ np.sin(3 * x)
    assert np.abs(found - exact).max() <= 3 * np.abs(naive - exact).max() + 1e-13


def test_ends_are_bitwise_and_nodes_symmetric():
    x = chebyshev.nodes(-0.1, 0.3, 41)
    assert x[0] == -0.1 and x[-1] == 0.3 and np.all(np.diff(x) > 0)
    reference = chebyshev.nodes(-1.0, 1.0, 41)
    np.testing.assert_array_equal(reference, -reference[::-1])


def test_spectral_convergence_of_quadrature():
    f = lambda x: 1 / (1 + 16 * x**2)  # noqa: E731
    exact = np.arctan(4.0) / 2
    errors = [
        abs(chebyshev.quadrature(-1, 1, n) @ f(chebyshev.nodes(-1, 1, n)) - exact)
        for n in (21, 41, 61)
    ]
    assert errors[1] < 1e-2 * errors[0] and errors[2] < 1e-2 * errors[1]


def test_along_an_axis_of_several():
    n = 12
    x = chebyshev.nodes(0, 2, n)
    values = np.exp(x)[None, :, None] * np.ones((2, n, 3))
    found = chebyshev.derivative(jnp.asarray(values), 1, 2, 0.0, 2.0)
    np.testing.assert_allclose(found, values, rtol=1e-6)
    fine = chebyshev.resample(jnp.asarray(values), 1, 30)
    expected = np.exp(chebyshev.nodes(0, 2, 30))[None, :, None]
    np.testing.assert_allclose(fine, np.broadcast_to(expected, (2, 30, 3)), rtol=1e-9)


def test_one_point_is_refused():
    with pytest.raises(OptionError, match="at least 2 points"):
        chebyshev.nodes(0, 1, 1)
