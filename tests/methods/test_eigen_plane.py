"""Levels in two and three axes: closed forms, other bases, jumps, and conditions of all kinds."""

from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from scipy import special
from scipy.optimize import brentq

import pinnkit as pk

pytestmark = pytest.mark.usefixtures("x64")

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
X, Y, Z = pk.coordinates("x y z")
E = pk.eigenvalue("E")
U = pk.field("u", X, Y)
LAPLACIAN = -pk.laplacian(U)
RING = 2 * sp.pi


def problem(operator, conditions, domain):
    equation = pk.Equation(sp.Eq(operator, E * U))
    return pk.Problem(name="plane", domain=domain, conditions=[equation, *conditions])


def solved(posed, count, **options):
    solution = pk.solve(posed, pk.Eigen(levels=count, **options), quiet=True)
    assert solution.status.ok, solution.status.reason
    return solution, np.array(list(solution.eigenvalues.values()))


def bessel_squares(zeros, count):
    found = [np.repeat(zeros(m, 4) ** 2, 1 + (m > 0)) for m in range(8)]
    return np.sort(np.concatenate(found))[:count]


def test_square_membrane_has_six_levels_to_round_off_and_none_below():
    n = np.arange(1, 6) ** 2
    exact = np.sort((n[:, None] + n[None, :]).ravel())[:6] * np.pi**2 / 4
    solution, levels = solved(pk.load(PROBLEMS / "membrane_square.py"), 6)
    np.testing.assert_allclose(levels, exact, rtol=1e-12)
    assert (levels >= exact * (1 - 1e-13)).all()
    assert solution.stats["groups"] == "E[0]; E[1] = E[2]; E[3]; E[4] = E[5]"
    assert max(solution.error_estimate.values()) < 1e-6


@pytest.mark.parametrize("basis", [pk.Chebyshev(), pk.Sine()], ids=["chebyshev", "sine"])
def test_disk_membrane_has_the_zeros_of_bessel_functions(basis):
    exact = bessel_squares(special.jn_zeros, 6)
    posed = pk.load(PROBLEMS / "membrane_disk.py")
    solution, levels = solved(posed, 6, basis=basis, tolerance=1e-9)
    np.testing.assert_allclose(levels, exact, rtol=1e-10)
    assert (levels >= exact * (1 - 1e-12)).all()
    angle = np.linspace(0.0, 6.0, 7)
    rim = solution(x=np.cos(angle), y=np.sin(angle))
    assert max(np.abs(values).max() for values in rim.values()) < 1e-10
    centre = solution(x=np.array([0.0, 0.5]), y=np.array([0.0, 0.0]))["u[0]"]
    assert centre[1] / centre[0] == pytest.approx(
        special.j0(0.5 * special.jn_zeros(0, 1)[0]), rel=1e-5
    )


def test_free_and_elastic_rims_of_a_disk_away_from_the_origin():
    disk = pk.Disk(x=1, y=-2, radius=2)
    _, levels = solved(problem(LAPLACIAN, [pk.Neumann(U, 0)], disk), 4)
    free = np.concatenate([[0.0], *(np.repeat(special.jnp_zeros(m, 1) ** 2, 2) for m in (1, 2))])
    np.testing.assert_allclose(levels, free[:4] / 4, atol=1e-10)
    _, levels = solved(problem(LAPLACIAN, [pk.Robin(U, 1, 1, 0)], disk), 1)
    k = brentq(lambda k: special.j0(2 * k) - k * special.j1(2 * k), 0.1, 1.1, xtol=1e-15)
    assert levels[0] == pytest.approx(k**2, rel=1e-11)


def test_an_ellipse_between_its_inscribed_and_circumscribed_disks():
    ellipse = pk.Ellipse(x=0, y=0, radii=(1.1, 1.0))
    _, levels = solved(problem(LAPLACIAN, [pk.Dirichlet(U, 0)], ellipse), 3, tolerance=1e-9)
    exact = bessel_squares(special.jn_zeros, 3)
    assert (levels < exact).all()
    assert (levels > exact / 1.21).all()


def test_robin_dirichlet_and_periodic_faces_of_a_box():
    conditions = [pk.Robin(U, 2, 1, 0, on="x+"), pk.Dirichlet(U, 0, on="x-"), pk.Periodic("y")]
    _, levels = solved(problem(LAPLACIAN, conditions, pk.Box(x=(0, 1), y=(0, RING))), 4)
    k = brentq(lambda k: k * np.cos(k) + 2 * np.sin(k), 1.6, 3.1, xtol=1e-15)
    np.testing.assert_allclose(levels, k**2 + np.array([0.0, 1.0, 1.0, 4.0]), rtol=1e-11)


