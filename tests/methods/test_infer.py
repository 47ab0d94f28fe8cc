"""Inverse problems: parameters, gains and sources from observed data."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import pinnkit as pk
from pinnkit.errors import MethodError, OptionError
from pinnkit.methods.levenberg import Range
from pinnkit.spec.symbols import coordinates, field, parameter

pytestmark = pytest.mark.usefixtures("x64")

ROOT = Path(__file__).resolve().parents[2]
X = coordinates("x")
U = field("u", X)
QUICK = pk.LeastSquares(pk.Chebyshev(degree=16))


def observed(problem, field_of, at, values, name="data"):
    data = pk.Observed(field_of, at=at, values=values, name=name)
    return problem.replace(conditions=[*problem.conditions, data])


def rod(source, *more, right=0):
    conditions = [
        pk.Equation(sp.Eq(-U.diff(X, 2), source)),
        pk.Dirichlet(U, 0, on="x-"),
        pk.Dirichlet(U, right, on="x+"),
        *more,
    ]
    return pk.Problem(name="rod", domain=pk.Box(x=(0, 1)), conditions=conditions)


def modes(count):
    return sum(parameter(f"a{i}", 0.1) * i**2 * sp.sin(i * sp.pi * X) for i in range(1, count + 1))


def responses(count, x):
    """u for a_i = 1 alone: -u'' = i^2 sin(i pi x)."""
    return np.stack([np.sin(i * np.pi * x) for i in range(1, count + 1)], axis=1) / np.pi**2


@pytest.mark.accuracy
def test_diffusion_and_rate_from_noisy_points():
    """Data by the method of lines, which shares nothing with the experts."""
    problem = pk.load(ROOT / "problems" / "reaction_diffusion.py")
    rng = np.random.default_rng(1)
    t, x = rng.uniform(0, 1, (2, 100))
    u = pk.solve(problem, pk.Lines(), quiet=True)(t=t, x=x)["u"]
    noisy = u + 0.01 * np.sqrt(np.mean(u**2)) * rng.normal(size=100)
    posed = observed(problem, problem.fields[0], {"t": t, "x": x}, noisy)
    found = pk.infer(posed, {"D": (0.005, 0.02, 0.5), "k": (0.2, 1, 10)})
    assert found.status.ok
    assert found.parameters["D"] == pytest.approx(0.05, rel=0.02)
    assert found.parameters["k"] == pytest.approx(2.0, rel=0.02)
    for name, truth in {"D": 0.05, "k": 2.0}.items():
        assert abs(found.parameters[name] - truth) <= 4 * found.standard_errors[name]
    assert found.solution.problem.parameter_values == found.parameters
    assert found.solution(t=0.5, x=0.5)["u"] == pytest.approx(0.46, abs=0.3)
    lengths = {len(v) for v in found.history.values()}
    assert len(lengths) == 1 and set(found.history) == {"step", "wall_s", "misfit", "D", "k"}


def test_coefficients_of_an_unknown_source():
    x = np.linspace(0.05, 0.95, 12)
    truth = np.array([1.5, -0.7, 0.4])
    posed = observed(rod(modes(3)), U, {"x": x}, responses(3, x) @ truth)
    found = pk.infer(posed, {f"a{i}": (-5, 0.1, 5) for i in (1, 2, 3)}, method=QUICK)
    assert np.array(list(found.parameters.values())) == pytest.approx(truth, abs=1e-8)
    assert found.misfit <= 1e-8


def test_the_covariance_is_that_of_linear_regression():
    x, sigma = np.linspace(0.05, 0.95, 30), 2e-3
    design = responses(2, x)
    noise = np.random.default_rng(3).normal(size=30) * sigma
    posed = observed(rod(modes(2)), U, {"x": x}, design @ [1.0, 0.5] + noise)
    unknown = {"a1": (-5, 0.1, 5), "a2": (-5, 0.1, 5)}
    given = pk.infer(posed, unknown, noise={"data": sigma}, method=QUICK)
    wanted = sigma**2 * np.linalg.inv(design.T @ design)
    assert np.allclose(given.covariance, wanted, rtol=1e-6, atol=1e-6 * wanted.max())
    best = np.linalg.lstsq(design, design @ [1.0, 0.5] + noise, rcond=None)[0]
    assert np.array(list(given.parameters.values())) == pytest.approx(best, abs=1e-7)
    assert np.diag(given.correlation) == pytest.approx([1, 1])
    rest = design @ best - posed.conditions[-1].data.values
    free = pk.infer(posed, unknown, method=QUICK)
    scale = rest @ rest / 28
    assert np.allclose(free.covariance, scale / sigma**2 * wanted, rtol=1e-5, atol=1e-12)
    # Noisy data do not enter the derivatives of the fields that fit them.
    slopes = pk.sensitivity(given.solution)(x=x)
    assert np.stack([slopes["du_da1"], slopes["du_da2"]], 1) == pytest.approx(design, abs=1e-9)
    with pytest.raises(MethodError, match=r"does not satisfy its observed data 'data'"):
        pk.sensitivity(dataclasses.replace(given.solution, problem=posed), "a1")
    assert "a1 = " in str(free) and "+-" in str(free)


def test_a_gain_that_only_the_data_know():
    """The sensor shows g u', the equation holds an unknown amplitude and a known load."""
    gain, a = parameter("g", 1.0), parameter("a", 1.0)
    x = np.linspace(0, 1, 15)
    slope = 2.0 * np.cos(np.pi * x) / np.pi + 0.5 - x
    problem = rod(a * sp.sin(sp.pi * X) + 1)
    posed = observed(problem, gain * U.diff(X), {"x": x}, 3.0 * slope)
    found = pk.infer(posed, {"g": (0.1, 1, 10), "a": (0.1, 1, 10)}, method=QUICK)
    assert found.parameters["g"] == pytest.approx(3.0, rel=1e-7)
    assert found.parameters["a"] == pytest.approx(2.0, rel=1e-7)


