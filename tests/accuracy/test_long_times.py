"""Networks in windows of time, after fixed numbers of steps, against independent integrators."""

from pathlib import Path

import numpy as np
import pytest
from oracles import chaotic_kuramoto_sivashinsky, lorenz

import pinnkit as pk

pytestmark = pytest.mark.accuracy
PROBLEMS = Path(__file__).resolve().parents[2] / "problems"


def test_lorenz_in_sixteen_windows():
    method = pk.PINN(network=pk.nn.MLP(10, 2), windows=16, stages=(pk.FactoredSSBFGS(steps=800),))
    solution = pk.solve(pk.load(PROBLEMS / "lorenz.py", end=2), method, quiet=True)
    times = np.linspace(0, 2, 401)
    found, true = solution(t=times), lorenz(times)
    for name, values in zip("xyz", true, strict=True):
        error = np.linalg.norm(found[name] - values) / np.linalg.norm(values)
        assert error < 3e-7


def test_chaotic_kuramoto_sivashinsky_in_two_windows():
    method = pk.PINN(
        network=pk.nn.MLP(20, 3), harmonics=5, windows=2, stages=(pk.SSBFGS(steps=600),)
    )
    solution = pk.solve(pk.load(PROBLEMS / "ks_chaotic.py", end=0.1), method, quiet=True)
    times, x = np.linspace(0.02, 0.1, 5), np.linspace(0, 2 * np.pi, 256, endpoint=False)
    true = chaotic_kuramoto_sivashinsky(times, x)
    found = solution(t=times[:, None], x=x[None, :])["u"]
    assert np.linalg.norm(found - true) < 3e-4 * np.linalg.norm(true)


def test_a_network_that_fast_convection_defeats_says_so():
    """Its residual is small in units of a term as large as c u_x, but not over the whole time."""
    method = pk.PINN(network=pk.nn.MLP(10, 2), windows=1, stages=(pk.SSBFGS(steps=300),))
    solution = pk.solve(pk.load(PROBLEMS / "advection.py", c=50), method, quiet=True)
    error = solution.compare(pk.solve(solution.problem, pk.Exact(), quiet=True))
    assert error.to_json()["fields"]["u"]["rel_l2"] > 0.1
    assert not solution.status.ok and "adds up to" in solution.status.reason
