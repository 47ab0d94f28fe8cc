"""Ground states of the Gross-Pitaevskii equation against a second implementation and limits."""

from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from scipy.special import eval_hermite, gammaln

import pinnkit as pk
from pinnkit.errors import MethodError

pytestmark = pytest.mark.usefixtures("x64")

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
TRAP = PROBLEMS / "gross_pitaevskii.py"
X, Y = pk.coordinates("x y")
MU = pk.eigenvalue("mu")


def hermite(beta, count):
    """mu by Newton's method on Hermite functions; -u''/2 + x^2/2 u has the levels n + 1/2."""
    x, weights = np.polynomial.hermite.hermgauss(3 * count)
    n = np.arange(count)
    scale = np.exp(-0.5 * (n * np.log(2.0) + gammaln(n + 1) + 0.5 * np.log(np.pi)))
    phi = np.stack([s * eval_hermite(k, x) for k, s in zip(n, scale, strict=True)], axis=1)
    density = weights * np.exp(-(x**2))
    c, mu, kinetic = np.eye(count)[0], 0.5, np.diag(n + 0.5)
    for strength in np.linspace(0.0, beta, 12):
        for _ in range(20):
            u = phi @ c
            force = kinetic @ c + strength * phi.T @ (density * u**3)
            slope = kinetic + 3 * strength * phi.T @ ((density * u**2)[:, None] * phi)
            system = np.zeros((count + 1, count + 1))
            system[:-1, :-1] = slope - mu * np.eye(count)
            system[:-1, -1] = system[-1, :-1] = -c
            step = np.linalg.solve(system, np.append(mu * c - force, 0.5 * (c @ c - 1)))
            c, mu = c + step[:-1], mu + step[-1]
    return mu


def solved(problem):
    solution = pk.solve(problem, pk.Eigen(), quiet=True)
    assert solution.status.ok, solution.status.reason
    (name,) = solution.eigenvalues
    return solution, solution.eigenvalues[name]


@pytest.mark.parametrize("beta", [0.5, 3.0, -0.5])
def test_chemical_potential_equals_that_of_hermite_functions(beta):
    solution, mu = solved(pk.load(TRAP, beta=beta))
    reference = hermite(beta, 48)
    assert reference == pytest.approx(hermite(beta, 40), abs=1e-9)
    assert mu == pytest.approx(reference, abs=1e-8)
    assert solution.stats["residual"] < 1e-9


def test_strong_repulsion_against_differences_extrapolated():
    """beta = 100 by second-order differences on three grids, Richardson twice."""

    def differences(count):
        half = 8.0
        x = np.linspace(-half, half, count + 1)[1:-1]
        h = 2 * half / count
        matrix = np.diag(1 / h**2 + x**2 / 2) - 0.5 / h**2 * (
            np.eye(count - 1, k=1) + np.eye(count - 1, k=-1)
        )
        u = np.sqrt(np.maximum(14.0 - x**2 / 2, 1e-3) / 100)
        u, mu = u / np.sqrt(h * u @ u), 14.0
        for _ in range(30):
            system = np.zeros((count, count))
            system[:-1, :-1] = matrix + np.diag(300 * u**2) - mu * np.eye(count - 1)
            system[:-1, -1], system[-1, :-1] = -u, -h * u
            right = np.append(mu * u - matrix @ u - 100 * u**3, 0.5 * (h * u @ u - 1))
            step = np.linalg.solve(system, right)
            u, mu = u + step[:-1], mu + step[-1]
        return mu

    coarse, middle, fine = (differences(n) for n in (160, 320, 640))
    first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
    reference = (16 * second - first) / 15
    _, mu = solved(pk.load(TRAP, beta=100))
    assert mu == pytest.approx(reference, abs=1e-7)
    assert mu == pytest.approx((9 * 100**2 / 32) ** (1 / 3), rel=2e-3)


