"""Laws of random functions: validation, and samples against the covariance they promise."""

import numpy as np
import pytest

from pinnkit.errors import SpecError
from pinnkit.methods.random_functions import eigenfunctions, nystrom, sample
from pinnkit.spec.laws import (
    Above,
    Exponential,
    GaussianField,
    SquaredExponential,
    Threshold,
    UniformConstant,
)

UNIT = ((0.0, 1.0),)


def covariance(law, x, bounds):
    """Sum of the eigenfunction series, written independently of the sampler."""
    basis, frequency = eigenfunctions(law.boundary, x, bounds, law.modes)
    variance = law.scale**2 * (frequency**2 + law.tau**2) ** -law.alpha
    return (basis * variance) @ basis.T


@pytest.mark.parametrize("boundary", ["periodic", "neumann", "dirichlet"])
def test_sample_covariance_is_the_one_declared(boundary):
    law = GaussianField(25, 5, 2, boundary=boundary, modes=16)
    x = np.linspace(0, 1, 17)
    fields = sample(law, (x,), UNIT, range(20_000), 0)
    expected = covariance(law, x, UNIT[0])
    found = fields.T @ fields / len(fields)
    assert np.abs(found - expected).max() < 0.05 * expected.max()


def test_fourier_amplitudes_of_periodic_fields():
    """Variance of the sine and cosine coefficients is 2 sigma^2 ((2 pi k)^2 + tau^2)^-gamma."""
    law, n = GaussianField(25, 5, 2), 128
    fields = sample(law, (np.arange(n) / n,), UNIT, range(4000), 1)
    modes = np.fft.rfft(fields, axis=1) * 2 / n
    k = np.arange(1, 9)
    expected = 2 * 25**2 * ((2 * np.pi * k) ** 2 + 25.0) ** -2
    assert np.allclose(modes[:, k].real.var(axis=0), expected, rtol=0.12)
    assert np.allclose(modes[:, k].imag.var(axis=0), expected, rtol=0.12)


@pytest.mark.parametrize("boundary", ["periodic", "neumann", "dirichlet"])
def test_eigenfunctions_are_orthonormal(boundary):
    lo, hi, n = -1.0, 2.0, 400
    x = lo + (hi - lo) * (np.arange(n) + 0.5) / n
    basis, _ = eigenfunctions(boundary, x, (lo, hi), 5)
    assert np.allclose(basis.T @ basis * (hi - lo) / n, np.eye(basis.shape[1]), atol=1e-12)


def test_one_seed_is_one_function_on_every_grid_and_for_every_count():
    law = GaussianField(3, 3, 2, boundary="neumann", zero_mean=True, modes=8)
    coarse, fine = np.linspace(0, 1, 9), np.linspace(0, 1, 17)
    a = sample(law, (coarse, coarse), UNIT * 2, range(5), 7)
    b = sample(law, (fine, fine), UNIT * 2, range(3), 7)
    assert np.allclose(a[:3], b[:, ::2, ::2], rtol=1e-13, atol=1e-13)
    later = sample(law, (coarse, coarse), UNIT * 2, range(2, 5), 7)
    assert np.array_equal(a[2:], later)


def squared_exponential(points, length, scale):
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    return scale**2 * np.exp(-(distance**2) / (2 * length**2))


@pytest.mark.parametrize(("length", "bounds"), [(0.2, (0.0, 1.0)), (0.02, (0, 1)), (3, (-2, 7))])
def test_karhunen_loeve_sum_has_the_squared_exponential_covariance(length, bounds):
    x = np.linspace(*bounds, 41)
    basis, deviations = nystrom(length, x, bounds)
    found = (basis * deviations**2) @ basis.T
    assert np.abs(found - squared_exponential(x[:, None], length, 1)).max() < 1e-10


