"""Norms of known differences, what is left out, and what is told about it."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_in import Stand, decay, swirl

from pinnkit.errors import OptionError, ReferenceFileError
from pinnkit.geometry import Box
from pinnkit.reference import Reference, write_grid
from pinnkit.report import compare, norms
from pinnkit.report.sample import sample
from pinnkit.solution import Status

T, X = np.linspace(0, 1, 6), np.linspace(-1, 1, 41)


def shifted(heat, amount):
    return Stand(heat.domain, {"u": lambda t, x: decay(t, x) + amount})


def grid_reference(scale=1.0, times=T, floor=None):
    values = scale * decay(times[:, None], X[None, :])
    return Reference("r", ("t", "x"), {"t": times, "x": X}, {"u": values}, "grid", "t", floor or {})


@given(st.floats(-10, 10).filter(lambda s: abs(s) > 1e-3))
def test_relative_norms_do_not_depend_on_units(scale):
    theirs = np.linspace(1, 2, 50)
    ours = theirs * 1.01
    for norm in (norms.relative_l2, norms.relative_linf):
        assert norm(scale * ours, scale * theirs) == pytest.approx(0.01, rel=1e-10)
    assert norms.rms(scale * (ours - theirs)) == pytest.approx(
        abs(scale) * norms.rms(ours - theirs)
    )


def test_norms_of_a_vanishing_reference_are_unknown():
    assert np.isnan(norms.relative_l2(np.ones(3), np.zeros(3)))
    assert norms.rms(np.ones(3)) == norms.maximum(np.ones(3)) == 1


def test_a_scaled_field_has_the_scale_as_its_error(heat):
    result = compare(heat, grid_reference(scale=2.0))
    assert result.table.loc["u", "rel_l2"] == pytest.approx(0.5)
    assert result.table.loc["u", "rel_linf"] == pytest.approx(0.5)
    assert np.allclose(result.by_time["u"], 0.5) and list(result.by_time.index) == list(T)
    assert result.worst["u"]["t"] == 0 and abs(result.worst["u"]["x"]) == pytest.approx(0.5)
    assert result.n_points == 6 * 41 and result.n_outside == 0


def test_points_outside_are_counted_and_left_out(heat):
    result = compare(heat, grid_reference(times=np.linspace(0, 2, 5)))
    assert result.n_outside == 2 * 41 and result.n_points == 3 * 41
    assert result.table.loc["u", "max"] == 0
    assert "82 points outside the domain" in str(result)


def test_all_points_outside_is_an_error(heat):
    with pytest.raises(ReferenceFileError, match=r"all 82 points lie outside.*t 5…6.*t 0…1"):
        compare(heat, grid_reference(times=np.array([5.0, 6.0])))


def test_one_time(heat):
    result = compare(heat, grid_reference(scale=2.0), time=0.4)
    assert result.n_points == 41 and list(result.by_time.index) == [T[2]]
    with pytest.raises(ReferenceFileError, match="holds no time 0.41"):
        compare(heat, grid_reference(), time=0.41)


def test_two_solutions_meet_on_a_grid_with_the_floor(heat):
    result = compare(shifted(heat, 1e-3), heat)
    assert result.table.loc["u", "rms"] == pytest.approx(1e-3)
    assert result.reference_floor == 1e-9
    assert "1.0e-09" in str(result) and "unknown" not in str(result)
    late = compare(shifted(heat, 1e-3), heat, time=0.25, resolution=11)
    assert late.n_points == 11 and list(late.by_time.index) == [0.25]


def test_json_has_the_agreed_keys(heat):
    result = compare(heat, grid_reference(scale=0.0))
    plain = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert set(plain) == {"fields", "reference", "reference_floor"}
    assert set(plain["fields"]["u"]) == {"rel_l2", "rel_linf", "rms", "n_points"}
    assert plain["fields"]["u"]["rel_l2"] is None and plain["reference_floor"] is None


def test_a_file_with_other_names(heat, tmp_path):
    values = decay(T[:, None], X[None, :])
    estimate = {"error_estimate": {"velocity": 1e-4}}
    write_grid(tmp_path / "r.h5", {"time": T, "x": X}, {"velocity": values}, estimate)
    result = compare(heat, tmp_path / "r.h5", rename={"velocity": "u"})
    assert result.table.loc["u", "max"] < 1e-15 and result.reference_floor == 1e-4


def test_the_sign_of_an_eigenfunction_is_arbitrary():
    axis = np.linspace(0, 1, 11)
    theirs = Reference("r", ("x",), {"x": axis}, {"u": -np.sin(axis)}, "grid")
    plain = Stand(Box(x=(0, 1)), {"u": lambda x: np.sin(x)})
    modes = Stand(Box(x=(0, 1)), {"u": lambda x: np.sin(x)}, eigenvalues={"E[0]": 1.0})
    assert compare(plain, theirs).table.loc["u", "rel_l2"] == pytest.approx(2)
    assert compare(modes, theirs).table.loc["u", "rel_l2"] == 0


def test_levels_are_compared_with_those_in_the_file(tmp_path):
    axis, formulas = np.linspace(0, 1, 11), {"u": lambda x: np.sin(x)}
    modes = Stand(Box(x=(0, 1)), formulas, eigenvalues={"E[0]": 1.0, "E[1]": 4.0, "E[2]": 9.0})
    for suffix in (".h5", ".npz", ".nc"):
        path = tmp_path / f"modes{suffix}"
        write_grid(path, {"x": axis}, {"u": np.sin(axis)}, lists={"levels": np.array([1.0, 5.0])})
        found = compare(modes, path, rename={"levels": "E"})
        assert list(found.levels.index) == ["E[0]", "E[1]"]
        assert found.to_json()["eigenvalues"]["E[1]"]["relative"] == pytest.approx(0.2)
        assert "E[1]" in str(found) and found.table.loc["u", "max"] < 1e-15
        assert compare(modes, path).to_json().get("eigenvalues") is None


def test_nothing_in_common(heat, flow):
    with pytest.raises(OptionError, match="different coordinates, t, x and x, y"):
        compare(heat, flow)
    other = Stand(heat.domain, {"w": decay})
    with pytest.raises(OptionError, match="has fields w, the solution has u"):
        compare(heat, other)


def test_a_solution_that_is_not_finite(heat):
    formulas = {"u": lambda t, x: np.full_like(x, np.nan)}
    broken = Stand(heat.domain, formulas, status=Status(False, "diverged"))
    told = r"Solution 'Stand of formula' has no finite values \(status: diverged\).*Solve again"
    with pytest.raises(OptionError, match=told) as ours:
        compare(broken, grid_reference())
    with pytest.raises(OptionError, match=told) as theirs:
        compare(heat, broken)
    for error in (ours, theirs):
        assert "outside" not in str(error.value) and "file" not in str(error.value)
        assert "--" not in str(error.value)
    nothing = Reference("r", ("t", "x"), {"t": T, "x": X}, {"u": np.full((6, 41), np.nan)}, "grid")
    with pytest.raises(ReferenceFileError, match="Reference 'r' has no finite values. Repair"):
        compare(heat, nothing)


def test_what_is_not_finite_is_counted_apart_from_what_lies_outside(heat):
    """Theirs at the first time, ours where x > 0.5; two times lie outside."""
    theirs = grid_reference(times=np.linspace(0, 2, 5))
    theirs.fields["u"][0] = np.inf
    ours = Stand(heat.domain, {"u": lambda t, x: np.where(x > 0.5, np.nan, decay(t, x))})
    result = compare(ours, theirs)
    beyond = int((X > 0.5).sum())
    counts = (result.n_outside, result.n_theirs_not_finite, result.n_ours_not_finite)
    assert counts == (82, 41, 2 * beyond) and result.n_points == 82 - 2 * beyond
    for part in ("82 points outside the domain", "41 points where the reference is not finite"):
        assert part in str(result)
    assert f"{2 * beyond} points where the solution is not finite" in str(result)
    assert result.plot()


def test_sampling_checks_its_options(heat):
    assert sample(heat, {"t": 3, "x": 5}).fields["u"].shape == (3, 5)
    with pytest.raises(OptionError, match="too coarse"):
        sample(heat, 1)
    with pytest.raises(OptionError, match="'z' is not a coordinate"):
        sample(heat, {"z": 3})


@pytest.mark.reference_data
def test_published_profile(data_folder):
    cavity = Stand(Box(x=(0, 1), y=(0, 1)), {"u": lambda x, y: swirl(x, y)})
    maps = {"Re100": "u", "0.5": "x"}
    result = compare(cavity, data_folder / "cavity" / "ldc_ghia1982_u.csv", rename=maps)
    assert result.n_points == 17 and result.worst["u"]["x"] == 0.5
