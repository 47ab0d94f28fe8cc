"""Evolution problems by the method of lines against closed forms and plain NumPy."""

from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import pinnkit as pk
from tests.oracles import burgers_on_a_mean_flow, ginzburg_landau, vorticity_on_torus

pytestmark = pytest.mark.accuracy
PROBLEMS = Path(__file__).resolve().parents[2] / "problems"


def load(name, **options):
    return pk.load(PROBLEMS / f"{name}.py", **options)


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def test_vorticity_on_a_torus_agrees_with_plain_numpy():
    problem = load("ns_torus")
    solution = pk.solve(problem, pk.Lines(points=128, rtol=1e-5))
    grid = 2 * np.pi * np.arange(144) / 144
    w, nu = problem.field("w"), problem.parameter_values["nu"]
    start = next(c.value for c in problem.conditions if c.kind.value == "initial" and c.target == w)
    begun = sp.lambdify(sp.symbols("x y"), str(start), "numpy")
    expected = vorticity_on_torus([0.5, 1.0], begun, points=144, steps=300, nu=nu)
    for time, values in zip([0.5, 1.0], expected, strict=True):
        found = solution(t=time, x=grid[:, None], y=grid[None, :])["w"]
        assert relative(found, values) < 2e-6


def test_burgers_on_a_mean_flow_follows_cole_hopf():
    solution = pk.solve(load("burgers_periodic"), pk.Lines())
    assert solution.status.ok and solution.error_estimate["u"] < 1e-8
    x = np.linspace(0.0, 6.0, 97)
    for time in (0.05, 0.5, 1.0):
        expected = burgers_on_a_mean_flow(time, x)
        assert np.abs(solution(t=time, x=x)["u"] - expected).max() < 1e-7


def test_korteweg_de_vries_keeps_its_invariants():
    """Integrals of u, u^2 and u^3 / 3 - d^2 u_x^2."""
    solution = pk.solve(load("kdv_periodic"), pk.Lines())
    n, d = 2048, 0.022
    x = -1 + 2 * np.arange(n) / n
    u = solution(t=np.linspace(0, 1, 9)[:, None], x=x[None, :])["u"]
    slope = np.fft.irfft(1j * np.pi * np.arange(n // 2 + 1) * np.fft.rfft(u), n)
    energy = (u**3 / 3 - d**2 * slope**2).mean(axis=1)
    assert np.abs(u.mean(axis=1)).max() < 1e-10
    assert np.ptp((u**2).mean(axis=1)) < 1e-7
    assert np.ptp(energy) < 1e-7


def test_ginzburg_landau_agrees_with_plain_numpy():
    solution = pk.solve(load("ginzburg_landau"), pk.Lines(rtol=2e-4))
    grid = -1 + 2 * np.arange(128) / 128
    (expected,) = ginzburg_landau([0.5])
    found = solution(t=0.5, x=grid[:, None], y=grid[None, :])
    assert relative(found["u"], expected.real) < 2e-5
    assert relative(found["v"], expected.imag) < 2e-5


def test_a_pulse_keeps_its_height_over_thirty_widths():
    solution = pk.solve(load("advection_pulse"), pk.Lines(rtol=1e-5))
    x = np.linspace(-2, 2, 401)
    expected = np.exp(-((x - 1.5) ** 2) / 0.02)
    assert relative(solution(t=12.0, x=x)["u"], expected) < 1e-5
