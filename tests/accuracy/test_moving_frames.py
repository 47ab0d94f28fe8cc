"""Moving frames by trained networks and by the method of lines, against independent oracles."""

from pathlib import Path

import numpy as np
import pytest
from sympy import pi, sin

import pinnkit as pk
from tests.oracles import burgers_on_a_mean_flow

pytestmark = pytest.mark.accuracy
PROBLEMS = Path(__file__).resolve().parents[2] / "problems"


def squeezed(mean=10.0, nodes=400, gap=1e-4):
    """J at t = 1 on the label pi, which goes with the front: J_t = u_x J, u_x by Cole-Hopf."""
    times = (np.arange(nodes) + 0.5) / nodes
    sides = [
        burgers_on_a_mean_flow(t, np.pi + mean * t + np.array([-gap, gap]), c=mean) for t in times
    ]
    return np.exp(np.mean([(high - low) / (2 * gap) for low, high in sides]))


def test_a_steepening_wave_on_a_mean_flow():
    method = pk.Lagrangian(pk.PINN(windows=1, stages=(pk.SSBFGS(steps=600),)))
    problem = pk.load(PROBLEMS / "burgers_periodic.py")
    solution = pk.solve(problem, method, quiet=True)
    assert solution.status.ok
    assert solution.stats["min J"] == pytest.approx(squeezed(), rel=0.05)
    x = np.linspace(0, 2 * np.pi, 201)
    for time in (0.3, 0.7, 1.0):
        exact = burgers_on_a_mean_flow(time, x)
        found = solution(t=time, x=x)["u"]
        assert np.linalg.norm(found - exact) < 3e-4 * np.linalg.norm(exact)


def test_inviscid_characteristics_cross_at_one():
    """By the method of lines on labels, where the problem is linear in t and smooth."""
    t, x = pk.coordinates("t x")
    u = pk.field("u", t, x)
    domain = pk.Box(t=(0, 1.25), x=(0, 2 * pi), time="t")
    equation = pk.Equation(u.diff(t) + u * u.diff(x))
    problem = pk.Problem("inviscid", domain, [equation, pk.Initial(u, 2 + sin(x)), pk.Periodic(x)])
    solution = pk.solve(problem, pk.Lagrangian(pk.Lines()), quiet=True)
    assert not solution.status.ok
    assert "of use up to t = 1." in str(solution.status)
    assert solution.stats["min J"] == pytest.approx(-0.25, abs=1e-6)
    xi = np.linspace(0, 2 * np.pi, 101)
    places = (xi + 0.9 * (2 + np.sin(xi))) % (2 * np.pi)
    np.testing.assert_allclose(solution(t=0.9, x=places)["u"], 2 + np.sin(xi), rtol=0, atol=1e-8)
