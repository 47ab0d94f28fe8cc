"""Evolving networks against closed forms, Cole-Hopf and an upwind scheme of the same size.

Thresholds stand within a small factor of what is achieved with key 0 in float64.
"""

from pathlib import Path

import numpy as np
import pytest
from sympy import Eq, Rational, cos, exp, pi, sin

import pinnkit as pk

pytestmark = pytest.mark.accuracy
PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
PULSE = pk.Evolving(pk.nn.MLP(20, 2), pk.ImplicitRungeKutta(0.05))


def solve(name, method, **parameters):
    solution = pk.solve(pk.load(PROBLEMS / f"{name}.py", **parameters), method, quiet=True)
    assert solution.status.ok, solution.status
    return solution


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def upwind(unknowns, speed=0.25, end=12.0):
    """First-order upwind at three quarters of its stability limit: nodes and values."""
    nodes, step = np.linspace(-2, 2, unknowns + 1, retstep=True)
    steps = int(np.ceil(end * speed / (0.75 * step)))
    courant = speed * end / steps / step
    values = np.exp(-50 * (nodes + 1.5) ** 2)
    for _ in range(steps):
        values[1:] -= courant * (values[1:] - values[:-1])
    return nodes, values


def test_pulse_travels_thirty_widths():
    solution = solve("advection_pulse", PULSE)
    nodes, coarse = upwind(solution.stats["parameters"])
    exact = np.exp(-50 * (nodes - 1.5) ** 2)
    found = solution(t=12.0, x=nodes)["u"]
    assert relative(found, exact) < 6e-3
    assert found.max() > 0.993
    assert relative(coarse, exact) > 30 * relative(found, exact)


@pytest.mark.parametrize(
    ("rule", "order"), [(pk.ImplicitEuler, 1), (pk.ImplicitMidpoint, 2), (pk.ImplicitRungeKutta, 3)]
)
def test_orders_in_time(rule, order):
    """A smooth wave that six units resolve; fitted over halved steps."""
    t, x = pk.coordinates("t x")
    u, v = pk.field("u", t, x), pk.field("v", t, x)
    problem = pk.Problem(
        name="turning",
        domain=pk.Box(t=(0, 1), x=(0, 2 * pi), time="t"),
        conditions=[
            pk.Equation(Eq(u.diff(t), v - u.diff(x))),
            pk.Equation(Eq(v.diff(t), -u - v.diff(x))),
            pk.Initial(u, sin(x)),
            pk.Initial(v, 0),
            pk.Periodic(x),
        ],
    )
    xs, steps, errors = np.linspace(0, 2 * np.pi, 50), (4, 8, 16), []
    for count in steps:
        method = pk.Evolving(pk.nn.MLP(6, 1), rule(1 / count), tolerance=1e-4)
        solution = pk.solve(problem, method, quiet=True)
        errors.append(np.abs(solution(t=1.0, x=xs)["u"] - np.cos(1) * np.sin(xs - 1)).max())
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.25)


def cole_hopf(nu, t, x):
    """Burgers' solution from -sin(pi x), by Gauss-Hermite quadrature."""
    eta, weight = np.polynomial.hermite.hermgauss(120)
    places = x[:, None] - np.sqrt(4 * nu * t) * eta[None, :]
    factor = weight[None, :] * np.exp(-np.cos(np.pi * places) / (2 * np.pi * nu))
    return -np.sum(np.sin(np.pi * places) * factor, 1) / np.sum(factor, 1)


@pytest.mark.parametrize(
    ("stepping", "bound"), [(pk.ImplicitRungeKutta(0.02), 4e-3), (pk.Projected(0.05), 2e-4)]
)
def test_burgers(stepping, bound):
    solution = solve("burgers", pk.Evolving(pk.nn.MLP(12, 2), stepping), nu=0.05)
    xs = np.linspace(-1, 1, 201)
    assert relative(solution(t=1.0, x=xs)["u"], cole_hopf(0.05, 1.0, xs)) < bound


def test_heat_in_two_dimensions():
    solution = solve("heat2d", pk.Evolving(pk.nn.MLP(12, 2), pk.ImplicitMidpoint(0.05)))
    reference = pk.solve(solution.problem, pk.Exact(), quiet=True)
    xs = np.linspace(0, 1, 31)
    at = {"t": np.array(1.0), "x": xs[:, None], "y": xs[None, :]}
    assert relative(solution(**at)["u"], reference(**at)["u"]) < 2e-3


def test_conditions_that_stay_soft():
    """Cooling by a Robin condition, u + u_x = 0 at the right end, made for a closed form."""
    t, x = pk.coordinates("t x")
    u = pk.field("u", t, x)
    k = 0.8603335890193797  # k tan k = 1
    solution = pk.solve(
        pk.Problem(
            name="cooling",
            domain=pk.Box(t=(0, 1), x=(0, 1), time="t"),
            conditions=[
                pk.Equation(Eq(u.diff(t), Rational(1, 2) * u.diff(x, 2))),
                pk.Initial(u, cos(k * x)),
                pk.Neumann(u, 0, on="x-"),
                pk.Robin(u, 1, 1, 0, on="x+"),
            ],
            exact={u: exp(-(k**2) * t / 2) * cos(k * x)},
        ),
        pk.Evolving(pk.nn.MLP(8, 1), pk.ImplicitRungeKutta(0.05)),
        quiet=True,
    )
    assert solution.status.ok and "soft" in solution.stats["conditions"]
    xs = np.linspace(0, 1, 50)
    assert relative(solution(t=1.0, x=xs)["u"], np.exp(-(k**2) / 2) * np.cos(k * xs)) < 3e-4
