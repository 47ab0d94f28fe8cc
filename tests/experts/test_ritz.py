"""Rayleigh-Ritz: exact levels, convergence from above, conformity, quadrature, and errors."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from pinnkit.errors import MethodError
from pinnkit.experts.bases import ChebyshevTensor, RandomSine, RandomTanh, tensor_basis
from pinnkit.experts.ritz.bases import Gated, Separable
from pinnkit.experts.ritz.form import Form, assemble, groups, lowest, rayleigh_ritz
from pinnkit.experts.ritz.krylov import largest
from pinnkit.experts.ritz.spaces import AxisSpace, BoxSpace, EllipseSpace, Ends
from pinnkit.experts.ritz.tables import DenseTable

WALLS = Ends(True, True)


def form(dim=1, potential=lambda x: 0.0, p=1.0, w=1.0, stiffness=None):
    def coefficients(points):
        ones = np.ones(len(points))
        return (
            p * np.broadcast_to(np.eye(dim), (len(points), dim, dim)),
            potential(points) * ones,
            w * ones,
        )

    return Form(coefficients, stiffness or {})


def interval(basis, edges=(0.0, 1.0), ends=WALLS):
    return BoxSpace(("x",), (edges,), basis, {"x": ends})


@pytest.mark.parametrize(
    "basis",
    [ChebyshevTensor((24,)), RandomSine.draw(24, (6.0,), 1), RandomTanh.draw(24, (2.0,), 1)],
    ids=["chebyshev", "sine", "tanh"],
)
@pytest.mark.parametrize("edges", [(0.0, 1.0), (0.0, 0.3, 1.0)])
def test_infinite_well_in_every_basis_and_split(basis, edges):
    found = rayleigh_ritz(form(), interval(basis, edges), 3).values[:3]
    np.testing.assert_allclose(found, (np.pi * np.arange(1, 4)) ** 2, rtol=2e-6)


def test_levels_come_down_to_the_exact_ones_never_below_and_exponentially():
    exact, errors = (np.pi * np.arange(1, 4)) ** 2, []
    before = np.full(3, np.inf)
    degrees = np.arange(5, 16, 2)
    for degree in degrees:
        found = rayleigh_ritz(form(), interval(ChebyshevTensor((int(degree),))), 3).values[:3]
        assert (found >= exact * (1 - 1e-13)).all()
        assert (found <= before * (1 + 1e-13)).all()
        before = found
        errors.append(float(np.max(found / exact - 1)))
    rate = np.polyfit(degrees, np.log10(errors), 1)[0]
    assert rate < -0.8
    assert errors[-1] < 1e-9


def test_natural_periodic_and_elastic_ends():
    basis = ChebyshevTensor((24,))
    found = rayleigh_ritz(form(), interval(basis, ends=Ends()), 3).values[:3]
    np.testing.assert_allclose(found, [0.0, np.pi**2, 4 * np.pi**2], atol=1e-10)
    ring = interval(basis, (0.0, 0.4, 1.0), Ends(periodic=True))
    found = rayleigh_ritz(form(), ring, 3).values[:3]
    np.testing.assert_allclose(found, [0.0, 4 * np.pi**2, 4 * np.pi**2], atol=1e-8)
    spring = form(stiffness={"x+": lambda points, normals: 2.0 + 0.0 * points[:, 0]})
    k = np.sqrt(rayleigh_ritz(spring, interval(basis, ends=Ends(lower=True)), 1).values[0])
    assert k / np.tan(k) == pytest.approx(-2.0, rel=1e-12)


def test_a_negative_spring_binds_a_state_below_the_potential():
    """-u'' = E u on [0, 1], u'(0) = 0, u'(1) = 3 u(1): E = -k^2 with k tanh k = 3."""
    pull = form(stiffness={"x+": lambda points, normals: -3.0 + 0.0 * points[:, 0]})
    level = rayleigh_ritz(pull, interval(ChebyshevTensor((20,)), ends=Ends()), 1).values[0]
    k = np.sqrt(-level)
    assert k * np.tanh(k) == pytest.approx(3.0, rel=1e-12)


def test_modes_are_orthonormal_in_the_weight_with_a_positive_first_lobe():
    weighted = form(w=2.0)
    space = interval(ChebyshevTensor((20,)), (0.0, 0.5, 1.0))
    found = rayleigh_ritz(weighted, space, 4)
    table = space.table(1.3)
    modes = table.values(found.vectors)
    np.testing.assert_allclose(
        modes.T @ (2.0 * table.weights[:, None] * modes), np.eye(modes.shape[1]), atol=1e-11
    )
    assert (modes[0] > 0).all()


def test_a_deep_level_keeps_its_relative_accuracy():
    deep = form(potential=lambda x: -1e4)
    shifted = rayleigh_ritz(deep, interval(ChebyshevTensor((20,))), 2).values[:2]
    np.testing.assert_allclose(shifted, (np.pi * np.arange(1, 3)) ** 2 - 1e4, rtol=1e-13)


def test_under_integrated_coefficients_are_noticed_and_nodes_raised():
    wiggly = form(potential=lambda x: 300.0 * np.cos(90.0 * x[:, 0]))
    found = rayleigh_ritz(wiggly, interval(ChebyshevTensor((10,))), 2)
    assert found.scale > 1.0
    assert found.quadrature[:2].max() < 1e-11 * found.values[0]
    exact = rayleigh_ritz(wiggly, interval(ChebyshevTensor((10,))), 2, scale=8.0).values
    np.testing.assert_allclose(found.values, exact, rtol=1e-11)


def test_integrals_that_never_settle_are_reported():
    """A jump inside an expert: the change on finer nodes stays visible."""
    step = form(potential=lambda x: 1e3 * (x[:, 0] > 0.37))
    found = rayleigh_ritz(step, interval(ChebyshevTensor((12,))), 2)
    assert found.quadrature[:2].max() > 1e-6


@settings(max_examples=20, deadline=None)
@given(
    jumps=st.lists(st.floats(-40.0, 40.0), min_size=3, max_size=3),
    waves=st.lists(st.floats(-20.0, 20.0), min_size=3, max_size=3),
    degree=st.integers(5, 12),
)
def test_levels_are_upper_bounds_for_random_potentials(jumps, waves, degree):
    edges = (0.0, 0.2, 0.7, 1.0)

    def potential(points):
        x = points[:, 0]
        steps = np.asarray(jumps)[np.searchsorted(edges[1:-1], x)]
        return steps + sum(a * np.cos((i + 1) * np.pi * x) for i, a in enumerate(waves))

    posed = form(potential=potential)
    coarse = rayleigh_ritz(posed, interval(ChebyshevTensor((degree,)), edges), 4)
    fine = rayleigh_ritz(posed, interval(ChebyshevTensor((24,)), edges), 4)
    slack = 1e-11 * np.abs(fine.values[3])
    assert (coarse.values[:4] >= fine.values[:4] - slack).all()
    np.testing.assert_allclose(coarse.values[:3], fine.values[:3], atol=2.0)


def test_products_of_axes_give_sums_of_levels():
    """V = f(x) + g(y) on a box cut in both axes: levels are sums of those of the axes."""

    def f(x):
        return np.where(x > 0.4, 30.0, 0.0)

    def g(y):
        return 5.0 * y**2

    basis, walls = ChebyshevTensor((14,)), Ends(True, True)
    plane = BoxSpace(("x", "y"), ((0.0, 0.4, 1.0), (-1.0, 2.0)), basis, {"x": walls})
    found = rayleigh_ritz(form(2, lambda z: f(z[:, 0]) + g(z[:, 1])), plane, 5).values[:5]
    first = rayleigh_ritz(form(1, lambda z: f(z[:, 0])), interval(basis, (0.0, 0.4, 1.0)), 6)
    second = rayleigh_ritz(form(1, lambda z: g(z[:, 0])), interval(basis, (-1.0, 2.0), Ends()), 6)
    sums = np.sort((first.values[:6, None] + second.values[None, :6]).ravel())[:5]
    np.testing.assert_allclose(found, sums, rtol=1e-12)


def test_factorised_matrices_equal_the_dense_ones():
    rng = np.random.default_rng(0)
    space = BoxSpace(("x", "y"), ((0.0, 1.0), (0.0, 0.5, 2.0)), ChebyshevTensor((4,)), {"x": WALLS})
    table = space.table()
    eye = np.eye(space.size)
    slopes = np.stack([table.values(eye, i) for i in (0, 1)])
    dense = DenseTable(table.points, table.weights, table.values(eye), slopes)
    density, c = rng.standard_normal(len(table.points)), rng.standard_normal((space.size, 2))
    for along, other in ((None, None), (0, 0), (0, 1), (1, None)):
        np.testing.assert_allclose(
            table.gram(density, along, other), dense.gram(density, along, other), atol=1e-11
        )
    np.testing.assert_allclose(table.moments(density), dense.moments(density), atol=1e-12)
    np.testing.assert_allclose(table.values(c, 1), dense.values(c, 1), atol=1e-12)


@pytest.mark.parametrize("count", [10, 14])
@pytest.mark.parametrize("kind", ["chebyshev", "sine"])
def test_unit_disk_with_its_distance_factor(kind, count):
    polynomial = tensor_basis((count, count), ("chebyshev",) * 2)
    basis = polynomial if kind == "chebyshev" else RandomSine.draw(count**2, (4.0, 4.0), 1)
    zeros = [np.repeat(special.jn_zeros(m, 3) ** 2, 1 + (m > 0)) for m in range(5)]
    exact = np.sort(np.concatenate(zeros))[:6]
    found = rayleigh_ritz(form(2), EllipseSpace((0.0, 0.0), (1.0, 1.0), basis, True), 6)
    assert (found.values[:6] >= exact * (1 - 1e-12)).all()
    np.testing.assert_allclose(found.values[:6], exact, rtol=2e-9 if count == 10 else 1e-11)
    assert groups(found.values[:6], 1e-6 * exact) == [[0], [1, 2], [3, 4], [5]]


def test_derived_bases_differentiate_exactly():
    xi = np.random.default_rng(1).uniform(-1, 1, (7, 2))
    inner = RandomSine.draw(5, (2.0, 2.0), 0)
    gated = Gated(inner, ((1.0, (0, 0)), (-1.0, (2, 0)), (-1.0, (0, 2))))
    one = RandomTanh.draw(4, (1.0,), 0)
    product = Separable((one, one))
    assert (gated.size, product.size) == (5, 16)
    for basis in (gated, product):
        for orders, axis in (((0, 0), 0), ((1, 0), 1), ((0, 2), 0), ((1, 1), 1)):
            step = 1e-5 * np.eye(2)[axis]
            raised = tuple(o + (i == axis) for i, o in enumerate(orders))
            slope = (basis.features(xi + step, orders) - basis.features(xi - step, orders)) / 2e-5
            np.testing.assert_allclose(basis.features(xi, raised), slope, atol=2e-8)
    rim = np.array([[0.6, 0.8], [-1.0, 0.0]])
    np.testing.assert_allclose(gated.features(rim, (0, 0)), 0.0, atol=1e-15)


def test_local_coefficients_reproduce_the_modes():
    space = BoxSpace(("x", "y"), ((0.0, 0.5, 1.0), (0.0, 1.0)), ChebyshevTensor((6,)), {"y": WALLS})
    table = space.table()
    c = np.random.default_rng(2).standard_normal((space.size, 3))
    local = space.local(c)
    owner = space.boxes.owners(table.points)
    features = space.basis.features(space.boxes.local(owner, table.points), (0, 0))
    np.testing.assert_allclose(
        np.einsum("qn,qmn->qm", features, local[owner]), table.values(c), atol=1e-10
    )


def test_axis_functions_are_continuous_and_vanish_at_walls():
    space = AxisSpace((0.0, 0.3, 1.0), ChebyshevTensor((5,)), WALLS)
    assert space.size == 2 * 6 - 3
    np.testing.assert_allclose(space.end(0).value, 0.0, atol=1e-12)
    np.testing.assert_allclose(space.end(1).value, 0.0, atol=1e-12)
    ends = [space.basis.features(np.array([[s]]), (0,)) for s in (1.0, -1.0)]
    jump = ends[0] @ space.transforms[0] - ends[1] @ space.transforms[1]
    np.testing.assert_allclose(jump, 0.0, atol=1e-12)


def test_krylov_pairs_equal_those_of_the_full_pencil_with_multiplicities():
    levels = np.sort((np.arange(1, 28)[:, None] ** 2 + np.arange(1, 28)[None, :] ** 2).ravel())
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((729, 729)))[0]
    metric = (q * levels) @ q.T
    vectors = largest(np.eye(729), 0.5 * (metric + metric.T), 6)
    mu = np.einsum("ij,ij->j", vectors, vectors) / np.einsum("ij,ij->j", vectors, metric @ vectors)
    np.testing.assert_allclose(mu, 1.0 / levels[:6], rtol=1e-12)
    assert np.linalg.matrix_rank(vectors) == 6


def test_lowest_agrees_with_the_plain_solver():
    rng = np.random.default_rng(3)
    a = rng.standard_normal((40, 40))
    b = rng.standard_normal((40, 40))
    stiffness, mass = a + a.T, b @ b.T + np.eye(40)
    values, vectors = lowest(stiffness, mass, 5)
    exact = scipy.linalg.eigh(stiffness, mass, eigvals_only=True)[:5]
    np.testing.assert_allclose(values, exact, rtol=1e-10)
    np.testing.assert_allclose(vectors.T @ mass @ vectors, np.eye(5), atol=1e-10)


def test_coefficients_of_wrong_sign_and_too_many_levels_are_refused():
    space = interval(ChebyshevTensor((8,)))
    with pytest.raises(MethodError, match="p changes sign or vanishes at"):
        rayleigh_ritz(form(p=-1.0), space, 1)
    with pytest.raises(MethodError, match="w changes sign or vanishes at"):
        rayleigh_ritz(form(w=-1.0), space, 1)
    with pytest.raises(MethodError, match="V is not finite at"):
        assemble(form(potential=lambda x: np.where(x[:, 0] > 0.5, np.nan, 0.0)), space, 1.0)
    with pytest.raises(MethodError, match="5 levels were asked of a trial space of dimension 4"):
        rayleigh_ritz(form(), interval(ChebyshevTensor((5,))), 5)
