"""Least squares on mixtures of experts against exact and closed-form solutions."""

import jax
import numpy as np
import pytest
import sympy as sp

from pinnkit.compile import compile_problem
from pinnkit.derivatives.autodiff import term_values
from pinnkit.errors import MethodError, OptionError
from pinnkit.experts.families import Chebyshev, Sine, Tanh
from pinnkit.experts.layout import Blocks, Graded
from pinnkit.geometry import Box, MeshDomain
from pinnkit.methods.base import Run
from pinnkit.methods.least_squares import LeastSquares
from pinnkit.report.residuals import residual_rms
from pinnkit.spec.condition import (
    Dirichlet,
    Equation,
    Initial,
    Integral,
    Neumann,
    Observed,
    Periodic,
    Robin,
)
from pinnkit.spec.problem import Problem
from pinnkit.spec.symbols import coordinates, eigenvalue, field, parameter

pytestmark = pytest.mark.usefixtures("x64")

T, X, Y, Z = coordinates("t x y z")
PI = sp.pi


def run(problem, method=None, key=0, seconds=None):
    system = compile_problem(problem)
    method = method or LeastSquares()
    assert method.supports(system) is None
    return method.run(system, Run(jax.random.key(key), seconds))


def error(solution, exact, name="u", n=33):
    """Relative L2 error on a uniform grid with all faces."""
    domain = solution.problem.domain
    axes = np.meshgrid(*(np.linspace(*domain.bounds[a], n) for a in domain.axes), indexing="ij")
    symbols = [s for s in (T, X, Y, Z) if s.name in domain.axes]
    order = [symbols[[s.name for s in symbols].index(a)] for a in domain.axes]
    wanted = np.broadcast_to(sp.lambdify(order, exact, "numpy")(*axes), axes[0].shape)
    found = solution(**dict(zip(domain.axes, axes, strict=True)))[name]
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def poisson(domain=None, exact=None, conditions=None):
    u = field("u", X, Y)
    exact = sp.sin(PI * X) * sp.sin(PI * Y) if exact is None else exact
    source = exact.diff(X, 2) + exact.diff(Y, 2)
    walls = [Dirichlet(u, exact)] if conditions is None else conditions(u)
    equation = Equation(sp.Eq(u.diff(X, 2) + u.diff(Y, 2), source))
    domain = domain or Box(x=(-1, 1), y=(-1, 1))
    return Problem(name="poisson", domain=domain, conditions=[equation, *walls]), exact


@pytest.mark.parametrize(
    "method",
    [
        LeastSquares(),
        LeastSquares(layout=Blocks(x=2, y=2)),
        LeastSquares(basis=Sine()),
        LeastSquares(basis=Sine(features=300, scale=4.0), layout=Blocks(x=2, y=2)),
    ],
    ids=["one", "four", "sine", "four sine"],
)
def test_poisson_is_solved_to_nine_digits(method):
    posed, exact = poisson()
    solution = run(posed, method)
    assert solution.status.ok
    assert error(solution, exact) <= 1e-9
    assert solution.error_estimate["u"] < 1e-3


@pytest.mark.parametrize("key", [1, 2, 3])
def test_seeds_agree_within_the_error_estimate(key):
    posed, exact = poisson()
    solution = run(posed, LeastSquares(basis=Sine()), key)
    assert error(solution, exact) <= max(1e-9, solution.error_estimate["u"])


def test_tanh_features_solve_it_too():
    posed, exact = poisson()
    assert error(run(posed, LeastSquares(basis=Tanh(features=300))), exact) <= 1e-6


def test_neumann_robin_and_value_on_different_faces():
    exact = sp.exp(X) * sp.cos(Y)

    def conditions(u):
        return [
            Dirichlet(u, exact, on="x-"),
            Neumann(u, exact.diff(X), on="x+"),
            Neumann(u, -exact.diff(Y), on="y-"),
            Robin(u, 2, 1, 2 * exact + exact.diff(Y), on="y+"),
        ]

    posed, _ = poisson(exact=exact, conditions=conditions)
    assert error(run(posed), exact) <= 1e-10