def test_state_is_normalised_positive_and_satisfies_the_virial_theorem():
    """2 T - 2 V + I = 0 for kinetic, trap and interaction energy (Dalfovo et al. 1999, eq. 44)."""
    solution, mu = solved(pk.load(TRAP, beta=20))
    x, weights = np.polynomial.legendre.leggauss(400)
    x, weights = 10 * x, 10 * weights
    u = solution(x=x)["u[0]"]
    h = 1e-4
    slope = (solution(x=x + h)["u[0]"] - solution(x=x - h)["u[0]"]) / (2 * h)
    assert weights @ u**2 == pytest.approx(1.0, abs=1e-9)
    assert u.min() > -1e-8
    kinetic, trap = 0.5 * weights @ slope**2, 0.5 * weights @ (x**2 * u**2)
    interaction = 0.5 * 20 * weights @ u**4
    assert 2 * kinetic - 2 * trap + interaction == pytest.approx(0.0, abs=1e-6)
    assert solution.stats["energy"] == pytest.approx(kinetic + trap + interaction, abs=1e-6)
    assert mu == pytest.approx(kinetic + trap + 2 * interaction, abs=1e-6)


def test_without_interaction_it_is_the_linear_ground_state():
    solution, mu = solved(pk.load(TRAP, beta=0))
    assert mu == pytest.approx(0.5, abs=1e-11)
    x = np.linspace(-3, 3, 13)
    exact = np.pi**-0.25 * np.exp(-(x**2) / 2)
    np.testing.assert_allclose(solution(x=x)["u[0]"], exact, atol=1e-6)


def test_a_soliton_bound_by_its_own_attraction():
    """-u'' - 2 u^3 = E u with int u^2 = 2: u = sech x, E = -1 (far walls)."""
    u = pk.field("u", X)
    problem = pk.Problem(
        name="soliton",
        domain=pk.Box(x=(-18, 18)),
        conditions=[
            pk.Equation(sp.Eq(-u.diff(X, 2) - 2 * u**3, MU * u)),
            pk.Dirichlet(u, 0),
            pk.Integral(u**2, 2),
        ],
    )
    solution, mu = solved(problem)
    assert mu == pytest.approx(-1.0, abs=1e-8)
    assert solution.stats["energy"] == pytest.approx(-2 / 3, abs=1e-8)
    # Walls so far off leave the soliton free to slide.
    x = np.linspace(-1, 1, 4001)
    u = solution(x=x)["u[0]"]
    middle = x[np.argmax(u)]
    np.testing.assert_allclose(u, 1 / np.cosh(x - middle), atol=2e-3)


def test_a_trap_in_the_plane():
    """Weak interaction: mu = 1 + beta/(2 pi) + O(beta^2) around the Gaussian ground state."""
    u = pk.field("u", X, Y)
    beta = pk.parameter("beta", 0.01)
    trap = (X**2 + Y**2) / 2
    problem = pk.Problem(
        name="plane_trap",
        domain=pk.Box(x=(-5, 5), y=(-5, 5)),
        conditions=[
            pk.Equation(sp.Eq(-pk.laplacian(u) / 2 + trap * u + beta * u**3, MU * u)),
            pk.Dirichlet(u, 0),
            pk.Integral(u**2, 1),
        ],
    )
    found = []
    for strength in (0.01, 0.02):
        posed = problem.replace(parameters={"beta": strength})
        solution = pk.solve(posed, pk.Eigen(tolerance=1e-7), quiet=True)
        found.append(solution.eigenvalues["mu[0]"])
    walls = 2 * found[0] - found[1]
    assert walls == pytest.approx(1.0, abs=2e-5)
    assert found[1] - found[0] == pytest.approx(0.01 / (2 * np.pi), rel=5e-3)


def test_a_normalisation_in_another_weight_is_refused():
    u = pk.field("u", X)
    problem = pk.Problem(
        name="uneven",
        domain=pk.Box(x=(0, 1)),
        conditions=[
            pk.Equation(sp.Eq(-u.diff(X, 2) + u**3, MU * u)),
            pk.Dirichlet(u, 0),
            pk.Integral((1 + X) * u**2, 1),
        ],
    )
    with pytest.raises(MethodError, match="weighs u\\^2 otherwise than the eigenvalue"):
        pk.solve(problem, pk.Eigen(), quiet=True)
