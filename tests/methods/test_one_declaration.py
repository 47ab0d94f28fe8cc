"""One linear and one nonlinear problem file, solved every way by changing only the method."""

from pathlib import Path

import numpy as np
import pytest

import pinnkit as pk

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
NETWORK = pk.PINN(stages=(pk.SSBFGS(steps=250),), points=600)
OPERATOR = pk.Operator(samples=100, steps=300, resolution=64, frames=16)
trained = pytest.mark.accuracy
EVERY = pytest.mark.parametrize(
    ("method", "bound"),
    [
        pytest.param(NETWORK, 1e-2, id="PINN", marks=trained),
        pytest.param(OPERATOR, 1e-1, id="Operator", marks=trained),
        pytest.param(pk.Lines(), 1e-6, id="Lines"),
        pytest.param(pk.LeastSquares(), 1e-9, id="LeastSquares"),
    ],
)


@EVERY
def test_linear(method, bound):
    problem = pk.load(PROBLEMS / "heat1d.py")
    comparison = pk.solve(problem, method).compare(pk.solve(problem, pk.Exact()))
    assert comparison.to_json()["fields"]["u"]["rel_l2"] < bound


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    import subprocess
    import sys

    path = tmp_path_factory.mktemp("reference") / "cole_hopf.h5"
    script = PROBLEMS.parent / "scripts/references/cole_hopf.py"
    subprocess.run([sys.executable, script, "--nu", "0.05", "--out", path], check=True)
    return path


@EVERY
def test_nonlinear(method, bound, reference):
    problem = pk.load(PROBLEMS / "burgers.py", nu=0.05)
    solution = pk.solve(problem, method)
    assert solution.compare(reference).to_json()["fields"]["u"]["rel_l2"] < bound
    assert np.isfinite(solution(t=0.5, x=0.1)["u"])
