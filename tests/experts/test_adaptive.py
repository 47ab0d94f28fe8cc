"""Layouts that follow the solution, continuation from rest, elimination inside experts."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import iv, jv

from pinnkit import Box, Dirichlet, Equation, Problem, Sine, coordinates, field, laplacian
from pinnkit.compile import compile_problem
from pinnkit.derivatives.basis import linearise
from pinnkit.experts.adaptive import expert_tails, halved
from pinnkit.experts.bases import ChebyshevTensor
from pinnkit.experts.collocation import gauss_tensor
from pinnkit.experts.condense import condensed
from pinnkit.experts.families import Shape
from pinnkit.experts.gauge import Gauge, gauge
from pinnkit.experts.layout import Blocks, Boxes
from pinnkit.experts.loading import under_load
from pinnkit.experts.means import Means, Size
from pinnkit.experts.newton import Newton
from pinnkit.experts.rows import Rows, assembled
from pinnkit.experts.slab import Machine
from pinnkit.experts.solvers import pool

pytestmark = pytest.mark.usefixtures("x64")
x, y = coordinates("x y")
u = field("u", x, y)


def machine(exact, degree=10, size=1.0):
    problem = Problem(
        "poisson",
        Box(x=(0, size), y=(0, size)),
        [
            Equation(laplacian(u) - exact.diff(x, 2) - exact.diff(y, 2)),
            Dirichlet(u, exact),
        ],
    )
    system = compile_problem(problem)
    lines = {r.name: linearise(r) for r in system.residuals}
    return Machine(system, ChebyshevTensor((degree, degree)), lines)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_halving_keeps_the_domain_covered_once(axes, seed):
    rng = np.random.default_rng(seed)
    boxes = Boxes(np.zeros((1, 3)), np.ones((1, 3)))
    for _ in axes:
        boxes = halved(boxes, rng.random((boxes.count, 3)) < 0.4)
    assert np.prod(2 * boxes.half, axis=1).sum() == pytest.approx(1.0)
    points = rng.random((200, 3))
    inside = (points[:, None] > boxes.lower) & (points[:, None] < boxes.upper)
    assert (inside.all(axis=2).sum(axis=1) == 1).all()


def test_tails_tell_the_axis_that_is_not_resolved():
    basis = ChebyshevTensor((12, 12))
    xi, _ = gauss_tensor((20, 20))
    values = np.sin(14 * xi[:, 0]) * np.cos(xi[:, 1])
    c = np.linalg.lstsq(basis.features(xi, (0, 0)), values, rcond=None)[0]
    (along_x, along_y) = expert_tails(Gauge(basis, None), c[None, None, :])[0]
    assert along_x > 1e-2 and along_y < 1e-6 * along_x


def test_random_features_are_judged_by_the_polynomials_that_they_hold():
    """Chebyshev coefficients of a fitted function: Bessel's, J_k(3) along x, by Jacobi-Anger."""
    basis = Sine().resolving(12, Shape(2, seed=3))
    judge = gauge(basis, 2)
    xi, _ = gauss_tensor((24, 24))
    values = np.cos(3 * xi[:, 0]) * np.exp(xi[:, 1])
    c = np.linalg.lstsq(basis.features(xi, (0, 0)), values, rcond=1e-13)[0]
    found = judge.coefficients(c[None, None, :])[0, 0]
    index = np.asarray(judge.polynomials.index)
    for k, m in ((0, 0), (2, 1), (4, 2), (2, 4)):
        (place,) = np.flatnonzero((index == (k, m)).all(axis=1))
        along_x = (2.0 if k else 1.0) * (-1) ** (k // 2) * jv(k, 3.0)
        along_y = (2.0 if m else 1.0) * iv(m, 1.0)
        assert found[place] == pytest.approx(along_x * along_y, abs=1e-5)
    assert judge.polynomials.degrees[0] >= 8


def test_sines_resolve_polynomials_up_to_about_the_degree_that_is_asked_for():
    for degree in (6, 9, 12):
        held = gauge(Sine().resolving(degree, Shape(2)), 2).polynomials.degrees[0]
        assert degree <= held <= degree + 4


def test_experts_join_as_well_after_elimination_as_before(monkeypatch):
    """A resolved problem on 8 x 8 experts, along the levels with and without elimination."""
    import pinnkit.experts.solvers as solvers

    exact = sp.sin(3 * x) * sp.exp(y / 2)
    boxes = Blocks(x=8, y=8).boxes(("x", "y"), {"x": (0, 4), "y": (0, 4)})
    points = np.random.default_rng(1).uniform(0, 4, (500, 2))
    true = sp.lambdify((x, y), exact, "numpy")(*points.T)
    found = {}
    for above in (0.0, np.inf):
        monkeypatch.setattr(solvers, "CONDENSE_ABOVE", above)
        slab = machine(exact, 10, 4.0).solve(boxes, None)
        found[slab.solver] = np.abs(slab.mixture.on_host(points)[:, 0] - true).max()
    assert len(found) == 2
    assert max(found.values()) < 1e-8
    assert found["condensed block-banded QR"] < 20 * found["block-banded QR"] + 1e-12


def test_elimination_is_exact_where_all_rows_can_be_satisfied():
    rng = np.random.default_rng(2)
    true = [rng.normal(size=9) for _ in range(3)]
    rows = []
    for k, c in enumerate(true):
        own = rng.normal(size=(6, 9))
        rows.append(Rows((k,), (own,), own @ c))
    for k in range(2):
        left, right = rng.normal(size=(8, 9)), rng.normal(size=(8, 9))
        rows.append(Rows((k, k + 1), (left, right), left @ true[k] + right @ true[k + 1]))
    smaller = condensed(rows, [9] * 3, pool())
    assert smaller.sizes == [3, 3, 3]
    matrix, rhs = assembled(smaller.rows, smaller.sizes, range(3))
    free = np.split(np.linalg.lstsq(matrix, rhs, rcond=None)[0], 3)
    for found, wanted in zip(smaller.expanded(free), true, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-9)


def _arctan(start, load):
    """Newton's method for arctan(c) = 1.5 s, which diverges from afar."""
    c = float(start[0])
    for n in range(1, 9):
        step = (np.arctan(c) - 1.5 * load) * (1 + c * c)
        c -= step
        if abs(step) < 1e-12 * max(abs(c), 1.0):
            return Newton(np.array([c]), n, True, "converged", abs(step), 0.0)
        if not np.isfinite(c) or abs(c) > 1e12:
            break
    return Newton(start, 8, False, "diverged", np.inf, np.inf)


def test_loading_reaches_what_newton_from_rest_does_not():
    rest = np.zeros(1)
    failed = _arctan(rest, 1.0)
    assert not failed.converged
    found = under_load(_arctan, rest, failed)
    assert found.converged and found.coefficients[0] == pytest.approx(np.tan(1.5), rel=1e-9)


def test_loading_returns_the_failure_where_there_is_no_solution():
    def hopeless(start, load):
        ok = load < 0.6
        return Newton(start, 3, ok, "converged" if ok else "no solution", 0.0, 0.0)

    failed = hopeless(np.zeros(1), 1.0)
    assert under_load(hopeless, np.zeros(1), failed).reason == "no solution"


def test_work_of_a_strip_is_predicted_to_grow_with_its_length_only():
    short, long = Size(100, 150, bytes=1e6), Size(400, 150)
    assert long.seconds == pytest.approx(4 * short.seconds)
    means = Means(work=10 * short.seconds, memory=1e12)
    assert means.affords(short, 10) and not means.affords(short, 11)
    means.charge(short, 5)
    assert not means.affords(short, 6)
    assert not Means(np.inf, short.bytes / 2).affords(short)


def test_a_strip_of_two_hundred_experts_solves_as_well_as_its_part():
    exact = sp.sin(sp.pi * x / 2) * sp.sin(sp.pi * y)
    errors = {}
    for count in (20, 200):
        problem = Problem(
            "strip",
            Box(x=(0, count), y=(0, 1)),
            [Equation(laplacian(u) + 5 * sp.pi**2 / 4 * exact), Dirichlet(u, exact)],
        )
        system = compile_problem(problem)
        lines = {r.name: linearise(r) for r in system.residuals}
        boxes = Blocks(x=count).boxes(system.axes, system.domain.bounds)
        slab = Machine(system, ChebyshevTensor((10, 10)), lines).solve(boxes, None)
        points = np.random.default_rng(0).uniform(0, 1, (400, 2)) * [count, 1]
        true = sp.lambdify((x, y), exact, "numpy")(*points.T)
        errors[count] = np.abs(slab.mixture.on_host(points)[:, 0] - true).max()
    assert errors[200] < 2 * errors[20] and errors[20] < 1e-8
