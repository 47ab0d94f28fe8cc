"""Boxes: declaration, regions, and the products of boxes."""

import pickle

import numpy as np
import pytest
import sympy as sp

from pinnkit.errors import GeometryError
from pinnkit.geometry import Box, Interval


def test_axes_follow_the_order_of_declaration():
    box = Box(t=(0, 1), x=(-1, 1), y=(0, 2), time="t")
    assert box.axes == ("t", "x", "y")
    assert box.space_axes == ("x", "y")
    assert box.bounds == {"t": (0.0, 1.0), "x": (-1.0, 1.0), "y": (0.0, 2.0)}
    assert box.measure == 4.0


def test_boxes_are_values():
    box = Box(t=(0, 1), x=(-1, 1), time="t")
    same = Box(t=(0.0, 1.0), x=(-1.0, 1.0), time="t")
    assert box == same and hash(box) == hash(same)
    assert box != Box(t=(0, 1), x=(-1, 1))
    assert eval(repr(box)) == box
    assert pickle.loads(pickle.dumps(box)) == box
    with pytest.raises(AttributeError):
        box.time = None


def test_bounds_may_be_symbolic_numbers():
    assert Box(x=(0, 2 * sp.pi)).bounds["x"] == (0.0, 2 * np.pi)


def test_interval_is_a_box_with_one_axis():
    assert Interval("x", 0, 1) == Box(x=(0, 1))
    assert set(Interval("x", 0, 1).regions) == {"interior", "x-", "x+", "boundary"}


def test_regions_of_a_space_time_box():
    box = Box(t=(0, 3), x=(-1, 1), y=(0, 5), time="t")
    expected = {"interior", "x-", "x+", "y-", "y+", "boundary", "initial", "final"}
    assert set(box.regions) == expected
    measures = {name: box.region(name).measure for name in expected}
    assert measures == pytest.approx(
        {
            "interior": 30,
            "x-": 15,
            "x+": 15,
            "y-": 6,
            "y+": 6,
            "boundary": 42,
            "initial": 10,
            "final": 10,
        }
    )
    assert box.region("interior").dim == 3 and box.region("boundary").dim == 2
    assert box.region("x-").fixed == {"x": -1.0}
    assert box.region("final").fixed == {"t": 3.0}
    assert [part.name for part in box.region("boundary").parts] == ["x-", "x+", "y-", "y+"]


def test_faces_fix_their_coordinate_bit_for_bit():
    box = Box(t=(0.1, 0.7), x=(-0.3, 1 / 3), time="t")
    for region in box.regions.values():
        points = region.sample(100, seed=3)
        for axis, value in region.fixed.items():
            assert np.all(points[:, box.axes.index(axis)] == value)
        assert box.contains(points, tol=0.0).all()


def test_point_regions_repeat_their_point():
    start = Box(t=(0, 2), time="t").region("initial")
    assert start.dim == 0 and start.measure == 1.0
    assert start.sample(3, seed=0).tolist() == [[0.0]] * 3
    points, weights = start.quadrature(5)
    assert points.tolist() == [[0.0]] and weights.tolist() == [1.0]


def test_boxes_multiply_into_one_box():
    assert Box(x=(0, 1)) * Box(t=(0, 2), time="t") == Box(x=(0, 1), t=(0, 2), time="t")


def test_contains_takes_the_closed_box():
    box = Box(x=(0, 1), y=(0, 2))
    points = np.array([[0.0, 2.0], [1.0, 0.5], [1.1, 0.5], [0.5, -0.1]])
    assert box.contains(points).tolist() == [True, True, False, False]


def test_grid_is_in_c_order_and_may_leave_out_the_periodic_end():
    box = Box(t=(0, 1), x=(0, 4), time="t")
    grid = box.grid({"t": 2, "x": 4}, periodic=("x",))
    assert grid[:4].tolist() == [[0, 0], [0, 1], [0, 2], [0, 3]]
    assert grid.shape == (8, 2)
    with pytest.raises(GeometryError, match="along 't', not 0"):
        box.grid({"x": 4})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Box(), "no axes"),
        (lambda: Box(x=(1, 1)), "axis 'x' has lower bound 1 >= upper bound 1"),
        (lambda: Box(x=(0, 1), y=(2, 0)), "axis 'y'.*swap"),
        (lambda: Box(x=(0, np.inf)), "axis 'x'.*not finite"),
        (lambda: Box(x=(np.nan, 1)), "axis 'x'.*not finite"),
        (lambda: Box(x=3), "axis 'x' got 3; give two numbers"),
        (lambda: Box(x=(0, 1, 2)), "axis 'x'.*give two numbers"),
        (lambda: Box(x=("a", "b")), "axis 'x'.*give two numbers"),
        (lambda: Box(x=(0, 1), time="t"), "time axis 't' is not among its axes"),
        (lambda: Box(x=(0, 1), time=(0, 1)), "must name the time axis"),
        (lambda: Box(**{f"x{i}": (0, 1) for i in range(11)}), "11 space axes"),
        (lambda: Box(x=(0, 1)) * Box(x=(0, 1)), "axis 'x' twice"),
        (lambda: Box(t=(0, 1), time="t") * Box(s=(0, 1), time="s"), "two time axes"),
    ],
)
def test_impossible_boxes_are_refused(build, message):
    with pytest.raises(GeometryError, match=message):
        build()


@pytest.mark.parametrize(
    ("box", "name", "message"),
    [
        (Box(x=(0, 1)), "left", "no region 'left'; choose one of: boundary, interior, x\\+, x-"),
        (Box(x=(0, 1)), "initial", "no axis is declared as time"),
        (Box(t=(0, 1), time="t"), "boundary", "its only axis is time"),
        (Box(t=(0, 1), x=(0, 1), time="t"), "t-", "time is no space axis"),
    ],
)
def test_unknown_regions_are_explained(box, name, message):
    with pytest.raises(GeometryError, match=message):
        box.region(name)


def test_interior_and_ends_of_time_have_no_normal():
    box = Box(t=(0, 1), x=(0, 1), time="t")
    for name in ("interior", "initial"):
        with pytest.raises(GeometryError, match=f"{name}' has no outward normal"):
            box.region(name).normals(np.zeros((1, 2)))