def test_mixed_derivatives_on_a_torus():
    """exp(i (k x + l y)): E = k^2 + k l + l^2, six-fold at 1."""
    torus = pk.Box(x=(0, RING), y=(0, RING))
    periodic = [pk.Periodic("x"), pk.Periodic("y")]
    solution, levels = solved(problem(LAPLACIAN - U.diff(X, Y), periodic, torus), 8)
    np.testing.assert_allclose(levels, [0, 1, 1, 1, 1, 1, 1, 3], atol=1e-10)
    assert "E[1] = E[2] = E[3] = E[4] = E[5] = E[6]" in solution.stats["groups"]
    assert max(solution.error_estimate.values()) < 1e-4


def test_an_integrating_factor_in_two_axes():
    """-lap u - 3 u_x - 2 u_y: E = 13/4 + pi^2 (m^2 + n^2), and u grows like exp(-3x/2 - y)."""
    operator = LAPLACIAN - 3 * U.diff(X) - 2 * U.diff(Y)
    square = pk.Box(x=(0, 1), y=(0, 1))
    solution, levels = solved(problem(operator, [pk.Dirichlet(U, 0)], square), 3)
    np.testing.assert_allclose(levels, 13 / 4 + np.pi**2 * np.array([2.0, 5.0, 5.0]), rtol=1e-11)
    u = solution(x=np.array([0.25, 0.75]), y=np.array([0.5, 0.5]))["u[0]"]
    assert u[1] / u[0] == pytest.approx(np.exp(-0.75), rel=1e-7)


def test_jumps_of_stiffness_and_weight_across_coordinate_lines():
    """-p u_xx - p u_yy = E u with p = 1 | 4: in x, sqrt(p) cot matches at the jump."""
    p = sp.Piecewise((1, 3 * X < 1), (4, True))
    operator = -(p * U.diff(X)).diff(X) - (p * U.diff(Y)).diff(Y)
    walls = [pk.Dirichlet(U, 0, on=("x-", "x+")), pk.Neumann(U, 0, on=("y-", "y+"))]
    _, levels = solved(problem(operator, walls, pk.Box(x=(0, 1), y=(0, 0.2))), 2)

    def jump(e):
        k, q = np.sqrt(e), np.sqrt(e) / 2
        left, right = k / 3, 2 * q / 3
        return k * np.cos(left) * np.sin(right) + 4 * q * np.sin(left) * np.cos(right)

    grid = np.linspace(1.0, 120.0, 400)
    values = jump(grid)
    at = np.nonzero(values[1:] * values[:-1] < 0)[0][:2]
    exact = [brentq(jump, grid[i], grid[i + 1], xtol=1e-13) for i in at]
    np.testing.assert_allclose(levels, exact, rtol=1e-11)


def test_a_jump_across_a_circle_is_reported_not_hidden():
    inside = 4 * (X**2 + Y**2) < 1
    potential = sp.Piecewise((0, inside), (50, True))
    posed = problem(LAPLACIAN + potential * U, [pk.Dirichlet(U, 0)], pk.Box(x=(-1, 1), y=(-1, 1)))
    solution = pk.solve(posed, pk.Eigen(levels=1), seconds=0.5, quiet=True)
    assert not solution.status.ok
    assert "integrals are not resolved" in solution.status.reason
    assert solution.stats["quadrature_change"] > 1e-6
    assert solution.eigenvalues["E[0]"] == pytest.approx(13.73, rel=5e-3)
    assert solution.stats["E[0] error"] > 1e-4


def test_levels_of_a_cube():
    u = pk.field("u", X, Y, Z)
    cube = pk.Problem(
        name="cube",
        domain=pk.Box(x=(0, 1), y=(0, 1), z=(0, 1)),
        conditions=[pk.Equation(sp.Eq(-pk.laplacian(u), E * u)), pk.Dirichlet(u, 0)],
    )
    _, levels = solved(cube, 2, tolerance=1e-6)
    np.testing.assert_allclose(levels, np.pi**2 * np.array([3.0, 6.0]), rtol=1e-7)


def test_modes_satisfy_the_equation_between_the_nodes():
    solution, levels = solved(pk.load(PROBLEMS / "membrane_disk.py"), 2, tolerance=1e-9)
    points = np.array([[0.3, -0.2], [0.0, 0.5], [-0.7, 0.1]])
    mixture = solution.evaluator.mixture
    laplacian = mixture.on_host(points, (2, 0)) + mixture.on_host(points, (0, 2))
    np.testing.assert_allclose(-laplacian, levels * mixture.on_host(points), atol=1e-3)
