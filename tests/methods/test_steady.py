"""Spectral collocation of steady problems against closed forms and published profiles."""

import jax
import numpy as np
import pytest
from oracles import CAVITY_U, CAVITY_V
from sympy import Eq, Rational, cos, exp, pi, sin, sqrt

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Initial,
    Integral,
    Neumann,
    Periodic,
    Problem,
    Robin,
    coordinates,
    div,
    field,
    laplacian,
    parameter,
    precision,
)
from pinnkit.compile import compile_problem
from pinnkit.errors import OptionError
from pinnkit.methods.base import Run
from pinnkit.methods.steady import Steady

x, y, z = coordinates("x y z")


def solve(problem, **options):
    system = compile_problem(problem)
    assert Steady(**options).supports(system) is None
    with precision.scope("float64"):
        return Steady(**options).run(system, Run(jax.random.key(0)))


def errors(solution, exact):
    """Relative L2 errors by field at random points; `exact` maps names to NumPy functions."""
    random = np.random.default_rng(0)
    bounds = solution.problem.domain.bounds
    at = {a: random.uniform(*bounds[a], 400) for a in bounds}
    found = solution(**at)
    return {
        name: np.linalg.norm(found[name] - f(**at)) / np.linalg.norm(f(**at))
        for name, f in exact.items()
    }


def laplacian_of(expression):
    return sum(expression.diff(a, 2) for a in expression.free_symbols)


@pytest.mark.parametrize("axes", [(x,), (x, y), (x, y, z)])
def test_poisson_in_one_two_and_three_dimensions(axes):
    u = field("u", *axes)
    exact = sin(sum((i + 1) * a for i, a in enumerate(axes))) + exp(axes[0])
    domain = Box(**{a.name: (0, 1) for a in axes})
    solution = solve(
        Problem(
            "poisson",
            domain,
            (
                Equation(Eq(sum(u.diff(a, 2) for a in axes), laplacian_of(exact))),
                Dirichlet(u, exact),
            ),
        ),
        rtol=1e-6,
    )

    def reference(**at):
        return np.sin(sum((i + 1) * at[a.name] for i, a in enumerate(axes))) + np.exp(at["x"])

    assert errors(solution, {"u": reference})["u"] < 1e-7
    assert solution.error_estimate["u"] < 1e-6


def test_helmholtz_with_four_waves():
    u = field("u", x, y)
    exact = sin(pi * x) * sin(4 * pi * y)
    problem = Problem(
        "helmholtz",
        Box(x=(-1, 1), y=(-1, 1)),
        (Equation(Eq(laplacian(u) + u, (1 - 17 * pi**2) * exact)), Dirichlet(u, 0)),
    )
    found = errors(
        solve(problem, rtol=1e-5), {"u": lambda x, y: np.sin(np.pi * x) * np.sin(4 * np.pi * y)}
    )
    assert found["u"] < 1e-8


def test_ctrl_c_ends_the_refinement_and_is_told():
    u = field("u", x)
    problem = Problem(
        "boundary layer",
        Box(x=(-1, 1)),
        (Equation(Eq(u.diff(x, 2) / 1000 - u, 1)), Dirichlet(u, 0)),
    )
    system = compile_problem(problem)
    with precision.scope("float64"):
        stopped = Steady().run(system, Run(jax.random.key(0), interrupted=lambda: True))
    assert stopped.status.interrupted and stopped.status.reason.startswith("interrupted")
    assert stopped.stats["points x"] < solve(problem).stats["points x"]
    assert not solve(problem).status.interrupted


def test_slopes_and_gauge():
    """Pure Neumann data leave a constant, which the integral condition fixes."""
    u = field("u", x, y)
    exact = cos(pi * x) * cos(2 * pi * y) + 3
    problem = Problem(
        "neumann",
        Box(x=(0, 1), y=(0, 1)),
        (Equation(Eq(laplacian(u), laplacian_of(exact))), Neumann(u, 0), Integral(u, 3)),
    )
    found = errors(
        solve(problem, rtol=1e-6, points=27),
        {"u": lambda x, y: np.cos(np.pi * x) * np.cos(2 * np.pi * y) + 3},
    )
    assert found["u"] < 1e-8


def test_mixed_conditions_and_a_periodic_axis():
    u = field("u", x, y)
    exact = exp(x) * sin(2 * pi * y)
    problem = Problem(
        "channel",
        Box(x=(0, 1), y=(0, 1)),
        (
            Equation(Eq(laplacian(u), laplacian_of(exact))),
            Periodic(y),
            Dirichlet(u, sin(2 * pi * y), on="x-"),
            Robin(u, 1, 2, 3 * exact, on="x+"),
        ),
    )
    found = errors(solve(problem, rtol=1e-6), {"u": lambda x, y: np.exp(x) * np.sin(2 * np.pi * y)})
    assert found["u"] < 1e-8


