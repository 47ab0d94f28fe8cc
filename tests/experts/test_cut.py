"""Collocation on cut boxes and singular features, against exact solutions."""

from pathlib import Path

import jax
import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import pinnkit as pk
from pinnkit import Box, Disk, Polygon
from pinnkit.compile import compile_problem
from pinnkit.derivatives.basis import linearise
from pinnkit.errors import GeometryError
from pinnkit.experts.bases import ChebyshevTensor, tensor_basis
from pinnkit.experts.collocation import region_points, shared_points, volume_points
from pinnkit.experts.cut import meeting
from pinnkit.experts.enriched import Singular, Source, enriched, laplacian, with_singular
from pinnkit.experts.families import Chebyshev
from pinnkit.experts.grading import graded
from pinnkit.experts.layout import Blocks, Boxes, Single
from pinnkit.experts.mixture import Mixture
from pinnkit.experts.polar import Around, Polar
from pinnkit.experts.slab import Machine
from pinnkit.geometry import Product, outlined
from pinnkit.known import KNOWN
from pinnkit.store.codec import Decoder, Encoder

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"

pytestmark = pytest.mark.usefixtures("x64")

SQUARE = Box(x=(-1, 1), y=(-1, 1))
HOLED = SQUARE - Disk(x=0.1, y=-0.2, radius=0.35, name="hole")
ELL = SQUARE - Box(x=(0, 1), y=(0, 1))
x, y = pk.coordinates("x y")
u = pk.field("u", x, y)


def blocks(domain, **counts):
    return Blocks(**counts).boxes(domain.axes, domain.bounds)


def solved(problem, basis, boxes):
    system = compile_problem(problem)
    machine = Machine(system, basis, {r.name: linearise(r) for r in system.residuals})
    return machine.solve(boxes, None)


def harmonic_problem(domain, exact, kind=pk.Dirichlet):
    conditions = [pk.Equation(pk.laplacian(u), name="laplace"), kind(u, exact, on="boundary")]
    return pk.Problem(name="harmonic", domain=domain, conditions=conditions)


def largest_error(slab, domain, exact):
    points = domain.interior.sample(2048, seed=3)
    wanted = sp.lambdify((x, y), exact, "numpy")(*points.T)
    return np.abs(slab.mixture.on_host(points)[:, 0] - wanted).max()


@pytest.mark.parametrize("counts", [{}, {"x": 2}, {"x": 3, "y": 2}])
def test_about_as_many_points_survive_the_cut(counts):
    boxes = meeting(HOLED, blocks(HOLED, **counts))
    points = volume_points(HOLED, boxes, (12, 12))
    assert HOLED.contains(points.physical).all()
    numbers = np.bincount(points.owner, minlength=boxes.count)
    assert numbers.min() > 0.75 * 144 and numbers.max() < 1.8 * 144
    np.testing.assert_allclose(boxes.physical(points.owner, points.local), points.physical)
    assert points.weights.sum() == pytest.approx(HOLED.measure, rel=0.03)


def test_small_remnants_get_points_too():
    domain = Disk(x=0, y=0, radius=1)
    boxes = meeting(domain, blocks(domain, x=8, y=8))
    assert boxes.count == 60
    numbers = np.bincount(volume_points(domain, boxes, (6, 6)).owner, minlength=60)
    assert numbers.min() >= 18
    with pytest.raises(GeometryError, match="No expert"):
        meeting(domain, Boxes(np.array([[0.9, 0.9]]), np.array([[1.0, 1.0]])))


def test_mesh_domains_get_more_nodes_where_cut():
    domain = outlined(pk.MeshDomain.read("four_disks"))
    boxes = blocks(domain, x=2, y=2)
    numbers = np.bincount(volume_points(domain, boxes, (12, 12)).owner)
    assert numbers.min() > 0.85 * 144


@pytest.mark.parametrize("domain", [HOLED, ELL, SQUARE - Polygon([(0, -0.4), (2, -0.3), (2, 0.9)])])
def test_boundary_rules_integrate(domain):
    boxes = meeting(domain, blocks(domain, x=2, y=3))
    points = region_points(domain, domain.region("boundary"), boxes, (14, 14), domain.axes)
    assert points.weights.sum() == pytest.approx(domain.region("boundary").measure, rel=1e-12)
    assert domain.region("boundary").distance(points.physical).max() < 1e-12
    assert np.abs(points.local).max() <= 1.0 + 1e-9
    assert points.normals is not None
    area = points.weights @ np.sum(points.normals * points.physical, axis=1) / 2.0
    assert area == pytest.approx(domain.measure, rel=1e-10)
    assert (np.diff(points.owner) >= 0).all()
    inward = points.physical - 1e-6 * points.normals
    local = boxes.local(points.owner, inward)
    assert np.abs(local).max() < 1.0 + 1e-9, "the owner is on the inner side"


