"""Layers that satisfy the equations against the same network without one, at fixed iterations."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts/benchmarks"))

import hard_constraints  # noqa: E402

import pinnkit as pk  # noqa: E402

pytestmark = pytest.mark.accuracy


def test_diffusion_and_sorption_from_states_never_seen():
    problem = pk.load(hard_constraints.PROBLEMS / "diffusion_sorption_family.py")
    errors = {}
    for kind in ("soft", "hard"):
        method = hard_constraints.operator(hard_constraints.KINDS[kind], 150)
        errors[kind] = pk.solve(problem, method, quiet=True).error_estimate["u"]
    print(errors)
    assert errors["hard"] < 0.035
    assert errors["hard"] < errors["soft"] / 2


def test_short_waves_from_sources_never_seen():
    """Residuals alone teach a network little of waves that leave next to nothing in them."""
    case = hard_constraints.CASES["waves"]
    problem = pk.load(hard_constraints.PROBLEMS / f"{case.family}.py")
    errors = {}
    for kind in ("soft", "hard"):
        method = case.operator(kind, 600)
        errors[kind] = pk.solve(problem, method, quiet=True).error_estimate["u"]
    print(errors)
    assert errors["hard"] < 0.15
    assert errors["hard"] < errors["soft"] / 4