def test_graded_experts_join_with_the_order_of_the_equation():
    """u'''' = f with a sharp bump: C0 to C3 between seven experts."""
    u, exact = field("u", X), sp.exp(-200 * X**2)
    ends = [
        Dirichlet(u, exact),
        Neumann(u, exact.diff(X), on="x+"),
        Neumann(u, -exact.diff(X), on="x-"),
    ]
    posed = Problem(
        name="beam",
        domain=Box(x=(-1, 1)),
        conditions=[Equation(sp.Eq(u.diff(X, 4), exact.diff(X, 4))), *ends],
    )
    edges = (-1, -0.4, -0.2, -0.05, 0.05, 0.2, 0.4, 1)
    solution = run(posed, LeastSquares(layout=Graded(x=edges)))
    assert error(solution, exact, n=201) <= 1e-7
    mixture = solution.evaluator.mixture
    left, right = np.array([[0.2 - 1e-12]]), np.array([[0.2 + 1e-12]])
    for order in range(4):
        a, b = mixture.derivative(left, (order,)), mixture.derivative(right, (order,))
        assert abs(float((a - b)[0, 0])) <= 1e-6 * 200 ** (order / 2)


def test_three_dimensions():
    u = field("u", X, Y, Z)
    exact = sp.sin(PI * X) * sp.sin(PI * Y) * sp.exp(Z)
    source = sum(exact.diff(a, 2) for a in (X, Y, Z))
    posed = Problem(
        name="cube",
        domain=Box(x=(0, 1), y=(0, 1), z=(0, 1)),
        conditions=[
            Equation(sp.Eq(sum(u.diff(a, 2) for a in (X, Y, Z)), source)),
            Dirichlet(u, exact),
        ],
    )
    assert error(run(posed, LeastSquares(tolerance=1e-4)), exact, n=11) <= 1e-6


def heat():
    u = field("u", T, X)
    return Problem(
        name="heat",
        domain=Box(t=(0, 1), x=(0, 1), time="t"),
        conditions=[
            Equation(sp.Eq(u.diff(T), u.diff(X, 2) / PI**2)),
            Initial(u, sp.sin(PI * X)),
            Dirichlet(u, 0),
        ],
    ), sp.exp(-T) * sp.sin(PI * X)


@pytest.mark.parametrize("slabs", [None, 3, (0, 0.2, 1)])
def test_heat_in_slabs(slabs):
    posed, exact = heat()
    solution = run(posed, LeastSquares(slabs=slabs))
    assert error(solution, exact) <= 1e-9
    assert solution.stats["slabs"] == {None: 1, 3: 3}.get(slabs, 2)


def test_waves_hand_over_value_and_velocity():
    u, exact = field("u", T, X), sp.cos(2 * PI * T) * sp.sin(PI * X)
    posed = Problem(
        name="wave",
        domain=Box(t=(0, 2), x=(0, 1), time="t"),
        conditions=[
            Equation(sp.Eq(u.diff(T, 2), 4 * u.diff(X, 2))),
            Initial(u, exact.subs(T, 0)),
            Initial(u.diff(T), 0),
            Dirichlet(u, 0),
        ],
    )
    assert error(run(posed, LeastSquares(slabs=4)), exact) <= 1e-8


@pytest.mark.parametrize(
    "method",
    [
        LeastSquares(tolerance=1e-6),
        LeastSquares(basis=Sine(features=500, scale=(4.0, 40.0)), slabs=4),
        LeastSquares(layout=Blocks(x=3), tolerance=1e-6),
    ],
    ids=["fourier", "sine", "joined ends"],
)
def test_periodic_advection(method):
    u, exact = field("u", T, X), sp.exp(sp.sin(X - 3 * T))
    posed = Problem(
        name="advection",
        domain=Box(t=(0, 1), x=(0, 2 * PI), time="t"),
        conditions=[
            Equation(u.diff(T) + 3 * u.diff(X)),
            Initial(u, sp.exp(sp.sin(X))),
            Periodic("x"),
        ],
    )
    solution = run(posed, method)
    assert error(solution, exact) <= min(1e-4, solution.error_estimate["u"])
    ends = [solution(t=0.7, x=x)["u"] for x in (0.0, 2 * np.pi)]
    assert abs(float(ends[0] - ends[1])) <= 1e-6


def test_nonlinear_poisson_by_newton():
    u, exact = field("u", X, Y), sp.sin(PI * X) * sp.cos(Y)
    source = exact.diff(X, 2) + exact.diff(Y, 2) - sp.exp(exact)
    posed = Problem(
        name="bratu",
        domain=Box(x=(0, 1), y=(0, 1)),
        conditions=[
            Equation(sp.Eq(u.diff(X, 2) + u.diff(Y, 2) - sp.exp(u), source)),
            Dirichlet(u, exact),
        ],
    )
    solution = run(posed)
    assert error(solution, exact) <= 1e-10
    assert solution.stats["newton_iterations"] <= 6


