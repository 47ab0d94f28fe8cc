"""PINN with mixtures on windows: the default training, run files, refusals."""

from pathlib import Path

import numpy as np
import pytest

import pinnkit as pk
from pinnkit.ansatz import build_ansatz, enforce
from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError
from pinnkit.methods.pinn_defaults import recommended_stages
from pinnkit.training import SSBFGS, VariableProjection

PROBLEMS = Path(__file__).parents[2] / "problems"
OSCILLATOR = pk.load(PROBLEMS / "damped_oscillator.py", omega0=20)
MIXTURE = pk.nn.Mixture(pk.nn.MLP(10, 1), 5)


def test_the_last_layers_are_solved_for_and_a_run_file_holds_the_answer(tmp_path):
    stage = VariableProjection(SSBFGS(steps=20))
    solution = pk.solve(OSCILLATOR, pk.PINN(MIXTURE, (stage,), windows=1), quiet=True)
    exact = pk.solve(OSCILLATOR, pk.Exact(), quiet=True)
    assert solution.status.ok and "VariableProjection" in solution.status.reason
    t = np.linspace(0, 1, 201)
    error = np.asarray(solution(t=t)["u"]) - np.asarray(exact(t=t)["u"])
    assert np.abs(error).max() < 1e-4
    assert float(solution(t=0.0)["u"]) == 1.0
    assert "nested" not in solution.stats["derivatives"]
    solution.save(tmp_path / "run.h5")
    again = pk.Solution.load(tmp_path / "run.h5")
    np.testing.assert_array_equal(again(t=t)["u"], solution(t=t)["u"])


@pytest.mark.parametrize(
    ("name", "mixture", "projected"),
    [
        ("damped_oscillator", MIXTURE, True),
        ("damped_oscillator", pk.nn.Mixture(pk.nn.MLP(10, 1), 70), False),
        ("burgers", pk.nn.Mixture(pk.nn.MLP(10, 1), 3), False),
    ],
    ids=["linear", "too many", "nonlinear"],
)
def test_default_stages_project_where_that_pays(x64, key, name, mixture, projected):
    system = compile_problem(pk.load(PROBLEMS / f"{name}.py"))
    ansatz = build_ansatz(enforce(system), mixture, key=key)
    (stage,) = recommended_stages(ansatz, None, system.traits.linear)
    assert isinstance(stage, VariableProjection) == projected


def test_variable_projection_is_refused_where_the_equations_are_not_linear():
    burgers = pk.load(PROBLEMS / "burgers.py")
    method = pk.PINN(stages=(VariableProjection(SSBFGS(steps=5)),))
    with pytest.raises(MethodError, match="VariableProjection cannot train 'burgers'"):
        pk.solve(burgers, method, quiet=True)