def test_faces_are_shared_inside_only():
    boxes = meeting(HOLED, blocks(HOLED, x=2, y=2))
    pairs = shared_points(HOLED, boxes, boxes.interfaces(), (10, 10))
    left = boxes.physical(pairs.left, pairs.local_left)
    right = boxes.physical(pairs.right, pairs.local_right)
    np.testing.assert_allclose(left, right, atol=1e-14)
    assert HOLED.strictly(left, 0.0).all()
    ell = meeting(ELL, blocks(ELL, x=2, y=2))
    assert ell.count == 3 and len(ell.interfaces()) == 2


def test_products_with_time():
    domain = HOLED * Box(t=(0, 2), time="t")
    assert isinstance(domain, Product)
    boxes = meeting(domain, blocks(domain, x=2, t=2))
    inside = volume_points(domain, boxes, (10, 10, 5))
    assert inside.weights.sum() == pytest.approx(2.0 * HOLED.measure, rel=0.05)
    hole = region_points(domain, domain.region("hole"), boxes, (10, 10, 5), domain.axes)
    assert hole.weights.sum() == pytest.approx(2.0 * 0.7 * np.pi, rel=1e-12)
    np.testing.assert_allclose(
        hole.normals, domain.region("hole").normals(hole.physical), atol=1e-12
    )
    start = region_points(domain, domain.region("initial"), boxes, (10, 10, 5), domain.axes)
    assert (start.physical[:, 2] == 0.0).all() and start.normals is None
    assert start.weights.sum() == pytest.approx(HOLED.measure, rel=0.05)


def test_graded_boxes_shrink_towards_corner_and_hole():
    ell = graded(ELL, blocks(ELL))
    touching = ell.lower.min(axis=1) <= 1e-12
    smallest = ell.half.max(axis=1).min()
    near = np.abs(ell.centre).max(axis=1) < 3.0 * smallest
    assert touching.any() and np.isclose(ell.half[near], smallest).all()
    small = SQUARE - Disk(x=0.1, y=-0.2, radius=0.05)
    boxes = graded(small, blocks(small))
    assert boxes.half.min() <= 0.1 and boxes.half.max() >= 0.25
    area = np.prod(2.0 * graded(HOLED, blocks(HOLED)).half, axis=1).sum()
    assert area == pytest.approx(4.0)


HARMONIC = sp.exp(x) * sp.cos(y) + x**3 - 3 * x * y**2


@pytest.mark.parametrize("kind", [pk.Dirichlet, pk.Robin])
@pytest.mark.parametrize("counts", [{}, {"x": 2, "y": 2}])
def test_smooth_solution_on_a_cut_domain(counts, kind):
    domain = Disk(x=0, y=0, radius=1) - Polygon([(0.1, 0.2), (2, 0.1), (2, 0.9)])
    if kind is pk.Robin:
        slope = HARMONIC.diff(x) * pk.normal(x) + HARMONIC.diff(y) * pk.normal(y)
        condition = pk.Robin(u, 1, 1, HARMONIC + slope, on="boundary")
    else:
        condition = pk.Dirichlet(u, HARMONIC, on="boundary")
    problem = pk.Problem(
        name="smooth",
        domain=domain,
        conditions=[pk.Equation(pk.laplacian(u), name="laplace"), condition],
    )
    degree = 14 if counts else 18
    boxes = meeting(domain, blocks(domain, **counts))
    slab = solved(problem, ChebyshevTensor((degree, degree), full=False), boxes)
    assert largest_error(slab, domain, HARMONIC) < 1e-10


@pytest.mark.accuracy
@settings(max_examples=3, deadline=None)
@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0.15, 0.35))
def test_multipoles_carry_what_lives_in_the_hole(cx, cy, radius):
    domain = SQUARE - Disk(x=cx, y=cy, radius=radius)
    place = cx + 0.08 * radius, cy - 0.06 * radius
    square = (x - place[0]) ** 2 + (y - place[1]) ** 2
    exact = sp.log(square) / 2 + (x - place[0]) / square * radius + x * y
    problem = harmonic_problem(domain, exact)
    system = compile_problem(problem)
    boxes = Single().boxes(system.axes, domain.bounds)
    family = with_singular(system, boxes, Chebyshev())
    assert isinstance(family, Singular)
    basis = family.extended(tensor_basis((24, 24), ("chebyshev",) * 2))
    slab = solved(problem, basis, boxes)
    assert largest_error(slab, domain, exact) < 1e-10