def cole_hopf(t, x, nu=0.01 / np.pi):
    """Burgers' equation from -sin(pi x), by the Cole-Hopf transformation and log-sum-exp."""
    width = t + 6.0 * np.sqrt(4.0 * nu * t)
    count = int(np.ceil(16.0 * width / np.sqrt(4.0 * nu * t))) + 1
    eta = np.linspace(-width, width, count)[None, :]
    y = x[:, None] - eta
    exponent = -np.cos(np.pi * y) / (2.0 * np.pi * nu) - eta**2 / (4.0 * nu * t)
    weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return -(np.sin(np.pi * y) * weight).sum(axis=1) / weight.sum(axis=1)


def burgers():
    u, nu = field("u", T, X), parameter("nu", 0.01 / np.pi)
    return Problem(
        name="burgers",
        domain=Box(t=(0, 1), x=(-1, 1), time="t"),
        conditions=[
            Equation(sp.Eq(u.diff(T) + u * u.diff(X), nu * u.diff(X, 2))),
            Initial(u, -sp.sin(PI * X)),
            Dirichlet(u, 0),
        ],
    )


def test_burgers_on_graded_experts_in_slabs():
    edges = (-1, -0.4, -0.15, -0.06, -0.025, -0.01, 0, 0.01, 0.025, 0.06, 0.15, 0.4, 1)
    slabs = (0, 0.2, 0.3, 0.36, 0.42, 0.5, 0.65, 0.8, 1)
    basis = Sine(features=90, scale=(2.0, 4.0))
    solution = run(burgers(), LeastSquares(basis=basis, layout=Graded(x=edges), slabs=slabs))
    x = np.linspace(-1, 1, 401)
    for t in (0.25, 0.5, 1.0):
        wanted = cole_hopf(t, x)
        found = solution(t=t, x=x)["u"]
        assert np.linalg.norm(found - wanted) <= 5e-6 * np.linalg.norm(wanted)
    assert solution.stats["solver"] == "block-banded QR"
    assert solution.status.ok


def test_an_unresolved_front_is_not_a_success():
    solution = run(burgers(), LeastSquares(basis=Chebyshev(degree=10), slabs=4), seconds=20)
    assert not solution.status.ok
    assert "refine the layout" in solution.status.reason


def test_a_system_with_a_gauge():
    """Stokes flow manufactured from a streamfunction; the pressure has zero mean."""
    u, v, p = (field(name, X, Y) for name in "uvp")
    stream = sp.sin(PI * X) ** 2 * sp.sin(PI * Y) ** 2
    ue, ve, pe = stream.diff(Y), -stream.diff(X), sp.cos(PI * X) * sp.exp(Y)

    def momentum(w, axis, we):
        left = p.diff(axis) - w.diff(X, 2) - w.diff(Y, 2)
        return Equation(sp.Eq(left, pe.diff(axis) - we.diff(X, 2) - we.diff(Y, 2)), name=str(axis))

    conditions = [
        momentum(u, X, ue),
        momentum(v, Y, ve),
        Equation(u.diff(X) + v.diff(Y), name="mass"),
        Dirichlet(u, 0),
        Dirichlet(v, 0),
    ]
    domain = Box(x=(0, 1), y=(0, 1))
    with pytest.raises(MethodError, match="'p' only up to a constant. Add Integral"):
        run(Problem(name="stokes", domain=domain, conditions=conditions))
    posed = Problem(name="stokes", domain=domain, conditions=[*conditions, Integral(p, 0)])
    solution = run(posed, LeastSquares(basis=Chebyshev(degree=16)))
    assert error(solution, ue, "u") <= 1e-7
    assert error(solution, pe, "p") <= 1e-6


def test_pure_neumann_with_a_mean_value_on_several_experts():
    exact = sp.cos(PI * X) * sp.cos(PI * Y) + 3
    posed, _ = poisson(exact=exact, conditions=lambda u: [Neumann(u, 0), Integral(u, 12)])
    assert error(run(posed, LeastSquares(layout=Blocks(x=2))), exact) <= 1e-9


