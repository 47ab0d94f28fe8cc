"""Set operations on plane domains: areas, perimeters, Gauss's theorem, and what is refused."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pinnkit as pk
from pinnkit import Box, Disk, Ellipse, Polygon
from pinnkit.compile import compile_problem
from pinnkit.errors import GeometryError, SpecError
from pinnkit.geometry import Interval
from pinnkit.known import KNOWN
from pinnkit.store.codec import Decoder, Encoder

SQUARE = Box(x=(-1, 1), y=(-1, 1))
CHANNEL = Box(x=(0, 2.2), y=(0, 0.41)) - Disk(x=0.2, y=0.2, radius=0.05, name="cylinder")
ELL = SQUARE - Box(x=(0, 1), y=(0, 1))


def flux(domain, order=24):
    """Outward flux of F = (sin x + x y^2, exp(x/2) + y^3/3), and the integral of its divergence."""
    points, weights = domain.region("boundary").quadrature(order)
    n = domain.region("boundary").normals(points)
    x, y = points.T
    field = np.stack([np.sin(x) + x * y**2, np.exp(0.5 * x) + y**3 / 3.0], axis=1)
    inside, volume = domain.interior.quadrature(order)
    a, b = inside.T
    return weights @ np.sum(field * n, axis=1), volume @ (np.cos(a) + 2.0 * b**2)


def lens(distance):
    """Area common to two unit disks (elementary geometry)."""
    return 2.0 * np.arccos(distance / 2.0) - 0.5 * distance * np.sqrt(4.0 - distance**2)


def test_channel_with_a_cylinder():
    assert CHANNEL.measure == pytest.approx(2.2 * 0.41 - np.pi * 0.05**2, rel=1e-14)
    assert CHANNEL.region("cylinder").measure == pytest.approx(2.0 * np.pi * 0.05, rel=1e-14)
    assert CHANNEL.region("boundary").measure == pytest.approx(5.22 + 0.1 * np.pi, rel=1e-14)
    assert set(CHANNEL.regions) == {"interior", "boundary", "x-", "x+", "y-", "y+", "cylinder"}
    assert CHANNEL.bounds == {"x": (0.0, 2.2), "y": (0.0, 0.41)}
    (hole,) = CHANNEL.holes
    assert (hole.centre, hole.radius) == ((0.2, 0.2), 0.05)


def test_normals_leave_the_domain():
    on = CHANNEL.region("cylinder").sample(64, seed=0)
    normals = CHANNEL.region("cylinder").normals(on)
    np.testing.assert_allclose(normals, (0.2 - on) / 0.05, atol=1e-12)
    for domain in (CHANNEL, ELL, SQUARE - Polygon([(0, 0), (2, -0.3), (2, 0.9)])):
        points = domain.region("boundary").sample(500, seed=1)
        n = domain.region("boundary").normals(points)
        assert not domain.contains(points + 1e-6 * n).any()
        assert domain.contains(points - 1e-6 * n).mean() > 0.98


def test_lens_of_two_disks():
    a, b = Disk(x=0, y=0, radius=1), Disk(x=1.2, y=0, radius=1, name="right")
    common = lens(1.2)
    assert (a & b).measure == pytest.approx(common, rel=1e-13)
    assert (a + b).measure == pytest.approx(2.0 * np.pi - common, rel=1e-13)
    assert (a - b).measure == pytest.approx(np.pi - common, rel=1e-13)
    half = 2.0 * np.arccos(0.6)
    assert (a & b).region("right").measure == pytest.approx(half, rel=1e-12)
    assert (a + b).region("right").measure == pytest.approx(2.0 * np.pi - half, rel=1e-12)
    assert (a + b).bounds["x"] == pytest.approx((-1.0, 2.2))


def test_ellipse():
    ellipse = Ellipse(x=1, y=2, radii=(2, 1))
    assert ellipse.measure == pytest.approx(2.0 * np.pi, rel=1e-14)
    from scipy.special import ellipe

    assert ellipse.region("ellipse").measure == pytest.approx(8.0 * ellipe(0.75), rel=1e-12)
    turned = Ellipse(x=1, y=2, radii=(1, 2))
    points = turned.region("boundary").sample(100, 0)
    assert np.allclose((points[:, 0] - 1) ** 2 + (points[:, 1] - 2) ** 2 / 4, 1.0)
    # By symmetry each loses the same on the diagonals: 4 arctan(1/2) ab is the common area.
    assert (ellipse & turned).measure == pytest.approx(8.0 * np.arctan(0.5), rel=1e-12)


def test_shared_sides_disappear():
    left, right = Box(x=(0, 1), y=(0, 1)), Box(x=(1, 3), y=(0, 1))
    whole = left + right
    assert whole.measure == pytest.approx(3.0)
    assert whole.region("boundary").measure == pytest.approx(8.0)
    assert whole.contains(np.array([[1.0, 0.5]])).all()
    assert not (SQUARE + left).contains(np.array([[1.1, 1.1]])).any()
    frame = Box(x=(-1, 4), y=(-1, 2)) - whole
    assert not frame.contains(np.array([[1.0, 0.5]])).any()


def test_ell_shape():
    assert ELL.measure == pytest.approx(3.0)
    assert ELL.region("boundary").measure == pytest.approx(8.0)
    (corner,) = [c for c in ELL.corners if c.reentrant]
    assert corner.point == pytest.approx((0.0, 0.0), abs=1e-12)
    assert corner.opening == pytest.approx(1.5 * np.pi)
    assert corner.start % (2 * np.pi) == pytest.approx(0.5 * np.pi)
    assert len(ELL.corners) == 6
    inside = ELL.contains(np.array([[0.5, 0.5], [1.0, 0.5], [0.0, 0.5], [-0.5, 0.5], [1.0, 0.0]]))
    assert inside.tolist() == [False, False, True, True, True]
    np.testing.assert_allclose(ELL.section(0, 0.5), [[-1.0, 0.0]])
    np.testing.assert_allclose(ELL.section(1, -0.5), [[-1.0, 1.0]])


def test_sections_skip_holes():
    np.testing.assert_allclose(CHANNEL.section(1, 0.2), [[0.0, 0.15], [0.25, 2.2]], atol=1e-12)
    np.testing.assert_allclose(CHANNEL.section(0, 1.0), [[0.0, 0.41]])
    assert not len(CHANNEL.section(0, 3.0))


def test_disk_tangent_to_the_wall():
    domain = SQUARE - Disk(x=0, y=-0.5, radius=0.5)
    assert domain.measure == pytest.approx(4.0 - 0.25 * np.pi, rel=1e-12)
    surface, volume = flux(domain)
    assert surface == pytest.approx(volume, rel=1e-9)


@pytest.mark.parametrize("domain", [CHANNEL, ELL, SQUARE & Disk(x=1, y=0.3, radius=0.7)])
def test_samples_are_inside_and_even(domain):
    points = domain.interior.sample(4096, seed=0)
    assert domain.contains(points).all()
    quadrature, weights = domain.interior.quadrature(12)
    assert domain.contains(quadrature).all()
    for power in ((1, 0), (0, 1), (2, 0), (1, 1)):
        exact = weights @ np.prod(quadrature ** np.array(power), axis=1) / domain.measure
        assert np.mean(np.prod(points ** np.array(power), axis=1)) == pytest.approx(exact, abs=2e-3)
    np.testing.assert_array_equal(points, domain.interior.sample(4096, seed=0))


def test_rule_is_exact_on_polygons():
    triangle = Polygon([(0, 0), (2, 0.5), (0.3, 1.7)], name="wall")
    points, weights = triangle.interior.quadrature(3)
    # Integral of x^2 over a triangle: area/12 (sum of squares of corners + (sum of corners)^2).
    corners = np.array(triangle.points)[:, 0]
    exact = triangle.measure / 12.0 * (np.sum(corners**2) + np.sum(corners) ** 2)
    assert weights @ points[:, 0] ** 2 == pytest.approx(exact, rel=1e-13)
    assert triangle.region("wall2").measure == pytest.approx(np.hypot(1.7, 1.2))
    clockwise = Polygon(triangle.points[::-1])
    assert clockwise.measure == pytest.approx(triangle.measure)


@pytest.mark.parametrize("thin", [0.3, 0.125, 0.02])
def test_normals_of_a_thin_ellipse_are_those_of_its_equation(thin):
    """Also beside the place where its parameter begins and ends."""
    boundary = Ellipse(x=0.0, y=1.0, radii=(1.0, thin)).region("boundary")
    points, weights = boundary.quadrature(24)
    gradient = np.stack([points[:, 0], (points[:, 1] - 1.0) / thin**2], axis=1)
    gradient /= np.linalg.norm(gradient, axis=1)[:, None]
    np.testing.assert_allclose(boundary.normals(points), gradient, atol=1e-12)
    through = weights @ np.sum(points * boundary.normals(points), axis=1)
    assert 0.5 * through == pytest.approx(np.pi * thin, rel=1e-13)


coordinate = st.floats(-1.0, 1.0).map(lambda v: round(v, 3))
size = st.floats(0.1, 1.2).map(lambda v: round(v, 3))


@st.composite
def shapes(draw):
    x, y, a, b = draw(coordinate), draw(coordinate), draw(size), draw(size)
    assume(abs(a * b - 0.02) > 1e-6)  # corners of the polygon on a line, or in one place
    return draw(
        st.sampled_from(
            [
                Disk(x=x, y=y, radius=a),
                Ellipse(x=x, y=y, radii=(a, b)),
                Box(x=(x, x + a), y=(y, y + b)),
                Polygon([(x, y), (x + a, y + 0.1), (x + 0.2, y + b)]),
            ]
        )
    )


@settings(max_examples=60, deadline=None)
@given(shapes(), shapes(), shapes(), st.sampled_from("+-&"), st.sampled_from("+-&"))
def test_gauss_theorem_on_random_shapes(a, b, c, first, second):
    operations = {"+": lambda p, q: p + q, "-": lambda p, q: p - q, "&": lambda p, q: p & q}
    try:
        domain = operations[second](operations[first](a, b), c)
    except GeometryError:
        assume(False)
        return
    surface, volume = flux(domain)
    assert surface == pytest.approx(volume, abs=2e-7)
    points = domain.interior.sample(256, seed=0)
    slack = 1e-4
    clear = domain.strictly(points, slack)
    parts = [shape.contains(points, 0.0) for shape in (a, b, c)]
    logic = {"+": np.logical_or, "-": lambda p, q: p & ~q, "&": np.logical_and}
    expected = logic[second](logic[first](parts[0], parts[1]), parts[2])
    assert expected[clear].all()
    box = Box(x=domain.bounds["x"], y=domain.bounds["y"])
    counted = domain.contains(box.interior.sample(4096, seed=1)).mean() * box.measure
    assert counted == pytest.approx(domain.measure, abs=0.02 * box.measure)


def test_gauss_theorem_where_a_disk_touches_the_side_from_within():
    domain = Box(x=(0, 0.25), y=(0, 1)) - Disk(x=0, y=0.5, radius=0.25)
    surface, volume = flux(domain)
    assert surface == pytest.approx(volume, rel=1e-12)
    assert domain.contains(domain.interior.sample(256, seed=0)).all()


@settings(max_examples=40, deadline=None)
@given(shapes(), shapes())
def test_areas_add_up(a, b):
    def area(make):
        try:
            return make().measure
        except GeometryError:
            return None

    union, common = area(lambda: a + b), area(lambda: a & b)
    assert union == pytest.approx(a.measure + b.measure - (common or 0.0), abs=1e-7)
    rest = area(lambda: a - b)
    if common is not None and rest is not None:
        assert rest + common == pytest.approx(a.measure, abs=1e-7)


def test_product_with_time():
    domain = CHANNEL * Box(t=(0, 3), time="t")
    assert domain.axes == ("x", "y", "t")
    assert domain.measure == pytest.approx(3.0 * CHANNEL.measure)
    points = domain.region("cylinder").sample(100, seed=0)
    radial = np.linalg.norm(points[:, :2] - 0.2, axis=1)
    np.testing.assert_allclose(radial, 0.05, atol=1e-12)
    normals = domain.region("cylinder").normals(points)
    np.testing.assert_allclose(normals, (0.2 - points[:, :2]) / 0.05, atol=1e-9)
    assert {"initial", "final", "x-"} <= set(domain.regions)


def test_errors():
    with pytest.raises(GeometryError, match="is empty"):
        Disk(x=0, y=0, radius=1) & Disk(x=3, y=0, radius=1)
    with pytest.raises(GeometryError, match="must not cover everything"):
        Disk(x=0, y=0, radius=1) - Box(x=(-2, 2), y=(-2, 2))
    with pytest.raises(GeometryError, match="changes nothing"):
        SQUARE - Disk(x=3, y=0, radius=1)
    with pytest.raises(GeometryError, match="crosses or touches itself at"):
        Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    with pytest.raises(GeometryError, match="crosses or touches itself|no area"):
        Polygon([(0, 0), (1, 0), (2, 0)])
    with pytest.raises(GeometryError, match="three or more"):
        Polygon([(0, 0), (1, 0)])
    with pytest.raises(GeometryError, match="twice in a row"):
        Polygon([(0, 0), (1, 0), (1, 0), (0, 1)])
    with pytest.raises(GeometryError, match="no radius"):
        Disk(x=0, y=0)
    with pytest.raises(GeometryError, match="positive"):
        Disk(x=0, y=0, radius=-1)
    with pytest.raises(GeometryError, match="cannot name its boundary"):
        Disk(x=0, y=0, radius=1, name="interior")
    with pytest.raises(GeometryError, match="has 3 axes"):
        Disk(x=0, y=0, r=1, radius=1)
    with pytest.raises(GeometryError, match="the axes differ"):
        SQUARE - Disk(y=0, x=0, radius=0.5)
    with pytest.raises(GeometryError, match="multiply by time"):
        Box(t=(0, 1), x=(0, 1), time="t") - Disk(t=0, x=0, radius=0.5)
    with pytest.raises(GeometryError, match="only boxes, disks"):
        pk.MeshDomain.read("four_disks") - Disk(x=0, y=0, radius=0.05)
    with pytest.raises(GeometryError, match="no region 'hole'"):
        CHANNEL.region("hole")


def test_problem_on_a_cut_domain_round_trips():
    x, y = pk.coordinates("x y")
    u = pk.field("u", x, y)
    domain = (SQUARE - Disk(x=0.1, y=0.2, radius=0.3, name="hole")) + Polygon(
        [(0.9, -0.5), (2, 0), (0.9, 0.5)]
    )
    conditions = [
        pk.Equation(pk.laplacian(u), name="laplace"),
        pk.Dirichlet(u, 0, on="hole"),
        pk.Dirichlet(u, 1, on=("x-", "x+", "y-", "y+", "polygon")),
    ]
    problem = pk.Problem(name="cut", domain=domain, conditions=conditions)
    encode = Encoder(KNOWN)
    tree = encode(problem)
    again = Decoder(KNOWN, encode.arrays)(tree)
    assert again.domain == domain and repr(again.domain) == repr(domain)
    assert compile_problem(again).digest == compile_problem(problem).digest
    assert again.domain.measure == domain.measure
    with pytest.raises((GeometryError, SpecError), match="tail"):
        pk.Problem(
            name="cut", domain=domain, conditions=[*conditions, pk.Dirichlet(u, 0, on="tail")]
        )


def test_interval_cannot_be_cut():
    with pytest.raises(GeometryError, match="not two axes"):
        Interval("x", 0, 1) - Interval("x", 0.2, 0.3)
