"""Layouts: charts, owners, shared faces, and errors for bad edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnkit.errors import GeometryError, OptionError
from pinnkit.experts.layout import Blocks, Boxes, Graded, Single, check_edges, tensor_boxes

AXES, BOUNDS = ("x", "y"), {"x": (-1.0, 2.0), "y": (0.0, 1.0)}


def test_charts_map_edges_to_plus_and_minus_one_bit_for_bit():
    boxes = Graded(x=(-1, 0.1, 0.3, 2)).boxes(AXES, BOUNDS)
    owner = np.arange(boxes.count)
    ends = np.where(np.arange(2) == 0, 1.0, -1.0) * np.ones((boxes.count, 2))
    physical = boxes.physical(owner, ends)
    np.testing.assert_array_equal(physical[:, 0], boxes.upper[:, 0])
    np.testing.assert_array_equal(physical[:, 1], boxes.lower[:, 1])


@given(st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=12, deadline=None)
def test_blocks_cover_the_domain_and_share_the_faces_of_a_lattice(nx, ny):
    boxes = Blocks(x=nx, y=ny).boxes(AXES, BOUNDS)
    assert np.prod(2 * boxes.half, axis=1).sum() == pytest.approx(3.0)
    assert len(boxes.interfaces()) == (nx - 1) * ny + nx * (ny - 1)


def test_partly_shared_faces_are_found_with_their_common_part():
    boxes = Boxes(
        np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.4]]),
        np.array([[1.0, 1.0], [2.0, 0.4], [2.0, 1.0]]),
    )
    faces = {(f.left, f.right): (f.lower, f.upper) for f in boxes.interfaces()}
    assert faces[0, 1] == ((1.0, 0.0), (1.0, 0.4))
    assert faces[0, 2] == ((1.0, 0.4), (1.0, 1.0))
    assert (1, 2) in faces


def test_every_point_has_the_expert_that_holds_it():
    boxes = Blocks(x=3, y=2).boxes(AXES, BOUNDS)
    points = np.random.default_rng(0).uniform([-1, 0], [2, 1], (200, 2))
    owner = boxes.owners(points)
    assert np.abs(boxes.local(owner, points)).max() <= 1.0 + 1e-9
    on_face = np.array([[0.0, 0.25], [1.0, 0.5]])
    np.testing.assert_array_equal(boxes.owners(on_face), [0, 2])


def test_single_is_one_box_in_the_order_of_the_axes():
    boxes = Single().boxes(("y", "x"), BOUNDS)
    np.testing.assert_array_equal(boxes.lower, [[0.0, -1.0]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Blocks(x=0), "whole number >= 1"),
        (lambda: Blocks(z=2).boxes(AXES, BOUNDS), "names the axis 'z'"),
        (lambda: Graded(x=(-1, 0)).boxes(AXES, BOUNDS), "Begin and end with the domain's bounds"),
        (lambda: Graded(x=(-1, 1, 0, 2)).boxes(AXES, BOUNDS), "must increase strictly"),
        (lambda: check_edges("slabs", (0,), (0, 1)), "slabs: edges .* must increase"),
    ],
)
def test_bad_layouts_are_refused_with_the_mend(make, message):
    with pytest.raises(OptionError, match=message):
        make()


def test_empty_boxes_are_refused():
    with pytest.raises(GeometryError, match="Expert 1 has an empty box"):
        tensor_boxes(((0.0, 1.0, 1.0),))
