"""Measure, quadrature, normals and sampling, on every kind of domain."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnkit.errors import GeometryError
from pinnkit.geometry import Box, MeshDomain
from pinnkit.geometry.sampling import gauss_triangle

ANNULUS = MeshDomain.read("four_disks")


def square(n: int, axes=("x", "y")) -> MeshDomain:
    """The unit square in 2 n^2 triangles, side x = 0 named "left"."""
    ticks = np.linspace(0, 1, n + 1)
    nodes = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), -1).reshape(-1, 2)
    corner = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).ravel()
    lower = np.stack([corner, corner + n + 1, corner + n + 2], 1)
    upper = np.stack([corner, corner + 1, corner + n + 2], 1)  # clockwise on purpose
    left = np.stack([np.arange(n), np.arange(1, n + 1)], 1)
    return MeshDomain.from_arrays(
        nodes, np.concatenate([lower, upper]), {"left": (1, left)}, axes=axes, name="square"
    )


DOMAINS = {
    "interval": Box(x=(-1, 3)),
    "rectangle": Box(x=(-1, 3), y=(0.5, 1)),
    "cuboid": Box(x=(0, 1), y=(-1, 1), z=(2, 5)),
    "space-time": Box(t=(0, 2), x=(-1, 3), y=(0, 1), time="t"),
    "mesh": ANNULUS,
    "mesh in time": ANNULUS * Box(t=(0, 2), time="t"),
    "time before mesh": Box(t=(0, 2), time="t") * square(3),
    "prism": square(3) * Box(z=(0, 2)),
    "prism in time": square(3) * Box(z=(0, 2), t=(0, 1), time="t"),
}
every_domain = pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS.keys())


def field_and_divergence(domain, points):
    """F_i = s^3 x_i + x_i x_j with s = sum of all coordinates, and div F over space."""
    columns = [domain.axes.index(axis) for axis in domain.space_axes]
    space, total = points[:, columns], points.sum(axis=1)
    following = np.roll(space, -1, axis=1)
    field = total[:, None] ** 3 * space + space * following
    divergence = np.sum(3 * total[:, None] ** 2 * space + total[:, None] ** 3, axis=1)
    own = 2 * space if space.shape[1] == 1 else following
    return field, divergence + own.sum(axis=1)


@every_domain
def test_divergence_theorem(domain):
    points, weights = domain.interior.quadrature(4)
    inside = weights @ field_and_divergence(domain, points)[1]
    flux = 0.0
    for part in domain.region("boundary").parts:
        points, weights = part.quadrature(4)
        field, _ = field_and_divergence(domain, points)
        flux += weights @ np.sum(field * part.normals(points), axis=1)
    assert flux == pytest.approx(inside, rel=1e-12)


@every_domain
def test_union_normals_agree_with_those_of_the_parts(domain):
    boundary = domain.region("boundary")
    for part in boundary.parts:
        points = part.sample(50, seed=1)
        np.testing.assert_allclose(boundary.normals(points), part.normals(points), atol=1e-12)


@every_domain
def test_normals_are_unit_and_point_outward(domain):
    columns = [domain.axes.index(axis) for axis in domain.space_axes]
    for part in domain.region("boundary").parts:
        points = part.sample(200, seed=2)
        normals = part.normals(points)
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, rtol=1e-14)
        step = np.zeros_like(points)
        step[:, columns] = 1e-5 * normals
        assert not domain.contains(points + step).any()
        # Close to a corner of the mesh a step inward may leave through the next edge.
        assert domain.contains(points - step).mean() > 0.98


@every_domain
def test_samples_lie_on_their_region_and_seeds_reproduce_them(domain):
    for name, region in domain.regions.items():
        points = region.sample(300, seed=4)
        assert points.shape == (300, len(domain.axes)), name
        assert domain.contains(points).all()
        np.testing.assert_allclose(region.distance(points), 0.0, atol=1e-14)
        for axis, value in region.fixed.items():
            assert np.all(points[:, domain.axes.index(axis)] == value)
        np.testing.assert_array_equal(points, region.sample(300, seed=4))
        assert region.dim == 0 or not np.array_equal(points, region.sample(300, seed=5))


@every_domain
def test_samples_are_spread_as_the_measure_is(domain):
    """Mean monomials over Sobol samples against quadrature, on every region."""
    for name, region in domain.regions.items():
        nodes, weights = region.quadrature(3)
        assert weights.sum() == pytest.approx(region.measure, rel=1e-12)
        points = region.sample(4096, seed=6)
        for power in (1, 2):
            mean = weights @ nodes**power / region.measure
            error = np.abs((points**power).mean(axis=0) - mean)
            scale = np.abs(nodes**power).max()
            assert np.all(error < 4e-3 * scale), (name, power, error)


@every_domain
def test_sobol_beats_pseudo_random_points(domain):
    region = domain.interior
    nodes, weights = region.quadrature(3)
    mean = weights @ nodes**2 / region.measure

    def spread(method):
        errors = [(region.sample(1024, s, method) ** 2).mean(axis=0) - mean for s in range(8)]
        return np.sqrt(np.mean(np.square(errors)))

    assert spread("sobol") < 0.25 * spread("uniform")


def test_boundary_samples_are_in_proportion_to_measure():
    boundary = Box(x=(0, 3), y=(0, 1)).region("boundary")
    points = boundary.sample(8000, seed=0)
    counts = [(points[:, k] == v).sum() for k, v in ((0, 0.0), (0, 3.0), (1, 0.0), (1, 1.0))]
    assert counts == [1000, 1000, 3000, 3000]
    placed = boundary.place(np.random.default_rng(0).random((8000, 2)))
    assert abs((placed[:, 0] == 0.0).mean() - 1 / 8) < 0.02


def test_unknown_sampling_method_and_orders_are_refused():
    interior = Box(x=(0, 1), y=(0, 1)).interior
    with pytest.raises(GeometryError, match="unknown sampling method 'grid'"):
        interior.sample(3, 0, "grid")
    with pytest.raises(GeometryError, match="cannot sample -1 points"):
        interior.sample(-1, 0)
    with pytest.raises(GeometryError, match="no quadrature order for axis 'y'"):
        interior.quadrature({"x": 3})
    with pytest.raises(GeometryError, match="order 0 along 'x'"):
        interior.quadrature(0)
    assert len(interior.sample(0, 0)) == 0
    assert len(interior.quadrature({"x": 3, "y": 5})[1]) == 15


@pytest.mark.parametrize("nodes", [1, 2, 3, 5, 8])
def test_triangle_rule_is_exact_up_to_its_degree(nodes):
    barycentric, weights = gauss_triangle(nodes)
    _, x, y = barycentric.T
    degree = 2 * nodes - 1
    factorial = [1]
    for k in range(1, degree + 3):
        factorial.append(factorial[-1] * k)
    for i in range(degree + 1):
        for j in range(degree + 1 - i):
            exact = 2 * factorial[i] * factorial[j] / factorial[i + j + 2]
            assert weights @ (x**i * y**j) == pytest.approx(exact, rel=1e-12)


finite = st.floats(-1e3, 1e3)
side = st.floats(1e-2, 1e3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(finite, side), min_size=1, max_size=3), st.integers(0, 2**31))
def test_any_box(sides, seed):
    bounds = {f"x{k}": (low, low + width) for k, (low, width) in enumerate(sides)}
    box = Box(**bounds)
    widths = np.array([high - low for low, high in bounds.values()])
    assert box.measure == pytest.approx(np.prod(widths))
    boundary = box.region("boundary")
    surface = 2 * sum(np.prod(np.delete(widths, k)) for k in range(len(widths)))
    assert boundary.measure == pytest.approx(surface)
    points = boundary.sample(64, seed)
    assert len(points) == 64 and box.contains(points, tol=0.0).all()
    assert np.all(boundary.distance(points) == 0.0)
    assert not box.contains(points + 1e-3 * widths.min() * boundary.normals(points)).any()