def test_squared_exponential_fields_on_a_plane():
    law = SquaredExponential(0.4, 2.0, 1.0)
    x, y = np.linspace(0, 1, 5), np.linspace(-1, 1, 4)
    fields = sample(law, (x, y), ((0, 1), (-1, 1)), range(20_000), 0).reshape(20_000, -1)
    points = np.stack([a.ravel() for a in np.meshgrid(x, y, indexing="ij")], axis=-1)
    expected = squared_exponential(points, 0.4, 2.0)
    assert np.abs(np.cov(fields.T) - expected).max() < 0.05 * expected.max()
    assert np.abs(fields.mean(axis=0) - 1).max() < 0.06


def test_squared_exponential_functions_belong_to_the_seed():
    law = SquaredExponential(0.2)
    coarse, fine = np.linspace(0, 1, 9), np.linspace(0, 1, 33)
    a = sample(law, (coarse, coarse), UNIT * 2, range(5), 7)
    b = sample(law, (fine, fine), UNIT * 2, range(3, 5), 7)
    assert np.allclose(a[3:], b[:, ::4, ::4], rtol=1e-10, atol=1e-10)


def test_standard_deviation_of_the_vorticity_of_published_flows():
    """N(0, 7^3 (-lap + 49)^(-5/2)) on the unit torus: against a sum over modes."""
    law = GaussianField(7**1.5, 7, 2.5, zero_mean=True)
    x = np.arange(32) / 32
    fields = sample(law, (x, x), UNIT * 2, range(300), 0)
    k = 4 * np.pi**2 * np.add.outer(np.arange(-32, 33) ** 2, np.arange(-32, 33) ** 2)
    expected = np.sqrt(np.sum(7**3 * (k + 49.0) ** -2.5) - 7**3 * 49**-2.5)
    assert expected == pytest.approx(0.175, abs=0.015)
    assert fields.std() == pytest.approx(expected, rel=0.03)


def test_zero_mean_removes_the_constant():
    law = GaussianField(3, 3, 2, zero_mean=True, mean=0.5)
    fields = sample(law, (np.arange(64) / 64,), UNIT, range(10), 0)
    assert np.allclose(fields.mean(axis=1), 0.5, atol=1e-13)


def test_compositions():
    inner = GaussianField(3, 3, 2, boundary="neumann")
    x = np.linspace(0, 1, 33)
    g = sample(inner, (x,), UNIT, range(50), 3)
    a = sample(Threshold(inner, 3, 12), (x,), UNIT, range(50), 3)
    assert np.array_equal(a, np.where(g >= 0, 12.0, 3.0))
    assert np.allclose(sample(Exponential(inner), (x,), UNIT, range(50), 3), np.exp(g))
    raised = sample(Above(inner, 1), (x,), UNIT, range(50), 3)
    assert np.allclose(raised - raised[:, :1], g - g[:, :1])
    assert raised.min() > 1 - 1e-12 and np.allclose(raised.min(axis=1), 1, atol=0.02)
    c = sample(UniformConstant(2, 3), (x,), UNIT, range(50), 3)
    assert np.all(np.ptp(c, axis=1) == 0) and 2 <= c.min() < c.max() <= 3


def test_laws_compare_and_hash_by_value():
    assert GaussianField(1, 2, 3) == GaussianField(1.0, 2.0, 3.0)
    assert len({Threshold(GaussianField()), Threshold(GaussianField())}) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianField(scale=-1), "positive"),
        (lambda: GaussianField(scale=float("nan")), "finite number"),
        (lambda: GaussianField(boundary="open"), "periodic, neumann, dirichlet"),
        (lambda: GaussianField(tau=0), "zero_mean"),
        (lambda: GaussianField(modes=0), "positive integer"),
        (lambda: SquaredExponential(0), "positive"),
        (lambda: Threshold(3.0), "not a law"),
        (lambda: Above("low"), "not a law"),
        (lambda: UniformConstant(2, 1), "below"),
        (lambda: sample("noise", (np.zeros(2),), UNIT, range(1), 0), "not a law"),
    ],
)
def test_errors_name_the_mend(make, message):
    with pytest.raises(SpecError, match=message):
        make()
