"""Rayleigh-Ritz: exact levels, convergence from above, and errors."""

import numpy as np
import pytest

from pinnkit.errors import MethodError
from pinnkit.experts.bases import ChebyshevTensor, RandomSine, RandomTanh
from pinnkit.experts.ritz import End, SturmLiouville, rayleigh_ritz

WALL = End(True)


def constant(edges=(0.0, 1.0), left=WALL, right=WALL, potential=0.0):
    return SturmLiouville(
        edges, lambda k, x: (np.ones_like(x), potential + 0.0 * x, np.ones_like(x)), left, right
    )


@pytest.mark.parametrize(
    "basis",
    [ChebyshevTensor((24,)), RandomSine.draw(24, (6.0,), 1), RandomTanh.draw(24, (2.0,), 1)],
    ids=["chebyshev", "sine", "tanh"],
)
@pytest.mark.parametrize("edges", [(0.0, 1.0), (0.0, 0.3, 1.0)])
def test_infinite_well_in_every_basis_and_split(basis, edges):
    found = rayleigh_ritz(constant(edges), basis, 3).values
    np.testing.assert_allclose(found, (np.pi * np.arange(1, 4)) ** 2, rtol=2e-6)


def test_levels_come_down_to_the_exact_ones_and_never_below():
    exact = (np.pi * np.arange(1, 4)) ** 2
    before = np.full(3, np.inf)
    for degree in range(4, 20, 2):
        found = rayleigh_ritz(constant(), ChebyshevTensor((degree,)), 3).values
        assert (found >= exact * (1 - 1e-13)).all()
        assert (found <= before * (1 + 1e-13)).all()
        before = found
    np.testing.assert_allclose(before, exact, rtol=1e-11)


def test_natural_periodic_and_elastic_ends():
    free = End(False)
    found = rayleigh_ritz(constant(left=free, right=free), ChebyshevTensor((24,)), 3).values
    np.testing.assert_allclose(found, [0.0, np.pi**2, 4 * np.pi**2], atol=1e-10)
    ring = End(False, periodic=True)
    found = rayleigh_ritz(constant((0.0, 0.4, 1.0), ring, ring), ChebyshevTensor((24,)), 3).values
    np.testing.assert_allclose(found, [0.0, 4 * np.pi**2, 4 * np.pi**2], atol=1e-8)
    spring = rayleigh_ritz(constant(left=WALL, right=End(False, 2.0)), ChebyshevTensor((24,)), 1)
    k = np.sqrt(spring.values[0])
    assert k / np.tan(k) == pytest.approx(-2.0, rel=1e-9)


def test_modes_are_orthonormal_with_a_positive_first_lobe():
    basis = ChebyshevTensor((20,))
    found = rayleigh_ritz(constant((0.0, 0.5, 1.0)), basis, 4)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    features = basis.features(nodes[:, None], (0,))
    modes = np.einsum("qn,kmn->kqm", features, found.coefficients).reshape(-1, 4)
    gram = modes.T @ (np.tile(0.25 * weights, 2)[:, None] * modes)
    np.testing.assert_allclose(gram, np.eye(4), atol=1e-11)
    assert (modes[0] > 0).all()


def test_a_deep_level_keeps_its_relative_accuracy():
    shifted = rayleigh_ritz(constant(potential=-1e4), ChebyshevTensor((20,)), 2).values
    np.testing.assert_allclose(shifted, (np.pi * np.arange(1, 3)) ** 2 - 1e4, rtol=1e-13)


def test_coefficients_of_wrong_sign_and_too_many_levels_are_refused():
    wrong = SturmLiouville((0.0, 1.0), lambda k, x: (-1.0 + 0 * x, 0 * x, 1 + 0 * x), WALL, WALL)
    with pytest.raises(MethodError, match="p changes sign or vanishes"):
        rayleigh_ritz(wrong, ChebyshevTensor((8,)), 1)
    with pytest.raises(MethodError, match="5 levels were asked of a trial space of dimension"):
        rayleigh_ritz(constant(), ChebyshevTensor((5,)), 5)
