"""Graphs of points: areas, and a Laplacian that is right where it must be."""

import numpy as np
import pytest
import scipy

from pinnkit.errors import GeometryError
from pinnkit.geometry.graph import PointGraph


def lattice(n, skew=0.0):
    i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    return np.stack([(i + skew * j).ravel(), j.ravel()], axis=1) / n


def scattered(count, seed=0, periodic=True):
    """Points that keep their distance, each the farthest of many from those before it."""
    random = np.random.default_rng(seed)
    points, tried = np.zeros((count, 2)), random.uniform(size=(20 * count, 2))
    distance = np.full(len(tried), np.inf)
    points[0] = tried[0]
    for k in range(1, count):
        gap = np.abs(tried - points[k - 1])
        gap = np.minimum(gap, 1 - gap) if periodic else gap
        distance = np.minimum(distance, np.sum(gap**2, axis=1))
        points[k] = tried[np.argmax(distance)]
    return points


@pytest.mark.parametrize("skew", [0.0, 0.5, 0.2])
def test_laplacian_of_the_square_of_the_radius_on_lattices(skew):
    points = lattice(12, skew)
    graph = PointGraph.delaunay(points)
    found = graph.laplacian() @ np.sum(points**2, axis=1)
    inner = ~graph.boundary
    assert inner.sum() >= 90
    assert np.abs(found[inner] - 4).max() < 1e-10


def test_scattered_points():
    """Exact for x, y and x^2 + y^2 where the boundary does not cut off the Voronoi cells."""
    points = np.random.default_rng(1).uniform(size=(300, 2))
    graph = PointGraph.delaunay(points)
    matrix = graph.laplacian()
    inner = np.abs(points - 0.5).max(axis=1) < 0.35
    found = matrix @ np.stack([*points.T, np.sum(points**2, axis=1)], axis=1)
    size = np.abs(matrix).max(axis=1).toarray().ravel()
    error = np.abs(found - [[0, 0, 4]]).max(axis=1) / size
    assert error[inner].max() < 1e-13
    assert np.abs(matrix.sum(axis=1)).max() < 1e-12 * size.max()
    assert (graph.areas > 0).all()
    hull = scipy.spatial.ConvexHull(points)
    assert np.isclose(graph.areas.sum(), hull.volume)


@pytest.mark.parametrize("moved", [0.0, 0.3, 7.3])
@pytest.mark.parametrize("make", [lambda: lattice(9), lambda: scattered(120)])
def test_periodic_points_have_no_boundary(make, moved):
    points = np.mod(make() + moved, 1.0) if moved < 1 else make() + moved
    graph = PointGraph.delaunay(points, (1.0, 1.0))
    n, matrix = len(points), graph.laplacian()
    assert len(graph.triangles) == 2 * n and len(graph.receivers) == 6 * n
    assert not graph.boundary.any()
    assert np.isclose(graph.areas.sum(), 1.0)
    weighted = scipy.sparse.diags_array(graph.areas) @ matrix
    assert np.abs(weighted - weighted.T).max() < 1e-12
    assert np.abs(matrix.sum(axis=1)).max() < 1e-9
    # the trace of the second moment is exact, whatever the positions
    square = graph.weights * np.sum(graph.offsets**2, axis=1)
    assert np.allclose(np.bincount(graph.receivers, square) / graph.areas, 4.0)


def test_periodic_graph_does_not_depend_on_the_cell():
    points = scattered(80)
    one = PointGraph.delaunay(points, (1.0, 1.0)).laplacian()
    two = PointGraph.delaunay(points + np.array([2.4, -0.7]), (1.0, 1.0)).laplacian()
    three = PointGraph.delaunay(np.mod(points + 0.4, 1.0), (1.0, 1.0)).laplacian()
    assert np.abs(one - two).max() < 1e-7 and np.abs(one - three).max() < 1e-7


def test_equations_with_the_laplacian_converge():
    """(1 - L) u = f on scattered periodic points: an error of O(h) or better."""
    errors = []
    for count in (150, 600, 2400):
        points = scattered(count)
        graph = PointGraph.delaunay(points, (1.0, 1.0))
        u = np.sin(2 * np.pi * points[:, 0]) * np.cos(2 * np.pi * points[:, 1])
        system = scipy.sparse.eye_array(count) - graph.laplacian()
        found = scipy.sparse.linalg.spsolve(system.tocsc(), (1 + 8 * np.pi**2) * u)
        errors.append(np.sqrt(graph.areas @ (found - u) ** 2))
    assert errors[1] < errors[0] / 2 and errors[2] < errors[1] / 2


def test_given_triangles_and_obtuse_ones():
    """One flat triangle: the obtuse corner has half of its area, the others a quarter."""
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.1]])
    graph = PointGraph.of_triangles(points, np.array([[0, 2, 1]]))
    assert np.allclose(graph.areas, 0.05 * np.array([0.25, 0.25, 0.5]))
    assert graph.boundary.all()
    assert np.allclose(graph.laplacian().sum(axis=1), 0.0)


def test_errors():
    with pytest.raises(GeometryError, match="at least 3"):
        PointGraph.delaunay(np.zeros((2, 2)))
    with pytest.raises(GeometryError, match="duplicates"):
        PointGraph.delaunay(np.concatenate([lattice(4), lattice(4)[:1]]), (1.0, 1.0))
    with pytest.raises(GeometryError, match="Remove"):
        PointGraph.of_triangles(np.eye(4)[:, :2], np.array([[0, 1, 2]]))