def test_observed_values_replace_missing_conditions():
    u, exact = field("u", X), sp.sin(3 * X)
    posed = Problem(
        name="observed",
        domain=Box(x=(0, 1)),
        conditions=[
            Equation(u.diff(X, 2) + 9 * u),
            Observed(u, at={"x": np.array([0.8, 0.2])}, values=np.sin([2.4, 0.6])),
        ],
    )
    assert error(run(posed, LeastSquares(layout=Blocks(x=2))), exact) <= 1e-10


def test_a_kink_in_the_source_splits_the_layout():
    u = field("u", X)
    source = sp.Piecewise((1, sp.Lt(X, sp.Rational(3, 10))), (0, True))
    posed = Problem(
        name="kink",
        domain=Box(x=(0, 1)),
        conditions=[Equation(sp.Eq(u.diff(X, 2), source)), Dirichlet(u, 0)],
    )
    slope = -0.3 + 0.3**2 / 2
    exact = sp.Piecewise((X**2 / 2 + slope * X, sp.Lt(X, 0.3)), ((0.3 + slope) * (X - 1), True))
    solution = run(posed)
    assert solution.stats["experts"] == 2
    assert error(solution, exact) <= 1e-12


def test_a_polygon_of_triangles():
    nodes = np.array([[0, 0], [1, 0], [1.4, 0.8], [0.5, 1.3], [-0.3, 0.7], [0.5, 0.6]], float)
    cells = np.array([[0, 1, 5], [1, 2, 5], [2, 3, 5], [3, 4, 5], [4, 0, 5]])
    posed, exact = poisson(MeshDomain.from_arrays(nodes, cells), sp.exp(X) * sp.sin(2 * Y))
    solution = run(posed)
    inside = posed.domain.region("interior").sample(300, 5)
    found = solution(x=inside[:, 0], y=inside[:, 1])["u"]
    wanted = np.exp(inside[:, 0]) * np.sin(2 * inside[:, 1])
    assert np.linalg.norm(found - wanted) <= 1e-8 * np.linalg.norm(wanted)


def wheel(angle, radii):
    """A mesh of triangles from the origin to the edges between nodes of an ellipse."""
    count = len(angle)
    nodes = np.stack([radii[0] * np.cos(angle), radii[1] * np.sin(angle)], axis=1)
    here, after = np.arange(count), (np.arange(count) + 1) % count
    cells = np.stack([here, after, np.full(count, count)], axis=1)
    return MeshDomain.from_arrays(np.concatenate([nodes, [[0.0, 0.0]]]), cells)


def nodal_error(solution, exact):
    """Largest error at the nodes of the mesh."""
    x, y = solution.problem.domain.vertices.T
    wanted = np.broadcast_to(sp.lambdify((X, Y), exact)(x, y), x.shape)
    return np.abs(solution(x=x, y=y)["u"] - wanted).max()


def test_a_mesh_stands_for_the_curve_that_its_nodes_outline():
    """u = 0 on an ellipse, from which the edges are off by (pi / n)^2 / 2."""
    exact = 1 - X**2 - 4 * Y**2
    u = field("u", X, Y)
    found = []
    for count in (24, 48, 96):
        angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
        conditions = [Equation(u.diff(X, 2) + u.diff(Y, 2) + 10), Dirichlet(u, 0)]
        mesh = wheel(angle + 0.1 * np.cos(2 * angle), (1.0, 0.5))
        posed = Problem(name="oval", domain=mesh, conditions=conditions)
        method = LeastSquares(basis=Chebyshev(12), features=91)
        found.append(error_inside(run(posed, method), exact))
    assert found[0] < 2e-3 and found[1] < 1e-4 and found[2] < 2e-6


def error_inside(solution, exact):
    """Largest error inside the mesh."""
    points = solution.problem.domain.interior.sample(500, 0)
    wanted = sp.lambdify((X, Y), exact)(*points.T)
    return np.abs(solution(x=points[:, 0], y=points[:, 1])["u"] - wanted).max()


def test_slopes_on_a_mesh_take_the_normals_of_the_curve():
    exact = sp.exp(X) * sp.cos(2 * Y)
    u = field("u", X, Y)
    slope = exact.diff(X) * X + exact.diff(Y) * Y
    conditions = [
        Equation(sp.Eq(u.diff(X, 2) + u.diff(Y, 2) - u, -4 * exact)),
        Neumann(u, slope, on="boundary"),
    ]
    mesh = wheel(np.linspace(0, 2 * np.pi, 40, endpoint=False), (1.0, 1.0))
    solution = run(Problem(name="slopes", domain=mesh, conditions=conditions))
    assert solution.status.ok
    assert nodal_error(solution, exact) < 1e-11
    assert "boundary: 1 arc through the boundary nodes of mesh" in str(solution)
    assert max(residual_rms(solution).values()) < 1e-10


