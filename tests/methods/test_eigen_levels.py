"""Levels of every well that literature tabulates, and of the problem files, to the last digit."""

from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from scipy import special
from scipy.optimize import brentq

import pinnkit as pk

pytestmark = pytest.mark.usefixtures("x64")

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
X, E = pk.coordinates("x"), pk.eigenvalue("E")
PSI = pk.field("psi", X)

WELLS = {
    10: "3.85076815 14.24769163 28.37233742 44.94099293",
    20: "4.68545743 17.50060498 34.32721335 51.1976863",
    50: "5.94859771 23.05361146 48.01632752 71.67699696",
    100: "6.8274226 26.95434532 58.9425932 97.83313485",
}
BARRIERS = {
    ("1/10", 10): "4.19043125 9.9320179 24.11199081",
    ("1/10", 20): "5.47381559 9.99049969 26.03547343",
    ("1/10", 50): "7.71606414 10.14574013 31.12176921",
    ("1/4", 10): "6.37321324 10.67006048",
    ("1/4", 20): "8.81678268 11.29688902",
    ("1/4", 50): "11.93637236 12.54690829 43.27314979",
}
UNIT = {
    (0, 20, 0.25): "13.01806847 48.8480766",
    (0, 50, 0.25): "16.38595175 60.62913258",
    (10, 0, 0.1): "13.56396512 39.95266798",
    (50, 0, 0.1): "25.05968629 41.63353143",
}


def numbers(text):
    return np.array([float(word) for word in text.split()])


def levels(problem, count):
    """Levels, each of which must carry an error estimate that is small."""
    solution = pk.solve(problem, pk.Eigen(levels=count), quiet=True)
    assert solution.status.ok, solution.status.reason
    assert solution.stats["wall_s"] < 10.0
    found = np.array(list(solution.eigenvalues.values()))
    name = problem.eigenvalues[0].name
    errors = [solution.stats[f"{name}[{i}] error"] for i in range(count)]
    assert (np.array(errors) <= 1e-10 * (1 + np.abs(found).max())).all()
    return found


def load(name, **parameters):
    return pk.load(PROBLEMS / f"{name}.py", **parameters)


def schroedinger(potential):
    return pk.Problem(
        name="step",
        domain=pk.Box(x=(-1, 1)),
        conditions=[
            pk.Equation(sp.Eq(-PSI.diff(X, 2) + potential * PSI, E * PSI)),
            pk.Dirichlet(PSI, 0),
        ],
    )


def step(inner, outer, a):
    return schroedinger(sp.Piecewise((inner, sp.Abs(X) < sp.Rational(a)), (outer, True)))


@pytest.mark.parametrize("depth", WELLS)
def test_finite_wells_in_a_box(depth):
    exact = numbers(WELLS[depth])
    np.testing.assert_allclose(levels(step(0, depth, "1/2"), len(exact)), exact, atol=6e-9)


@pytest.mark.parametrize(("width", "height"), BARRIERS)
def test_barriers_in_a_box(width, height):
    exact = numbers(BARRIERS[width, height])
    np.testing.assert_allclose(levels(step(height, 0, width), len(exact)), exact, atol=6e-9)


@pytest.mark.parametrize("inner, outer, a", UNIT)
def test_wells_and_barriers_in_the_unit_box(inner, outer, a):
    exact = numbers(UNIT[inner, outer, a])
    problem = load("well_unit", V_in=inner, V_out=outer, a=a)
    np.testing.assert_allclose(levels(problem, len(exact)), exact, atol=6e-9)


@pytest.mark.parametrize(("steepness", "exact"), [(20, 6.17250), (50, 5.98655)])
def test_smoothed_wells(steepness, exact):
    """V0 = 50 with tanh walls: the smoothing moves the ground level by per cents."""
    half = sp.Rational(1, 2)
    wall = sp.tanh(steepness * (X + half)) - sp.tanh(steepness * (X - half))
    solution = pk.solve(
        schroedinger(50 - 25 * wall), pk.Eigen(levels=1, tolerance=1e-8), quiet=True
    )
    assert solution.status.ok
    assert solution.eigenvalues["E[0]"] == pytest.approx(exact, abs=6e-6)


def test_oscillators_and_the_double_well():
    np.testing.assert_allclose(levels(load("well_infinite"), 4), (np.pi * np.arange(1, 5)) ** 2)
    np.testing.assert_allclose(levels(load("well_harmonic"), 4), [1, 3, 5, 7], rtol=1e-12)
    quartic = [1.0603620904841829, 3.7996730298013942, 7.4556979379867384, 11.6447455113781620]
    np.testing.assert_allclose(levels(load("well_quartic"), 4), quartic, rtol=1e-12)
    for zeta in (0.2, 1.5):
        root = 2 * np.sqrt(1 + 4 * zeta**2)
        exact = zeta**2 + np.array([7 - root, 5, 7 + root])
        np.testing.assert_allclose(levels(load("well_double", zeta=zeta), 3), exact, rtol=1e-10)


def test_mathieu_and_bessel_functions():
    exact = [special.mathieu_a(0, 5)]
    exact += [f(n, 5) for n in (1, 2, 3) for f in (special.mathieu_b, special.mathieu_a)]
    np.testing.assert_allclose(levels(load("mathieu"), 7), exact, rtol=1e-11)

    def cross(k, m):
        return special.jv(m, k) * special.yvp(m, 2 * k) - special.yv(m, k) * special.jvp(m, 2 * k)

    for m in (0, 1, 3):
        grid = np.linspace(0.3, 20.0, 300)
        signs = np.sign(cross(grid, m))
        at = np.nonzero(signs[1:] * signs[:-1] < 0)[0][:4]
        roots = [brentq(cross, grid[i], grid[i + 1], args=(m,), xtol=1e-14) for i in at]
        found = levels(load("sturm_liouville", m=m), 4)
        np.testing.assert_allclose(found, np.square(roots), rtol=1e-11)