@pytest.mark.parametrize("sides", ["values", "mixed"])
def test_corner_function_is_reproduced(sides):
    """r^(k pi/w) sin(k pi t/w), or with k - 1/2 where one side has a slope of zero."""
    angle = sp.atan2(x - y, -(x + y)) + 3 * sp.pi / 4
    power = sp.Rational(2, 3) if sides == "values" else sp.Rational(1, 3)
    exact = (x**2 + y**2) ** (power / 2) * sp.sin(power * angle)
    # Angles run from the side x = 0, y > 0 to the side y = 0, x > 0.
    notch = Polygon([(0, 0), (3, 0), (3, 3), (0, 3)], name="notch")
    domain = SQUARE - notch
    outer = ("x-", "x+", "y-", "y+")
    conditions = [
        pk.Equation(pk.laplacian(u), name="laplace"),
        pk.Dirichlet(u, exact, on=outer),
        pk.Dirichlet(u, 0, on="notch4"),
        pk.Dirichlet(u, 0, on="notch1") if sides == "values" else pk.Neumann(u, 0, on="notch1"),
    ]
    problem = pk.Problem(name="corner", domain=domain, conditions=conditions)
    system = compile_problem(problem)
    boxes = Single().boxes(system.axes, domain.bounds)
    family = with_singular(system, boxes, Chebyshev())
    assert isinstance(family, Singular)
    basis = family.extended(tensor_basis((10, 10), ("chebyshev",) * 2))
    slab = solved(problem, basis, boxes)
    assert largest_error(slab, domain, exact) < 1e-10


def test_singular_features_have_exact_derivatives():
    """All orders up to three against numerical differentiation in many digits."""
    sources = [
        Source((0.2, -0.1), -2.0, False, 0.0, 0.3, True),
        Source((0.2, -0.1), 0.0, True, 0.0, 0.3, False),
        Source((-0.4, 0.3), 2.0 / 3.0, False, 0.7, 1.5, True),
        Source((-0.4, 0.3), 2.0, True, -1.1, 0.8, True),
    ]
    centre, half = (0.5, 0.25), (1.5, 0.5)
    base = ChebyshevTensor((1, 1))
    basis = enriched(base, centre, half, sources)
    point = np.array([[0.31, -0.43], [-0.6, 0.9]])
    for orders in [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (2, 1), (0, 3)]:
        found = basis.features(point, orders)[:, base.size :]
        for i, (a, b) in enumerate(point.tolist()):
            z = mpmath.mpc(centre[0] + half[0] * a, centre[1] + half[1] * b)
            wanted = []
            for source in sources:
                slope = mpmath.diff(analytic(source), z, sum(orders))
                slope *= mpmath.mpc(0, 1) ** orders[1] * half[0] ** orders[0] * half[1] ** orders[1]
                wanted += [slope.real, slope.imag] if source.both else [slope.real]
            np.testing.assert_allclose(found[i], np.array(wanted, float), rtol=1e-9, atol=1e-9)


def analytic(source):
    def function(z):
        w = (z - mpmath.mpc(*source.place)) * mpmath.expj(-source.turn) / source.scale
        return w**source.power * (mpmath.log(w) if source.log else 1)

    return function


def test_host_and_device_agree():
    basis = enriched(
        ChebyshevTensor((2, 2)), (0, 0), (1, 1), [Source((0.1, 0.1), 2 / 3, False, 0.3, 1.0, True)]
    )
    mixture = Mixture(
        basis, np.array([[-1.0, -1.0]]), np.array([[1.0, 1.0]]), np.ones((1, 1, basis.size)), ("u",)
    )
    points = SQUARE.interior.sample(16, seed=0)
    np.testing.assert_allclose(
        np.asarray(jax.jit(lambda p: mixture(p))(points)), mixture.on_host(points), rtol=1e-12
    )


def test_only_laplacians_are_enriched():
    def system(equation, domain=HOLED):
        conditions = [pk.Equation(equation, name="e"), pk.Dirichlet(u, 0, on="boundary")]
        return compile_problem(pk.Problem(name="p", domain=domain, conditions=conditions))

    uxx, uyy = u.diff(x, 2), u.diff(y, 2)
    assert laplacian(system((1 + x**2) * pk.laplacian(u) + u.diff(x) - 1))
    assert laplacian(system(pk.laplacian(u) + u**3))
    assert not laplacian(system(uxx + 2 * uyy - 1))
    assert not laplacian(system(uxx + uyy + u.diff(x, y) / 2 - 1))
    plain = Chebyshev()
    assert isinstance(with_singular(system(uxx + 2 * uyy), blocks(HOLED), plain), Around)
    assert with_singular(system(uxx + 2 * uyy, ELL), blocks(ELL), plain) is plain
    assert with_singular(system(uxx + uyy), blocks(HOLED, x=2), plain) is plain
    assert with_singular(system(uxx + uyy, SQUARE), blocks(SQUARE), plain) is plain
    assert isinstance(with_singular(system(uxx + uyy), blocks(HOLED), plain), Singular)


