"""Pseudo-time against the same run without it: a state that leaves an unstable equilibrium."""

import numpy as np
import pytest
from sympy import Eq

import pinnkit as pk

pytestmark = pytest.mark.accuracy
t = pk.coordinates("t")
u = pk.field("u", t)
START, RATE, END = 1e-3, 10, 1.5
LEAVING = pk.Problem(
    "leaving",
    pk.Box(t=(0, END), time="t"),
    [pk.Equation(Eq(u.diff(t), RATE * (u - u**3))), pk.Initial(u, START)],
)
TIMES = np.linspace(0, END, 401)
RATIO = START**2 / (1 - START**2) * np.exp(2 * RATE * TIMES)
TRUE = np.sqrt(RATIO / (1 + RATIO))


def error(pseudo_time, key):
    """Relative error; one where u stays near zero, which solves the equation nearly as well."""
    method = pk.PINN(
        network=pk.nn.MLP(20, 2),
        stages=(pk.LevenbergMarquardt(steps=200, resample_every=5),),
        points=200,
        sampling=pk.sampling.Even(),
        pseudo_time=pseudo_time,
        windows=1,
    )
    found = pk.solve(LEAVING, method, key=key, quiet=True)(t=TIMES)["u"]
    return np.linalg.norm(found - TRUE) / np.linalg.norm(TRUE)


@pytest.mark.parametrize("key", range(2))
def test_pseudo_time_leaves_a_wrong_state_with_a_small_residual(key):
    plain, stepped = error(None, key), error(pk.PseudoTime(largest=1.0), key)
    assert stepped <= 1e-4 and stepped <= plain / 10
