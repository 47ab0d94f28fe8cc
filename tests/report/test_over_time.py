"""Errors over time and valid times of pairs whose difference is known."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import Stand

from pinnkit.errors import OptionError
from pinnkit.geometry import Box
from pinnkit.reference import Reference
from pinnkit.report import compare, normalised_error, plot_over_time, valid_time
from pinnkit.report.over_time import to_json

T = np.linspace(0, 10, 41)
X = np.linspace(0, 2 * np.pi, 32, endpoint=False)
BOX = Box(t=(0, 10), x=(0, 2 * np.pi), time="t")


def wave(t, x):
    """Of root mean square one at every time."""
    return np.sqrt(2) * np.sin(x - t)


def against(error, times=T):
    """A wave with `error(t)` cos(x - t) on top, of that root mean square, against the wave."""
    noisy = Stand(BOX, {"u": lambda t, x: wave(t, x) + error(t) * np.sqrt(2) * np.cos(x - t)})
    values = {"u": wave(times[:, None], X[None, :])}
    return compare(noisy, Reference("r", ("t", "x"), {"t": times, "x": X}, values, "grid", "t"))


def test_a_known_perturbation_is_the_error_of_each_time():
    result = against(lambda t: 1e-3 * np.exp(0.3 * t))
    expected = 1e-3 * np.exp(0.3 * T)
    np.testing.assert_allclose(result.by_time["u"], expected, rtol=1e-12)
    np.testing.assert_allclose(normalised_error(result)["u"], expected, rtol=1e-12)


@settings(max_examples=20)
@given(st.floats(0.05, 0.9), st.floats(0.05, 2.0))
def test_valid_time_of_a_linear_divergence_is_exact(threshold, lyapunov):
    row = valid_time(against(lambda t: 0.1 * t), threshold, lyapunov).loc["u"]
    assert row["passed"] and row["valid_time"] == pytest.approx(10 * threshold, rel=1e-9)
    assert row["lyapunov_times"] == pytest.approx(10 * threshold * lyapunov, rel=1e-9)


def test_valid_time_counts_from_the_first_time_and_takes_the_first_passage():
    late = against(lambda t: np.where(t > 6, 0.0, 0.1 * t), times=T[8:]).valid_time()
    assert late.loc["u", "valid_time"] == pytest.approx(4.0 - T[8])
    assert math.isnan(late.loc["u", "lyapunov_times"])


def test_an_error_that_stays_below_gives_a_lower_bound():
    row = against(lambda t: 0.01 * t).valid_time().loc["u"]
    assert not row["passed"] and row["valid_time"] == 10


def test_a_solution_that_ends_is_valid_no_longer():
    """Values that are not finite are no agreement, though the norms leave them out."""
    result = against(lambda t: np.where(t > 5, np.nan, 0.0))
    assert result.n_ours_not_finite == 20 * 32
    assert np.isinf(normalised_error(result)["u"].to_numpy()[21:]).all()
    row = result.valid_time().loc["u"]
    assert row["passed"] and row["valid_time"] == 5


def test_zeros_of_the_reference_do_not_end_the_valid_time():
    ours = Stand(Box(t=(0, 10), time="t"), {"u": lambda t: np.sin(t) + 0.02})
    theirs = Reference("r", ("t",), {"t": T}, {"u": np.sin(T)}, "grid", "t")
    result = compare(ours, theirs)
    assert result.by_time["u"].max() > 0.4 and not result.valid_time().loc["u", "passed"]


def test_what_cannot_be_measured_is_refused():
    result = against(lambda t: 0.1 * t)
    with pytest.raises(OptionError, match="threshold=-1 is out of range"):
        valid_time(result, -1)
    with pytest.raises(OptionError, match="lyapunov=nan is out of range"):
        valid_time(result, lyapunov=math.nan)
    with pytest.raises(OptionError, match="has 1 times"):
        plot_over_time(against(lambda t: t, times=T[:1]))
    steady = dataclasses.replace(result.theirs, time_axis=None)
    with pytest.raises(OptionError, match="no time axis"):
        normalised_error(dataclasses.replace(result, ours=steady, theirs=steady))
    zero = dataclasses.replace(result.theirs, fields={"u": 0 * result.theirs.fields["u"]})
    with pytest.raises(OptionError, match="reference of 'u' is zero"):
        normalised_error(dataclasses.replace(result, theirs=zero))


def test_curves_of_labelled_comparisons(tmp_path):
    named = {"slow": against(lambda t: 0.01 * t), "fast": against(lambda t: 0.1 * t)}
    drawn = plot_over_time(named, tmp_path / "e.png", threshold=0.4, lyapunov=0.5)
    (axes,) = drawn.axes
    slow, fast, passage, level = axes.get_lines()
    assert axes.get_yscale() == "log" and (tmp_path / "e.png").stat().st_size > 1000
    np.testing.assert_allclose(slow.get_ydata()[1:], 0.01 * T[1:])
    np.testing.assert_allclose(fast.get_ydata()[1:], 0.1 * T[1:])
    assert np.isnan(fast.get_ydata()[0])  # zero has no logarithm
    assert passage.get_xdata()[0] == pytest.approx(4) and level.get_ydata()[0] == 0.4
    (above,) = axes.child_axes
    assert above.get_xlim() == pytest.approx((0, 5)) and above.get_xlabel() == "Lyapunov times"
    plain = named["fast"].plot_over_time().axes[0]
    assert len(plain.get_lines()) == 1 and plain.get_ylabel() == "relative error of $u$"


def test_json_of_a_curve_has_null_for_what_is_unknown():
    plain = to_json(against(lambda t: np.where(t > 5, np.nan, 0.0)).by_time.iloc[[0, -1]])
    assert plain == {"time": [0.0, 10.0], "u": [0.0, None]}
