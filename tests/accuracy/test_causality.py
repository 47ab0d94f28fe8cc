"""Causal weights against the same run without them: Lorenz's system in one long window."""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import pinnkit as pk

pytestmark = pytest.mark.accuracy
LORENZ = Path(__file__).resolve().parents[2] / "problems/lorenz.py"
END = 1.5


def orbit(times):
    """(3, N), by an eighth-order Runge-Kutta method."""

    def rate(_, u):
        x, y, z = u
        return [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]

    options = dict(method="DOP853", rtol=1e-12, atol=1e-12)
    return solve_ivp(rate, (0, END), [1, 1, 1], t_eval=times, **options).y


def error(causality, key):
    """Largest relative error of the three fields."""
    method = pk.PINN(
        network=pk.nn.MLP(40, 3),
        stages=(pk.Adam(steps=12000, learning_rate=5e-3, decay_steps=600),),
        points=256,
        sampling=pk.sampling.Even(),
        causality=causality,
        windows=1,
    )
    solution = pk.solve(pk.load(LORENZ, end=END), method, key=key, quiet=True)
    times = np.linspace(0, END, 2001)
    found = solution(t=times)
    return max(
        np.linalg.norm(found[name] - true) / np.linalg.norm(true)
        for name, true in zip("xyz", orbit(times), strict=True)
    )


@pytest.mark.parametrize("key", range(3))
def test_causal_weights_cut_the_error_of_a_long_window_tenfold(key):
    plain, causal = (error(rule, key) for rule in (None, pk.Causal(epsilons=(1e3,))))
    assert causal <= plain / 10
