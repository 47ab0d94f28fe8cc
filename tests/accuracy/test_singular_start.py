"""Initial and boundary values that fit together, but whose derivatives do not."""

import numpy as np
import pytest
import sympy as sp
from scipy.special import erfc

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Initial,
    LeastSquares,
    Lines,
    Neumann,
    Problem,
    coordinates,
    field,
    solve,
)

pytestmark = pytest.mark.accuracy

t, x = coordinates("t x")
u = field("u", t, x)


def heated(flux: sp.Expr) -> Problem:
    """A rod at rest that is heated at its left end, long enough to count as infinite."""
    return Problem(
        "heated",
        Box(t=(0, 1), x=(0, 12), time="t"),
        [
            Equation(sp.Eq(u.diff(t), u.diff(x, 2))),
            Initial(u, 0),
            Neumann(u, flux, on="x-"),
            Dirichlet(u, 0, on="x+"),
        ],
    )


def repeated(n: int, z: np.ndarray) -> np.ndarray:
    """i^n erfc, the n-fold integral of erfc, by its three-term recursion."""
    before, now = 2.0 / np.sqrt(np.pi) * np.exp(-(z**2)), erfc(z)
    for k in range(1, n + 1):
        before, now = now, (before - 2.0 * z * now) / (2.0 * k)
    return now


def exact(n: int, time: np.ndarray, place: np.ndarray) -> np.ndarray:
    """For the flux t^(n/2) (Carslaw & Jaeger, section 2.9), n even."""
    factor = float(sp.gamma(sp.Rational(n, 2) + 1))
    return factor * (4.0 * time) ** ((n + 1) / 2) * repeated(n + 1, place / (2.0 * np.sqrt(time)))


def relative_error(solution, n: int) -> float:
    time, place = (a.ravel() for a in np.meshgrid(np.linspace(1e-3, 1, 60), np.linspace(0, 12, 90)))
    wanted = exact(n, time, place)
    return float(np.linalg.norm(solution(t=time, x=place)["u"] - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize(
    ("method", "bound"), [(LeastSquares(tolerance=1e-6), 3e-6), (Lines(), 1e-6)]
)
def test_a_flux_that_grows_from_zero(method, bound):
    solution = solve(heated(t), method, quiet=True)
    assert solution.status.ok
    assert relative_error(solution, 2) <= bound


def test_a_flux_that_is_there_at_once():
    solution = solve(heated(sp.Integer(1)), LeastSquares(tolerance=1e-6), quiet=True)
    assert solution.status.ok
    assert "do not fit together smoothly: less accurate until t = " in solution.status.reason
    assert relative_error(solution, 0) <= 2e-6
    assert max(solution.error_estimate.values()) > relative_error(solution, 0)
