"""Levels of wells against transcendental equations, and Sturm-Liouville forms against theory."""

import jax
import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq

from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError, OptionError
from pinnkit.geometry import Box
from pinnkit.methods.base import Run
from pinnkit.methods.eigen import Eigen
from pinnkit.spec.condition import Dirichlet, Equation, Neumann, Periodic, Robin
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
    levels = np.array([solution.stats[f"E[{i}]"] for i in range(method.levels)])
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


def test_what_it_cannot_solve_is_said():
    y = coordinates("x y")[1]
    u = field("u", X, y)
    plane = Problem(
        name="plane",
        domain=Box(x=(0, 1), y=(0, 1)),
        conditions=[Equation(-u.diff(X, 2) - u.diff(y, 2) - E * u), Dirichlet(u, 0)],
    )
    assert "one space axis is needed" in Eigen().supports(compile_problem(plane))
    square = problem(sp.Eq(-D2, E**2 * PSI), 0, 1)
    with pytest.raises(MethodError, match="must appear once, as E w"):
        Eigen().run(compile_problem(square), Run(jax.random.key(0)))
    moved = problem(sp.Eq(-D2, E * PSI), 0, 1, [Dirichlet(PSI, 1)])
    with pytest.raises(MethodError, match="must be homogeneous"):
        Eigen().run(compile_problem(moved), Run(jax.random.key(0)))
    with pytest.raises(OptionError, match="levels=0"):
        Eigen(levels=0)