def test_polar_features_have_exact_derivatives():
    """Central differences of one order less, and Richardson's step."""
    base = ChebyshevTensor((1, 1))
    place, radius = np.array([[0.2, 0.0]]), np.array([0.15])
    basis = Polar(base, np.array([0.3, 0.1]), np.array([0.7, 0.4]), place, radius, 3, 3)
    point = np.array([[0.4, 0.6], [-0.8, -0.3], [0.1, 0.9]])
    for orders in [(1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (2, 1)]:
        axis = 0 if orders[0] else 1
        lower = tuple(o - (i == axis) for i, o in enumerate(orders))
        step = np.eye(2)[axis]

        def slope(h, lower=lower, step=step):
            ends = [basis.features(point + s * h * step, lower) for s in (1, -1)]
            return (ends[0] - ends[1]) / (2 * h)

        wanted = (4.0 * slope(1e-4) - slope(2e-4)) / 3.0
        found = basis.features(point, orders)
        assert found.shape == (3, basis.size)
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-7)


def test_polar_features_carry_other_equations():
    """5 u_xx + 6 u_yy = 0 with a source in the hole: log of the stretched distance."""
    domain = SQUARE - Disk(x=0.1, y=-0.2, radius=0.15, name="hole")
    exact = sp.log((x - sp.Rational(1, 10)) ** 2 + sp.Rational(5, 6) * (y + sp.Rational(1, 5)) ** 2)
    problem = pk.Problem(
        name="stretched",
        domain=domain,
        conditions=[
            pk.Equation(5 * u.diff(x, 2) + 6 * u.diff(y, 2), name="e"),
            pk.Dirichlet(u, exact, on="boundary"),
        ],
    )
    system = compile_problem(problem)
    boxes = Single().boxes(system.axes, domain.bounds)
    family = with_singular(system, boxes, Chebyshev())
    plain = solved(problem, tensor_basis((20, 20), ("chebyshev",) * 2), boxes)
    rich = solved(problem, family.extended(tensor_basis((20, 20), ("chebyshev",) * 2)), boxes)
    assert largest_error(rich, domain, exact) < 1e-7
    assert largest_error(plain, domain, exact) > 1e3 * largest_error(rich, domain, exact)


def test_small_holes_get_rings_of_points():
    domain = SQUARE - Disk(x=0.1, y=-0.2, radius=0.1)
    points = volume_points(domain, blocks(domain), (20, 20))
    assert points.weights.sum() == pytest.approx(domain.measure, rel=0.03)
    near = np.linalg.norm(points.physical - [0.1, -0.2], axis=1) < 0.2
    assert near.sum() > 60


def test_four_disks_and_ell_shape():
    """Against multipoles and degree 36 in a code of its own, and the energy of the L-shape."""
    for name, degree in (("four_disks", 30), ("l_shape", 16)):
        problem = pk.load(PROBLEMS / f"{name}.py")
        system = compile_problem(problem)
        boxes = Single().boxes(system.axes, system.domain.bounds)
        family = with_singular(system, boxes, Chebyshev())
        assert isinstance(family, Singular)
        basis = family.extended(tensor_basis((degree, degree), ("chebyshev",) * 2))
        mixture = solved(problem, basis, boxes).mixture
        if name == "four_disks":
            assert mixture.on_host(np.zeros((1, 2)))[0, 0] == pytest.approx(0.2335849223, abs=1e-6)
        else:
            points, weights = system.domain.interior.quadrature(80)
            energy = weights @ mixture.on_host(points)[:, 0]
            assert energy == pytest.approx(0.2140758036, abs=2e-6)
            top = mixture.on_host(np.array([[-0.3303, -0.3303]]))[0, 0]
            assert top == pytest.approx(0.1494, abs=5e-5)


def test_singular_bases_can_be_saved():
    sources = [Source((0.1, 0.1), 2 / 3, False, 0.3, 1.0, True)]
    plain = ChebyshevTensor((2, 2))
    place, radius = np.array([[0.1, 0.1]]), np.array([0.2])
    for basis in (
        enriched(plain, (0, 0), (1, 1), sources),
        Polar(plain, np.zeros(2), np.ones(2), place, radius, 2, 2),
    ):
        encode = Encoder(KNOWN)
        tree = encode(basis)
        again = Decoder(KNOWN, encode.arrays)(tree)
        points = SQUARE.interior.sample(16, seed=0)
        np.testing.assert_array_equal(
            again.features(points, (1, 1)), basis.features(points, (1, 1))
        )
