"""Levels of wells against transcendental equations, and Sturm-Liouville forms against theory."""

import jax
import numpy as np
import pytest
import sympy as sp
from scipy import special
from scipy.optimize import brentq

from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError, OptionError
from pinnkit.experts.bases import ChebyshevTensor
from pinnkit.experts.families import Fixed
from pinnkit.geometry import Box
from pinnkit.methods.base import Run
from pinnkit.methods.eigen import Eigen
from pinnkit.spec.condition import (
    Condition,
    Dirichlet,
    Equation,
    Initial,
    Integral,
    Kind,
    Neumann,
    Periodic,
    Robin,
)
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import coordinates, eigenvalue, field, parameter

pytestmark = pytest.mark.usefixtures("x64")

X, E = (
    coordinates("x")[0] if isinstance(coordinates("x"), tuple) else coordinates("x"),
    eigenvalue("E"),
)
PSI = field("psi", X)
D = PSI.diff(X)
D2 = PSI.diff(X, 2)


def problem(equation, low, high, conditions=None):
    walls = [Dirichlet(PSI, 0)] if conditions is None else conditions
    return Problem(
        name="levels", domain=Box(x=(low, high)), conditions=[Equation(equation), *walls]
    )


def schroedinger(potential, low, high):
    return problem(sp.Eq(-D2 + potential * PSI, E * PSI), low, high)


def run(posed, method=None):
    system = compile_problem(posed)
    method = method or Eigen()
    assert method.supports(system) is None
    solution = method.run(system, Run(jax.random.key(0)))
    levels = np.array([solution.stats[f"E[{i}]"] for i in range(method.levels or 4)])
    return solution, levels


def roots(even, odd, most, count=4):
    """Lowest roots of two functions of E without poles, by sign changes and bisection."""
    grid = np.linspace(1e-6, most, 4001)
    found = []
    for function in (even, odd):
        values = np.array([function(e) for e in grid])
        found += [
            brentq(function, a, b, xtol=1e-13, rtol=1e-15)
            for a, b, fa, fb in zip(grid, grid[1:], values, values[1:], strict=False)
            if fa * fb < 0
        ]
    return np.sort(found)[:count]


def shooting(inner, outer, a, half):
    """Even and odd matching functions of E, free of poles: V = inner for |x| < a, else outer.

    With C'' = (V - E) C: inside cosh-like (even) or sinh-like (odd), outside zero at the wall.
    """

    def pair(v, e, length):
        k = np.sqrt(complex(v - e))
        c = np.cosh(k * length).real
        s = (np.sinh(k * length) / k).real if abs(k) > 1e-12 else length
        return c, s, (k * k).real * s  # cosh, sinh/k, k sinh

    def match(odd):
        def function(e):
            c, s, ks = pair(inner, e, a)
            cw, sw, _ = pair(outer, e, half - a)
            value, slope = (s, c) if odd else (c, ks)
            return value * cw + slope * sw

        return function

    return match(False), match(True)


PIECES = {
    "well": (0.0, 50.0, sp.Rational(1, 2)),
    "barrier": (50.0, 0.0, sp.Rational(1, 10)),
    "shallow": (0.0, 10.0, sp.Rational(1, 2)),
}


@pytest.mark.parametrize("name", PIECES)
def test_piecewise_wells_against_their_transcendental_equations(name):
    inner, outer, a = PIECES[name]
    potential = sp.Piecewise((inner, sp.Abs(X) < a), (outer, True))
    solution, levels = run(schroedinger(potential, -1, 1))
    exact = roots(*shooting(inner, outer, float(a), 1.0), 130.0)
    np.testing.assert_allclose(levels, exact, rtol=1e-11)
    assert solution.status.ok
    assert solution.stats["experts"] == 3


def test_well_of_depth_50_has_the_published_levels():
    potential = sp.Piecewise((0, sp.Abs(X) < sp.Rational(1, 2)), (50, True))
    _, levels = run(schroedinger(potential, -1, 1))
    np.testing.assert_allclose(
        levels, [5.94859771, 23.05361146, 48.01632752, 71.67699696], atol=6e-9
    )


def test_infinite_well_and_harmonic_oscillator():
    _, levels = run(schroedinger(sp.S.Zero, 0, 1))
    np.testing.assert_allclose(levels, (np.pi * np.arange(1, 5)) ** 2, rtol=1e-12)
    _, levels = run(schroedinger(X**2, -10, 10))
    np.testing.assert_allclose(levels, [1.0, 3.0, 5.0, 7.0], rtol=1e-11)


def test_modes_are_those_of_the_oscillator_and_have_names():
    solution, _ = run(schroedinger(X**2, -8, 8), Eigen(levels=2))
    assert solution.fields == ("psi[0]", "psi[1]")
    x = np.linspace(-3.0, 3.0, 41)
    found = solution(x=x)
    ground = np.pi**-0.25 * np.exp(-(x**2) / 2)
    np.testing.assert_allclose(found["psi[0]"], ground, atol=1e-6)
    np.testing.assert_allclose(found["psi[1]"], -np.sqrt(2.0) * x * ground, atol=1e-6)
    assert max(solution.error_estimate.values()) < 1e-5


