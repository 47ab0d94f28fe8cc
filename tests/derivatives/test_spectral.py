"""Fourier derivatives and products against trigonometric polynomials."""

import jax.numpy as jnp
import numpy as np
import pytest

from pinnkit.derivatives import FourierAxis, spectral

pytestmark = pytest.mark.usefixtures("x64")
LENGTH = 3.0


def nodes(n):
    return LENGTH * np.arange(n) / n


def wave(x, k, order=0):
    q = 2 * np.pi * k / LENGTH
    return q**order * np.sin(q * x + 0.4 + order * np.pi / 2)


@pytest.mark.parametrize("n", [16, 17])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_exact_below_the_nyquist_mode(n, order):
    for k in range(1, (n - 1) // 2 + 1):
        found = spectral.derivative(jnp.asarray(wave(nodes(n), k)), 0, order, LENGTH)
        scale = (2 * np.pi * k / LENGTH) ** order
        np.testing.assert_allclose(found, wave(nodes(n), k, order), atol=1e-12 * scale)


def test_odd_derivative_of_the_nyquist_mode_vanishes():
    sawtooth = jnp.asarray((-1.0) ** np.arange(16))
    np.testing.assert_allclose(spectral.derivative(sawtooth, 0, 1, LENGTH), 0, atol=1e-12)
    second = spectral.derivative(sawtooth, 0, 2, LENGTH)
    np.testing.assert_allclose(second, -((np.pi * 16 / LENGTH) ** 2) * sawtooth, rtol=1e-12)


def test_complex_values_are_differentiated_part_by_part():
    values = jnp.asarray(wave(nodes(20), 3) + 1j * wave(nodes(20), 5))
    found = spectral.derivative(values, 0, 1, LENGTH)
    np.testing.assert_allclose(found.real, wave(nodes(20), 3, 1), atol=1e-11)
    np.testing.assert_allclose(found.imag, wave(nodes(20), 5, 1), atol=1e-11)


def test_dealiased_square_has_the_exact_low_modes():
    """sin(a) sin(a) = (1 - cos 2a)/2: a mode above n/3 must vanish, not come back as another."""
    n, x = 24, nodes(24)
    for k in range(1, 8):
        u = np.sin(2 * np.pi * k * x / LENGTH)
        product = spectral.dealiased_product([jnp.asarray(u), jnp.asarray(u)], (0,))
        kept = np.cos(4 * np.pi * k * x / LENGTH) / 2 if 2 * k < n / 3 else 0
        np.testing.assert_allclose(product, 0.5 - kept, atol=1e-13)


def test_dealiasing_in_two_dimensions_is_a_projection():
    values = jnp.asarray(np.random.default_rng(0).normal(size=(12, 18)))
    once = spectral.dealias(values, (0, 1))
    np.testing.assert_allclose(spectral.dealias(once, (0, 1)), once, atol=1e-13)
    assert float(jnp.linalg.norm(once)) < float(jnp.linalg.norm(values))


@pytest.mark.parametrize("n,m", [(16, 32), (16, 40), (15, 31), (32, 16)])
def test_resampling_is_exact_interpolation(n, m):
    axis = FourierAxis("x", 0.0, LENGTH, n)
    values = wave(nodes(n), 2) + wave(nodes(n), 5)
    found = axis.resample(jnp.asarray(values), 0, m)
    np.testing.assert_allclose(found, wave(nodes(m), 2) + wave(nodes(m), 5), atol=1e-12)
    rows = axis.interpolation_matrix(nodes(m))
    np.testing.assert_allclose(rows @ values, found, atol=1e-12)


def test_matrix_is_the_transform():
    values = np.random.default_rng(1).normal(size=16)
    axis = FourierAxis("x", 0.0, LENGTH, 16)
    for order in (1, 2, 3):
        found = axis.derivative(jnp.asarray(values), 0, order)
        np.testing.assert_allclose(axis.matrix(order) @ values, found, rtol=1e-9, atol=1e-8)
