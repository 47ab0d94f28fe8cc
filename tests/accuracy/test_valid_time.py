"""How errors grow in a chaotic problem, and for how long its solutions are valid."""

from pathlib import Path

import numpy as np
import pytest

import pinnkit as pk

pytestmark = pytest.mark.accuracy

PROBLEM = Path(__file__).resolve().parents[2] / "problems" / "ks_l22.py"
LYAPUNOV = 0.048


def test_experts_lose_a_chaotic_solution_at_the_rate_of_the_lyapunov_exponent():
    """Errors of 1e-7 become of order one after a dozen Lyapunov times, with the slope they have."""
    problem = pk.load(PROBLEM, end=300)
    reference = pk.solve(problem, pk.LeastSquares(), quiet=True)
    coarse = pk.solve(problem, pk.LeastSquares(tolerance=1e-3), quiet=True)
    result = coarse.compare(reference, resolution={"t": 601, "x": 64})
    row = result.valid_time(lyapunov=LYAPUNOV).loc["u"]
    assert row["passed"] and 9 < row["lyapunov_times"] < 14
    part = result.by_time["u"].loc[80:260]
    slope = np.polyfit(part.index, np.log(part), 1)[0]
    assert slope == pytest.approx(LYAPUNOV, rel=0.5)