def test_error_estimates_bound_the_errors_of_levels():
    solution, levels = run(schroedinger(sp.S.Zero, 0, 1), Eigen(tolerance=1e-4))
    for i, level in enumerate(levels):
        error = abs(level - (np.pi * (i + 1)) ** 2)
        assert error <= solution.stats[f"E[{i}] error"] + 1e-11


def test_an_equation_outside_divergence_form_gets_its_integrating_factor():
    """Hermite's equation u'' - 2 x u' = -2 n u, natural growth cut by walls far out."""
    hermite = problem(sp.Eq(-D2 + 2 * X * D, E * PSI), -5, 5)
    _, levels = run(hermite, Eigen(levels=3, tolerance=1e-9))
    np.testing.assert_allclose(levels, [0.0, 2.0, 4.0], atol=2e-7)
    # u'' + 3 u' = -E u with walls: E = 9/4 + (n pi)^2.
    damped = problem(sp.Eq(D2 + 3 * D, -E * PSI), 0, 1)
    _, levels = run(damped, Eigen(levels=3))
    np.testing.assert_allclose(levels, 2.25 + (np.pi * np.arange(1, 4)) ** 2, rtol=1e-10)


def test_weight_and_variable_stiffness():
    """-(x u')' = E u / x on [1, e^pi]: u = sin(n log x), E = n^2."""
    euler = problem(sp.Eq(-(X * D).diff(X), E * PSI / X), 1, sp.exp(sp.pi))
    _, levels = run(euler, Eigen(levels=3))
    np.testing.assert_allclose(levels, [1.0, 4.0, 9.0], rtol=1e-10)


def test_neumann_robin_and_periodic_ends():
    free = problem(sp.Eq(-D2, E * PSI), 0, 1, [Neumann(PSI, 0)])
    _, levels = run(free, Eigen(levels=3))
    np.testing.assert_allclose(levels, [0.0, np.pi**2, 4 * np.pi**2], atol=1e-10)
    mixed = [Dirichlet(PSI, 0, on="x-"), Robin(PSI, 2, 1, 0, on="x+")]
    _, levels = run(problem(sp.Eq(-D2, E * PSI), 0, 1, mixed), Eigen(levels=2))
    k = np.sqrt(levels)
    np.testing.assert_allclose(k * np.cos(k) + 2.0 * np.sin(k), 0.0, atol=1e-9)
    ring = problem(sp.Eq(-D2, E * PSI), 0, 2 * sp.pi, [Periodic("x")])
    _, levels = run(ring, Eigen(levels=3))
    np.testing.assert_allclose(levels, [0.0, 1.0, 1.0], atol=1e-10)


def test_parameters_move_the_levels():
    depth = parameter("depth", 3.0)
    posed = schroedinger(depth, 0, 1)
    _, first = run(posed, Eigen(levels=1))
    _, second = run(posed.replace(parameters={"depth": 7.0}), Eigen(levels=1))
    assert second[0] - first[0] == pytest.approx(4.0, rel=1e-11)


def test_legendre_and_mathieu_levels():
    """-((1 - x^2) u')' = n (n + 1) u, bounded at both ends; and Mathieu's equation on a ring."""
    legendre = problem(sp.Eq(-((1 - X**2) * D).diff(X), E * PSI), -1, 1, [Neumann(PSI, 0)])
    _, levels = run(legendre)
    np.testing.assert_allclose(levels, [0.0, 2.0, 6.0, 12.0], atol=1e-11)
    ring = problem(sp.Eq(-D2 + 10 * sp.cos(2 * X) * PSI, E * PSI), 0, 2 * sp.pi, [Periodic("x")])
    _, levels = run(ring, Eigen(levels=5))
    exact = [special.mathieu_a(0, 5)]
    exact += [f(n, 5) for n in (1, 2) for f in (special.mathieu_b, special.mathieu_a)]
    np.testing.assert_allclose(levels, exact, rtol=1e-11)


def test_equal_levels_are_one_group_of_orthonormal_modes():
    ring = problem(sp.Eq(-D2, E * PSI), 0, 2 * sp.pi, [Periodic("x")])
    solution, _ = run(ring, Eigen(levels=4))
    assert solution.stats["groups"] == "E[0]; E[1] = E[2]; E[3]"
    assert max(solution.error_estimate.values()) < 1e-5
    x, weights = np.polynomial.legendre.leggauss(60)
    modes = solution(x=np.pi * (x + 1.0))
    stacked = np.stack([modes[f"psi[{i}]"] for i in range(4)])
    np.testing.assert_allclose((stacked * np.pi * weights) @ stacked.T, np.eye(4), atol=1e-10)


def test_a_declared_normalisation_sets_the_size_of_the_modes():
    sized = [Dirichlet(PSI, 0), Integral(PSI**2, 3)]
    solution, levels = run(problem(sp.Eq(-D2, E * PSI), 0, 1, sized), Eigen(levels=2))
    np.testing.assert_allclose(levels, [np.pi**2, 4 * np.pi**2], rtol=1e-11)
    found = solution(x=np.array([0.25]))
    assert found["psi[0]"][0] == pytest.approx(np.sqrt(3.0), rel=1e-9)