@pytest.mark.accuracy
def test_heat_on_a_mesh_times_an_interval():
    u = field("u", X, Y, T)
    exact = sp.exp(-2 * T) * sp.cos(X) * sp.sin(Y)
    mesh = wheel(np.linspace(0, 2 * np.pi, 40, endpoint=False), (1.0, 1.0))
    posed = Problem(
        name="heat",
        domain=mesh * Box(t=(0, 0.3), time="t"),
        conditions=[
            Equation(sp.Eq(u.diff(T), u.diff(X, 2) + u.diff(Y, 2))),
            Initial(u, exact.subs(T, 0)),
            Dirichlet(u, exact),
        ],
    )
    solution = run(posed, LeastSquares(tolerance=1e-6))
    x, y = mesh.vertices.T
    found = solution(x=x, y=y, t=np.full(x.shape, 0.3))["u"]
    assert np.abs(found - np.exp(-0.6) * np.cos(x) * np.sin(y)).max() < 1e-8


def test_the_solution_satisfies_the_compiled_residual_under_autodiff():
    posed, _ = heat()
    system = compile_problem(posed)
    solution = run(posed, LeastSquares(layout=Blocks(x=2)))
    (residual,) = system.equations

    def at(point):
        values = term_values(
            lambda z: solution.evaluator(z[None, :])[0], ("u",), residual.plan, point
        )
        return residual.fn(values, {"t": point[0], "x": point[1]}, system.parameters)

    points = np.random.default_rng(0).uniform(0.01, 0.99, (20, 2))
    assert np.abs(jax.jit(jax.vmap(at))(points)).max() <= 1e-7


def test_contradicting_conditions_are_not_a_success():
    u = field("u", X)
    posed = Problem(
        name="contradiction",
        domain=Box(x=(0, 1)),
        conditions=[Equation(u.diff(X, 2)), Dirichlet(u, 0), Integral(u, 1)],
    )
    with pytest.raises(MethodError, match="'contradiction' contradict each other.*'u integral'"):
        run(posed, seconds=5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(tolerance=0.0), "tolerance=0.0 is out of range"),
        (dict(features=1), "features=1 is too few"),
        (dict(slabs=0), "slabs=0 is too few"),
    ],
)
def test_options_out_of_range_are_refused(change, message):
    with pytest.raises(OptionError, match=message):
        LeastSquares(**change)


def test_what_it_cannot_solve_is_said():
    u, e = field("u", X), eigenvalue("E")
    domain = Box(x=(0, 1))
    levels = Problem(
        name="a", domain=domain, conditions=[Equation(u.diff(X, 2) + e * u), Dirichlet(u, 0)]
    )
    assert "use Eigen()" in LeastSquares().supports(compile_problem(levels))
    steady, _ = poisson()
    assert "no time axis" in LeastSquares(slabs=2).supports(compile_problem(steady))
    stiff = sp.Piecewise((1, sp.Lt(X, sp.Rational(1, 2))), (5, True))
    layered = Problem(
        name="b", domain=domain, conditions=[Equation(stiff * u.diff(X, 2) - 1), Dirichlet(u, 0)]
    )
    assert "highest derivative jumps" in LeastSquares().supports(compile_problem(layered))
    with pytest.raises(OptionError, match="Begin and end with the domain's bounds"):
        run(heat()[0], LeastSquares(slabs=(0, 0.5)))
    with pytest.raises(OptionError, match="Chebyshev.*2 axes"):
        run(steady, LeastSquares(basis=Chebyshev(degree=(4, 4, 4))))


def test_a_scale_too_small_shows_in_the_error_estimate():
    """Four waves per period cannot hold exp(sin x), whatever the number of features."""
    u, exact = field("u", T, X), sp.exp(sp.sin(X - 3 * T))
    posed = Problem(
        name="advection",
        domain=Box(t=(0, 1), x=(0, 2 * PI), time="t"),
        conditions=[
            Equation(u.diff(T) + 3 * u.diff(X)),
            Initial(u, sp.exp(sp.sin(X))),
            Periodic("x"),
        ],
    )
    solution = run(posed, LeastSquares(basis=Sine(features=200, scale=(4.0, 14.0)), slabs=2))
    assert error(solution, exact) <= solution.error_estimate["u"]
