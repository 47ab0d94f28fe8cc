"""How well coefficients are inferred: ten seeds of noise, 100 points with 1 % noise each."""

from pathlib import Path

import numpy as np
import pytest

import pinnkit as pk

pytestmark = pytest.mark.accuracy
PROBLEM = Path(__file__).resolve().parents[2] / "problems" / "reaction_diffusion.py"
TRUTH = {"D": 0.05, "k": 2.0}


def inferred(problem, reference, seed):
    rng = np.random.default_rng(seed)
    t, x = rng.uniform(0, 1, (2, 100))
    u = reference(t=t, x=x)["u"]
    noisy = u + 0.01 * np.sqrt(np.mean(u**2)) * rng.normal(size=100)
    data = pk.Observed(problem.fields[0], at={"t": t, "x": x}, values=noisy, name="density")
    posed = problem.replace(conditions=[*problem.conditions, data])
    return pk.infer(posed, {"D": (0.005, 0.02, 0.5), "k": (0.2, 1.0, 10.0)})


def test_both_coefficients_within_two_percent_in_nine_of_ten_seeds():
    problem = pk.load(PROBLEM)
    reference = pk.solve(problem, pk.Lines(), quiet=True)
    found = [inferred(problem, reference, seed) for seed in range(10)]
    errors = np.array([[abs(f.parameters[n] / v - 1) for n, v in TRUTH.items()] for f in found])
    assert np.sort(errors.max(axis=1))[8] <= 0.02
    # The standard errors are honest: of twenty deviations in their units, the root mean square.
    scaled = [(f.parameters[n] - v) / f.standard_errors[n] for f in found for n, v in TRUTH.items()]
    assert 0.5 <= np.sqrt(np.mean(np.square(scaled))) <= 1.6