def test_clamped_beam_of_fourth_order():
    u = field("u", x)
    problem = Problem(
        "beam",
        Box(x=(0, 1)),
        (Equation(Eq(u.diff(x, 4), 24)), Dirichlet(u, 0), Neumann(u, 0)),
    )
    found = errors(solve(problem), {"u": lambda x: x**2 * (1 - x) ** 2})
    assert found["u"] < 1e-8


def test_bratu_by_newton():
    """u'' + exp(u) = 0, u = 0 at both ends: the lower branch in closed form."""
    u = field("u", x)
    problem = Problem(
        "bratu", Box(x=(0, 1)), (Equation(Eq(u.diff(x, 2) + exp(u), 0)), Dirichlet(u, 0))
    )
    theta = 1.5171645990507543  # theta = sqrt(2) cosh(theta / 4)
    found = errors(
        solve(problem),
        {"u": lambda x: -2 * np.log(np.cosh((x - 0.5) * theta / 2) / np.cosh(theta / 4))},
    )
    assert found["u"] < 1e-9


def navier_stokes(name, domain, reynolds, *conditions):
    u, v, p = field("u", x, y), field("v", x, y), field("p", x, y)
    re = parameter("Re", reynolds)

    def momentum(w, slope):
        return Eq(u * w.diff(x) + v * w.diff(y) + slope, laplacian(w) / re)

    return Problem(
        name,
        domain,
        (
            Equation(momentum(u, p.diff(x)), name="momentum x"),
            Equation(momentum(v, p.diff(y)), name="momentum y"),
            Equation(Eq(div((u, v), x, y), 0), name="continuity"),
            *conditions,
        ),
    )


def test_kovasznay_with_pressure():
    u, v, p = field("u", x, y), field("v", x, y), field("p", x, y)
    rate = 10 - sqrt(100 + 4 * pi**2)
    side = Rational(1, 2)
    total = side - (exp(rate) - exp(-rate)) / (4 * rate)
    problem = navier_stokes(
        "kovasznay",
        Box(x=(-side, side), y=(-side, side)),
        20,
        Dirichlet(u, 1 - exp(rate * x) * cos(2 * pi * y)),
        Dirichlet(v, rate / (2 * pi) * exp(rate * x) * sin(2 * pi * y)),
        Integral(p, total),
    )
    number = float(rate)
    found = errors(
        solve(problem, rtol=1e-3, points=21),
        {
            "u": lambda x, y: 1 - np.exp(number * x) * np.cos(2 * np.pi * y),
            "v": lambda x, y: number / (2 * np.pi) * np.exp(number * x) * np.sin(2 * np.pi * y),
            "p": lambda x, y: (1 - np.exp(2 * number * x)) / 2,
        },
    )
    assert max(found.values()) < 1e-7


def test_cavity_profiles():
    """Lid 16 x^2 (1 - x)^2 at Re 100 against a streamfunction collocation made elsewhere."""
    u, v, p = field("u", x, y), field("v", x, y), field("p", x, y)
    problem = navier_stokes(
        "cavity",
        Box(x=(0, 1), y=(0, 1)),
        100,
        Dirichlet(u, 16 * x**2 * (1 - x) ** 2, on="y+"),
        Dirichlet(u, 0, on=("x-", "x+", "y-")),
        Dirichlet(v, 0),
        Integral(p, 0),
    )
    solution = solve(problem, points=21, rtol=1e-2)
    places = np.arange(1, 10) / 10
    np.testing.assert_allclose(solution(x=0.5, y=places)["u"], CAVITY_U, atol=1e-3)
    np.testing.assert_allclose(solution(x=places, y=0.5)["v"], CAVITY_V, atol=1e-3)


def test_refusals_and_missing_conditions_are_in_words():
    t = coordinates("t")
    w = field("w", t, x)
    heat = Problem(
        "heat",
        Box(t=(0, 1), x=(0, 1), time="t"),
        (Equation(Eq(w.diff(t), w.diff(x, 2))), Initial(w, 0), Dirichlet(w, 0)),
    )
    assert "evolves in time" in Steady().supports(compile_problem(heat))
    with pytest.raises(OptionError, match="too coarse"):
        Steady(points=3)


def test_earlier_condition_wins_in_a_corner_unless_priority_says_otherwise():
    u = field("u", x, y)

    def corner(*conditions):
        solution = solve(
            Problem("corner", Box(x=(0, 1), y=(0, 1)), (Equation(laplacian(u)), *conditions)),
            points=13,
            rtol=0.5,
        )
        return float(solution(x=1.0, y=1.0)["u"])

    lid, walls = dict(on="y+"), dict(on=("x-", "x+", "y-"))
    high = corner(Dirichlet(u, 1, **lid, priority=1), Dirichlet(u, 0, **walls))
    low = corner(Dirichlet(u, 1, **lid), Dirichlet(u, 0, **walls, priority=1))
    assert high == pytest.approx(1, abs=1e-9) and low == pytest.approx(0, abs=1e-9)
