"""The entry point: the printed default, what follows when it fails, budgets, equal runs."""

from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods.base import Method
from pinnkit.methods.choose import candidates
from pinnkit.solution import Pointwise, Solution, Status
from pinnkit.study import Case

PROBLEMS = Path(__file__).resolve().parents[1] / "problems"
DEFAULTS = {
    "heat1d": "LeastSquares",
    "burgers": "LeastSquares",
    "ks_regular": "LeastSquares",
    "lorenz": "Lines",
    "well_finite": "Eigen",
    "darcy_family": "Operator",
    "poisson_disks": "LeastSquares",
    "cavity": "LeastSquares",
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_default_follows_the_traits(name):
    method, why = candidates(compile_problem(pk.load(PROBLEMS / f"{name}.py")))[0]
    assert method.name == DEFAULTS[name] and why


class Zero(eqx.Module):
    def __call__(self, z):
        return jnp.zeros(1)


class Fixed(Method):
    """Answers zero, with a given verdict."""

    ok: bool = True

    def supports(self, system):
        return None

    def run(self, system, run):
        return Solution(system.problem, Pointwise(Zero()), self.name, Status(self.ok, "verdict"))


def test_next_best_follows_a_failure(monkeypatch, capsys):
    import sys

    found = [(Fixed(False), "first"), (Fixed(True), "second"), (Fixed(True), "third")]
    monkeypatch.setattr(sys.modules["pinnkit.solve"], "candidates", lambda system: found)
    solution = pk.solve(pk.load(PROBLEMS / "heat1d.py"))
    assert solution.status.ok
    said = capsys.readouterr().err
    assert "first" in said and "not solved: verdict" in said and "second" in said
    assert "third" not in said


def test_provenance_names_what_made_the_solution():
    problem = pk.load(PROBLEMS / "heat1d.py")
    solution = pk.solve(problem, Fixed(), key=3)
    assert solution.provenance["digest"] == compile_problem(problem).digest
    assert solution.provenance["key"] == 3 and "Fixed" in solution.provenance["method"]
    assert solution.stats["wall_s"] >= 0


def test_bad_options():
    problem = pk.load(PROBLEMS / "heat1d.py")
    with pytest.raises(OptionError, match="budget is 0"):
        pk.solve(problem, Fixed(), seconds=0)
    with pytest.raises(OptionError, match="precision='half'"):
        pk.solve(problem, Fixed(), precision="half")
    with pytest.raises(MethodError, match="Eigen cannot solve 'heat1d'.*Choose another"):
        pk.solve(problem, pk.Eigen())


def test_what_is_no_method_is_refused_with_what_is():
    problem = pk.load(PROBLEMS / "heat1d.py")
    with pytest.raises(OptionError, match=r"method='pinn' is no method.*pk.LeastSquares\(\), pk.P"):
        pk.solve(problem, "pinn")
    with pytest.raises(OptionError, match=r"method=PINN is a class. Give an instance: PINN\(\)"):
        pk.solve(problem, pk.PINN)
    with pytest.raises(OptionError, match=r"method=3 is no method"):
        Case(problem, 3)


@pytest.mark.accuracy
def test_equal_keys_give_equal_solutions():
    problem = pk.load(PROBLEMS / "heat1d.py")
    method = pk.PINN(pk.nn.MLP(8, 2), stages=(pk.SSBFGS(steps=20),), points=200)
    x = np.linspace(0, 1, 20)
    first, again, other = (pk.solve(problem, method, key=k)(t=0.3, x=x)["u"] for k in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
