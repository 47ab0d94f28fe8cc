"""Mixtures on windows where one network fails: the damped oscillator with omega0 = 80."""

from pathlib import Path

import numpy as np
import pytest

import pinnkit as pk

pytestmark = pytest.mark.accuracy
OSCILLATOR = pk.load(Path(__file__).parents[2] / "problems" / "damped_oscillator.py")
WINDOWS = pk.nn.Mixture(pk.nn.MLP(16, 1), 15)


def error(method):
    """Relative L2 error, and the solution."""
    solution = pk.solve(OSCILLATOR, method, quiet=True)
    t = np.linspace(0, 1, 2001)
    exact = np.asarray(pk.solve(OSCILLATOR, pk.Exact(), quiet=True)(t=t)["u"])
    miss = np.asarray(solution(t=t)["u"]) - exact
    return np.linalg.norm(miss) / np.linalg.norm(exact), solution


def test_hidden_weights_trained_through_the_solve():
    stage = pk.VariableProjection(pk.SSBFGS(steps=100))
    found, solution = error(pk.PINN(WINDOWS, (stage,), windows=1))
    assert solution.status.ok and found < 3e-6


def test_one_solve_with_random_hidden_weights():
    found, _ = error(pk.PINN(WINDOWS, (pk.LastLayer(damping=0.0),), windows=1))
    assert found < 1e-3


def test_one_network_fails_and_says_so():
    plain, solution = error(pk.PINN(stages=(pk.SSBFGS(steps=1000),), windows=1))
    assert not solution.status.ok and plain > 0.1


def test_mixtures_in_windows_that_are_done_in_turn():
    mixture = pk.nn.Mixture(pk.nn.MLP(12, 1), 5)
    stage = pk.VariableProjection(pk.SSBFGS(steps=40))
    found, solution = error(pk.PINN(mixture, (stage,), windows=3))
    assert solution.status.ok and found < 5e-5