def test_features_settle_exponentially():
    solution, levels = run(schroedinger(X**4, -3, 3), Eigen(levels=1))
    errors = solution.history["E[0]"][:-1] / levels[0] - 1.0
    assert (errors >= -1e-12).all()
    assert (np.diff(np.log(np.maximum(errors, 1e-14))) < -2.0)[:2].all()


def refused(equation, conditions, match, domain=None):
    system = compile_problem(
        Problem(
            name="refused",
            domain=domain or Box(x=(0, 1)),
            conditions=[Equation(equation), *conditions],
        )
    )
    assert Eigen().supports(system) is None
    with pytest.raises(MethodError, match=match):
        Eigen().run(system, Run(jax.random.key(0)))


def test_what_it_cannot_solve_is_said():
    walls = [Dirichlet(PSI, 0)]
    refused(sp.Eq(-D2, E**2 * PSI), walls, "must appear once, as E w")
    refused(sp.Eq(-E * D2, E * PSI), walls, "multiplies psi_xx; it must appear once")
    refused(sp.Eq(-D2 + sp.sin(X), E * PSI), walls, "has a source term. Remove it")
    refused(sp.Eq(-D2, E * PSI), [Dirichlet(PSI, 1)], "must be homogeneous")
    refused(sp.Eq(-D2, E * PSI), [Robin(PSI, E, 1, 0)], "without the eigenvalue")
    refused(sp.Eq(-D2, E * (X - sp.S.Half) * PSI), walls, "w changes sign")
    both = [Dirichlet(PSI, 0, on="x-"), Neumann(PSI, 0, on="x-")]
    refused(sp.Eq(-D2, E * PSI), both, "'x-' has 2 conditions .*contradictory")
    norms = [*walls, Integral(PSI, 1)]
    refused(sp.Eq(-D2, E * PSI), norms, "normalisation must be one condition like Integral")
    refused(sp.Eq(-D2, E * PSI), [*walls, Integral(PSI**2, -1)], "with a positive value")
    refused(sp.Eq(-D2 + D / X**9, E * PSI), walls, "divergence form")
    with pytest.raises(OptionError, match="levels=0"):
        Eigen(levels=0)
    with pytest.raises(OptionError, match="a fixed basis has one"):
        Eigen(basis=Fixed(ChebyshevTensor((9,))))
    with pytest.raises(OptionError, match="tolerance=2"):
        Eigen(tolerance=2)


def test_operators_that_are_not_self_adjoint_are_refused():
    x, y = coordinates("x y")
    u, square = field("u", x, y), Box(x=(0, 1), y=(0, 1))
    laplacian = -u.diff(x, 2) - u.diff(y, 2)
    walls = [Dirichlet(u, 0)]
    refused(laplacian - y * u.diff(x) + x * u.diff(y) - E * u, walls, "not self-adjoint", square)
    oblique = Condition(Kind.BOUNDARY, u.diff(x) + u.diff(y), sp.S.Zero, ("x-",), "slip")
    others = [Dirichlet(u, 0, on=("x+", "y-", "y+"))]
    refused(laplacian - E * u, [oblique, *others], "another direction than the flux", square)
    twisted = laplacian - u.diff(x, y) - E * u
    refused(twisted, [Neumann(u, 0)], "another direction than the flux", square)


def test_systems_that_do_not_apply_are_named():
    t, y = coordinates("t y")
    u = field("u", t, X)
    moving = Problem(
        name="moving",
        domain=Box(t=(0, 1), x=(0, 1), time="t"),
        conditions=[Equation(u.diff(t) - u.diff(X, 2) - E * u), Initial(u, 0), Dirichlet(u, 0)],
    )
    assert "has the time axis t" in Eigen().supports(compile_problem(moving))
    fourth = [Dirichlet(PSI, 0), Neumann(PSI, 0)]
    beam = problem(sp.Eq(PSI.diff(X, 4), E * PSI), 0, 1, fourth)
    assert "not of second order" in Eigen().supports(compile_problem(beam))
    nonlinear = compile_problem(problem(sp.Eq(-D2 + PSI**3, E * PSI), 0, 1))
    assert "has no normalisation like Integral" in Eigen().supports(nonlinear)
    sized = problem(sp.Eq(-D2 + PSI**3, E * PSI), 0, 1, [Dirichlet(PSI, 0), Integral(PSI**2, 1)])
    assert "only its ground state" in Eigen(levels=2).supports(compile_problem(sized))
    twice = problem(sp.Eq(-D2 + y_free(), E * PSI), 0, 1)
    assert "has 2 eigenvalues" in Eigen().supports(compile_problem(twice))
    with pytest.raises(MethodError, match="4000 levels were asked of a trial space of dimension"):
        run(problem(sp.Eq(-D2, E * PSI), 0, 1), Eigen(levels=4000))
    complex_valued = sp.Eq(-D2 + sp.I * D, E * PSI)
    assert "it is complex" in Eigen().supports(compile_problem(problem(complex_valued, 0, 1)))


def y_free():
    return eigenvalue("F") * PSI
