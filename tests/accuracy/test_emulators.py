"""Chaos learned step by step: errors after a fixed number of iterations, with and without help."""

from pathlib import Path

import jax
import numpy as np
import pytest

import pinnkit as pk
from pinnkit.methods.emulator.noda import twin_errors
from pinnkit.methods.emulator.objective import Shelf
from pinnkit.methods.emulator.trajectories import layout, trajectories
from pinnkit.nn import FNO

pytestmark = pytest.mark.accuracy

PROBLEM = Path(__file__).resolve().parents[2] / "problems" / "ks_family.py"


def test_few_noisy_measurements_keep_the_error_of_a_chaotic_forecast_bounded():
    """Three of 64 nodes, other ones at each step, noise of a tenth; 200 steps are five to nine
    Lyapunov times, after which the forecast alone has nothing to do with the truth."""
    problem = pk.load(PROBLEM, end=150, length=22)
    data = pk.dataset(problem, 240, resolution=64, frames=200, after=50, stride=2, steps=4)
    train, test = data.subset(slice(0, 210)), data.subset(slice(210, 240))
    observations = pk.Observations(0.05, snr=20.0)
    emulator = pk.Emulator(FNO(24, 16, 3), train, steps=800)
    method = pk.NODA(emulator, FNO(24, 16, 3), observations, steps=(300, 80))
    solution = pk.solve(problem, method, quiet=True)
    assert solution.stats["one-step error"] < 5e-3
    shelf = Shelf.of(*trajectories(test, layout(test, "t")))
    helped, alone = (
        np.median(errors, axis=0)
        for errors in twin_errors(solution.evaluator, shelf, observations, jax.random.key(5))
    )
    assert helped[50:].max() < 0.25 and helped[150:].mean() < 1.3 * helped[50:100].mean()
    assert alone[200] > 0.9 and alone[200] > 4 * helped[200]
