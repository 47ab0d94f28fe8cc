"""Causal weights and pseudo-time against the same runs without them: Lorenz in one long window."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from oracles import lorenz

import pinnkit as pk

pytestmark = pytest.mark.accuracy
LORENZ = Path(__file__).resolve().parents[2] / "problems/lorenz.py"
END = 1.5


def error(method, key):
    """Largest relative error of the three fields."""
    solution = pk.solve(pk.load(LORENZ, end=END), method, key=key, quiet=True)
    times = np.linspace(0, END, 2001)
    found = solution(t=times)
    return max(
        np.linalg.norm(found[name] - true) / np.linalg.norm(true)
        for name, true in zip("xyz", lorenz(times), strict=True)
    )


ADAM = pk.PINN(
    network=pk.nn.MLP(40, 3),
    stages=(pk.Adam(steps=12000, learning_rate=5e-3, decay_steps=600),),
    points=256,
    sampling=pk.sampling.Even(),
    windows=1,
)
DAMPED = dataclasses.replace(
    ADAM,
    network=pk.nn.MLP(20, 2),
    stages=(pk.LevenbergMarquardt(steps=300, resample_every=5),),
)


@pytest.mark.parametrize("key", range(3))
def test_causal_weights_cut_the_error_of_a_long_window_tenfold(key):
    causal = dataclasses.replace(ADAM, causality=pk.Causal(epsilons=(1e3,)))
    assert error(causal, key) <= error(ADAM, key) / 10


def test_pseudo_time_leaves_a_wrong_state_with_small_residuals():
    stepped = dataclasses.replace(DAMPED, pseudo_time=pk.PseudoTime())
    assert error(stepped, 0) <= 1e-4 and error(DAMPED, 0) >= 0.1
