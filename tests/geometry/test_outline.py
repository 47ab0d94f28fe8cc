"""The smooth boundary that the nodes of a mesh outline."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinnkit.errors import GeometryError
from pinnkit.geometry import Box, Disk, MeshDomain
from pinnkit.geometry.curves import Arc, Segment
from pinnkit.geometry.spline import Spline


def wheel(boundary, groups=None, hub=None):
    """Triangles from `hub`, or the mean of `boundary` (n, 2), to its edges; groups of edges."""
    count = len(boundary)
    here, after = np.arange(count), (np.arange(count) + 1) % count
    cells = np.stack([here, after, np.full(count, count)], axis=1)
    edges = np.stack([here, after], axis=1)
    named = {name: (1, edges[own]) for name, own in (groups or {}).items()}
    hub = boundary.mean(axis=0) if hub is None else np.asarray(hub)
    nodes = np.concatenate([boundary, hub[None]])
    return MeshDomain.from_arrays(nodes, cells, named)


def ring(inner, outer):
    """Triangles between two closed chains of as many nodes (n, 2), both counter-clockwise."""
    count = len(inner)
    here, after = np.arange(count), (np.arange(count) + 1) % count
    cells = np.concatenate(
        [
            np.stack([here, here + count, after], 1),
            np.stack([after, here + count, after + count], 1),
        ]
    )
    sides = {
        "inner": (1, np.stack([here, after], 1)),
        "outer": (1, np.stack([here, after], 1) + count),
    }
    return MeshDomain.from_arrays(np.concatenate([inner, outer]), cells, sides)


def oval(angle, radii=(1.0, 0.6)):
    return np.stack([radii[0] * np.cos(angle), radii[1] * np.sin(angle)], axis=1)


def around(count):
    return np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)


def test_a_circle_is_one_arc_whatever_its_nodes():
    uneven = around(24) + 0.1 * np.sin(3 * around(24))
    curves = wheel(0.3 * oval(uneven, (1, 1)) + (2.0, 1.0)).outline.curves
    assert [type(c) for c in curves] == [Arc]
    np.testing.assert_allclose(curves[0].centre, (2.0, 1.0), atol=1e-14)
    assert curves[0].radii[0] == pytest.approx(0.3, rel=1e-13)
    assert curves[0].length == pytest.approx(0.6 * np.pi, rel=1e-13)


def test_an_ellipse_converges_with_the_sixth_power_of_the_edge():
    """Area and distance of the ellipse's own points; the polygon's are of second order."""
    errors, gaps = [], []
    for count in (24, 48, 96):
        uneven = around(count) + 0.2 * np.sin(around(count))
        outline = wheel(oval(uneven)).outline
        assert [type(c) for c in outline.curves] == [Spline]
        errors.append(abs(outline.measure - 0.6 * np.pi))
        gaps.append(outline.region("boundary").distance(oval(around(501))).max())
    assert np.log2(np.divide(errors[:-1], errors[1:])).min() > 5.5
    assert np.log2(np.divide(gaps[:-1], gaps[1:])).min() > 5.0
    assert errors[-1] < 1e-8 and gaps[-1] < 1e-7


def test_straight_sides_are_segments_between_corners():
    """An L of six sides, each cut into unequal edges."""
    corners = np.array([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]], float)
    cuts = np.array([0.0, 0.2, 0.55])[:, None]
    nodes = [a + cuts * (b - a) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)]
    outline = wheel(np.concatenate(nodes), hub=(0.5, 0.5)).outline
    assert [type(c) for c in outline.curves] == [Segment] * 6
    assert outline.measure == pytest.approx(3.0, rel=1e-14)
    reentrant = [c for c in outline.corners if c.reentrant]
    assert [c.point for c in reentrant] == [(1.0, 1.0)]
    assert reentrant[0].opening == pytest.approx(1.5 * np.pi, rel=1e-12)


def test_lines_and_arcs_that_touch_have_no_corner():
    """A stadium: two half circles of radius 1 and two straight sides of length 2."""
    half = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 17)
    right = np.stack([1 + np.cos(half), np.sin(half)], axis=1)
    side = np.array([[0.4, 1.0], [-0.3, 1.0]])
    nodes = np.concatenate([right, side, -right, -side])
    outline = wheel(nodes).outline
    assert sorted(type(c).__name__ for c in outline.curves) == ["Arc", "Arc", "Segment", "Segment"]
    assert outline.corners == ()
    assert outline.measure == pytest.approx(4.0 + np.pi, rel=1e-13)


def test_curves_carry_the_groups_of_their_edges():
    count = 40
    groups = {"left": np.arange(10, 30), "all": np.arange(count)}
    outline = wheel(oval(around(count), (1, 1)), groups).outline
    assert outline.region("left").measure == pytest.approx(np.pi, rel=1e-12)
    assert outline.region("all").measure == pytest.approx(2 * np.pi, rel=1e-12)
    points = outline.region("left").sample(50, 0)
    assert points[:, 0].max() < 1e-12
    np.testing.assert_allclose(outline.region("left").normals(points), points, atol=1e-12)


def test_holes_keep_their_sense():
    angles = around(48)
    outline = ring(oval(angles, (0.5, 0.4)), oval(angles, (1.0, 1.0))).outline
    assert outline.measure == pytest.approx(np.pi * (1.0 - 0.2), rel=1e-7)
    (hole,) = outline.holes
    np.testing.assert_allclose(hole.centre, 0.0, atol=1e-3)
    inner = outline.region("inner")
    points = inner.sample(64, 1)
    assert (np.sum(inner.normals(points) * points, axis=1) < 0.0).all()


@given(st.integers(14, 60), st.floats(0.3, 1.0), st.floats(0.0, 0.25), st.integers(0, 10**6))
def test_inside_is_the_inside_of_the_curve(count, flat, wave, seed):
    """Points close to the boundary of r(a) = 1 + wave cos 2 a, `flat` times as high."""

    def curve(angle):
        r = 1.0 + 0.5 * wave * np.cos(2 * angle)
        return oval(angle, (1.0, flat)) * r[:, None]

    outline = wheel(curve(around(4 * count))).outline
    angle = np.random.default_rng(seed).uniform(0.0, 2.0 * np.pi, 200)
    off = np.max(outline.region("boundary").distance(curve(angle)))
    step = max(1e-6, 10.0 * off)
    assert outline.strictly((1.0 - step) * curve(angle), 0.0).all()
    assert not outline.strictly((1.0 + step) * curve(angle), 0.0).any()
    assert step < 1e-3


def test_strips_of_splines_integrate():
    outline = wheel(oval(around(96))).outline
    points, weights = outline.interior.quadrature(24)
    moment = weights @ points[:, 0] ** 2
    assert moment == pytest.approx(0.25 * np.pi * 0.6, rel=1e-6)
    assert outline.strictly(outline.interior.sample(200, 0), 0.0).all()


def test_an_outline_is_not_cut():
    mesh = wheel(oval(around(30)))
    with pytest.raises(GeometryError, match="mesh the whole domain"):
        mesh.outline - Disk(x=0.9, y=0, radius=0.3)
    with pytest.raises(GeometryError, match="cannot be cut"):
        mesh - Box(x=(0, 1), y=(0, 1))