def test_data_that_contradict_the_bounds_are_no_success():
    x = np.linspace(0.1, 0.9, 9)
    posed = observed(rod(modes(1)), U, {"x": x}, 3.0 * responses(1, x)[:, 0])
    found = pk.infer(posed, {"a1": (0.01, 0.1, 1)}, method=QUICK)
    assert not found.status.ok
    assert "a1 ended on a bound; widen" in found.status.reason


def test_what_cannot_be_inferred_is_said():
    x = np.linspace(0.1, 0.9, 9)
    wide = (-2, 0.1, 2)
    a, b = parameter("a", 0.1), parameter("b", 0.1)
    known = x * (1 - x) / 2
    with pytest.raises(OptionError, match=r"no observed data.*Add Observed"):
        pk.infer(rod(a), {"a": wide})
    both = observed(rod(a + 3 * b), U, {"x": x}, known)
    with pytest.raises(MethodError, match=r"only a combination of a, b\. Fix one"):
        pk.infer(both, {"a": wide, "b": wide}, method=QUICK)
    end = observed(rod(a, right=b), U, {"x": np.ones(3)}, np.array([1.0, 1.1, 0.9]))
    with pytest.raises(MethodError, match=r"do not depend on a\. Observe"):
        pk.infer(end, {"a": wide, "b": wide}, method=QUICK)
    posed = observed(rod(a), U, {"x": x}, known)
    with pytest.raises(OptionError, match=r"no parameter 'q'. Its parameters: a"):
        pk.infer(posed, {"q": wide})
    with pytest.raises(OptionError, match=r"unknown\['a'\].*Give \(low, guess, high\)"):
        pk.infer(posed, {"a": (0, 5, 1)})
    with pytest.raises(OptionError, match=r"the observed conditions of 'rod' are data"):
        pk.infer(posed, {"a": wide}, noise={"other": 1.0})
    with pytest.raises(OptionError, match=r"noise of 'data' is 0.0. Give a positive"):
        pk.infer(posed, {"a": wide}, noise=0.0)
    few = observed(rod(a + b * X), U, {"x": x[:1]}, known[:1])
    with pytest.raises(OptionError, match=r"1 observed values for 2 unknown parameters \(a, b\)"):
        pk.infer(few, {"a": wide, "b": wide})


@pytest.mark.parametrize("bounds", [(-2, 0.5, 3), (1e-4, 0.2, 10), (-5, -2, -1)])
def test_ranges_keep_their_bounds(bounds):
    chosen, z, h = Range(*bounds), np.linspace(-30, 30, 41), 1e-6
    assert chosen.value(chosen.start) == pytest.approx(bounds[1])
    values = np.array([chosen.value(v) for v in z])
    assert (np.diff(values) >= 0).all()
    assert values.min() >= bounds[0] - 1e-12 and values.max() <= bounds[2] * (1 + 1e-12) + 1e-12
    slope = (chosen.value(0.7 + h) - chosen.value(0.7 - h)) / (2 * h)
    assert chosen.slope(0.7) == pytest.approx(slope, rel=1e-8)
    assert chosen.on_bound(values[0]) and not chosen.on_bound(bounds[1])
