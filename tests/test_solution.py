"""Evaluating a solution: by name, inside its domain, with complaints that name what is wrong."""

import inspect

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from sympy import Eq

import pinnkit as pk
from pinnkit.errors import OptionError
from pinnkit.solution import Pointwise, Solution, Status


class Sum(eqx.Module):
    """The sum of the coordinates, and twice that."""

    def __call__(self, z):
        return jnp.stack([jnp.sum(z), 2 * jnp.sum(z)])


def solved(domain, *axes):
    symbols = pk.coordinates(" ".join(axes))
    symbols = symbols if isinstance(symbols, tuple) else (symbols,)
    u, v = pk.field("u", *symbols), pk.field("v", *symbols)
    total = sum(symbols)
    conditions = [pk.Equation(Eq(u, total), name="u"), pk.Equation(Eq(v, 2 * total), name="v")]
    problem = pk.Problem("sums", domain, conditions)
    return Solution(problem, Pointwise(Sum()), "Sum", Status(True, "closed form"))


@pytest.fixture
def heat():
    return solved(pk.Box(t=(0, 1), x=(-2, 3), time="t"), "t", "x")


@pytest.fixture
def pierced():
    hole = pk.Disk(x=0.5, y=0.5, radius=0.25, name="hole")
    return solved(pk.Box(x=(0, 1), y=(0, 1)) - hole, "x", "y")


def test_points_outside_the_bounds_are_refused_axis_by_axis(heat):
    message = r"'sums'.*1 of 1 points lie outside -2 <= x <= 3 \(x = 7\).*solve on a larger domain"
    with pytest.raises(OptionError, match=message):
        heat(t=0.5, x=7.0)
    x = np.linspace(-3, 5, 9)
    message = r"9 of 9 .* 0 <= t <= 1 \(t = -1\); 3 of 9 .* -2 <= x <= 3 \(x = -3 to 5\)"
    with pytest.raises(OptionError, match=message):
        heat(t=-1, x=x)


@pytest.mark.parametrize("edge", [-2, 3, -2 * (1 + 1e-12), 3 * (1 + 1e-12)])
def test_the_boundary_belongs_to_the_domain(heat, edge):
    for t in (0, 1):
        assert heat(t=t, x=edge)["u"] == pytest.approx(t + edge, abs=1e-9)


def test_outside_within_the_bounds_there_is_no_value(pierced):
    angle = np.linspace(0, 6, 11)
    rim = pierced(x=0.5 + 0.25 * np.cos(angle), y=0.5 + 0.25 * np.sin(angle))
    assert np.isfinite(rim["u"]).all()
    found = pierced(x=np.array([0.5, 0.1]), y=0.5)
    assert np.isnan(found["u"][0]) and found["v"][1] == pytest.approx(1.2)
    assert np.isfinite(pierced.at_points(np.array([[0.5, 0.5]]))).all()


def test_an_unknown_field_is_told_with_those_there_are(heat):
    values = heat(t=0, x=np.array([0.0, 1.0]))
    for error in (OptionError, KeyError):
        with pytest.raises(error, match=r"^The solution has no field 'w'. Choose from 'u', 'v'.$"):
            values["w"]
    assert "w" not in values and values.get("w") is None and list(values) == ["u", "v"]


def test_coordinates_go_by_name_and_are_numbers(heat):
    with pytest.raises(OptionError, match=r"coordinates t, x, given by name.*solution\(t=..., x="):
        heat(0.5, np.zeros(3))
    with pytest.raises(OptionError, match=r"missing: t. unknown: y"):
        heat(x=0.0, y="a")
    for wrong in ("a", [[1, 2], [3]], heat):
        with pytest.raises(OptionError, match=r"^t=.*: not a number.*Write for example t=0.5"):
            heat(t=wrong, x=0.0)


def test_options_of_a_comparison_are_told(heat):
    assert {"rename", "time", "resolution"} <= set(inspect.signature(heat.compare).parameters)
    with pytest.raises(
        OptionError, match=r"no option map\. Choose from rename, time, resolution and every"
    ):
        heat.compare(heat, map={"usol": "u"})
