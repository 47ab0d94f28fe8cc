"""Stirred flow on the unit torus: Navier-Stokes in vorticity, for random initial vorticities.

w_t + u w_x + v w_y = nu (w_xx + w_yy) + f, -(psi_xx + psi_yy) = w, (u, v) = (psi_y, -psi_x), with
f = (sin(2 pi (x + y)) + cos(2 pi (x + y))) / 10. The vorticity starts as a Gaussian field of
covariance 7^3 (-lap + 49)^(-5/2): Li et al., "Fourier neural operator for parametric PDEs" (ICLR
2021), with the amplitude of their programs.
"""

from sympy import Eq, cos, pi, sin

from pinnkit import (
    Box,
    Equation,
    GaussianField,
    Initial,
    Integral,
    Periodic,
    Problem,
    coordinates,
    field,
    input_function,
    laplacian,
    parameter,
)

t, x, y = coordinates("t x y")
w, psi = field("w", t, x, y), field("psi", t, x, y)
nu = parameter("nu", 1e-3)
a = input_function("a", x, y, law=GaussianField(7**1.5, tau=7, alpha=2.5, zero_mean=True))

carried = psi.diff(y) * w.diff(x) - psi.diff(x) * w.diff(y)
stirring = (sin(2 * pi * (x + y)) + cos(2 * pi * (x + y))) / 10


def problem(end=20):
    """The problem up to t = `end`."""
    return Problem(
        name="navier_stokes_family",
        domain=Box(t=(0, end), x=(0, 1), y=(0, 1), time="t"),
        conditions=[
            Equation(Eq(w.diff(t) + carried, nu * laplacian(w, x, y) + stirring), name="vorticity"),
            Equation(Eq(-laplacian(psi, x, y), w), name="streamfunction"),
            Initial(w, a),
            Periodic(x),
            Periodic(y),
            Integral(psi, 0),
        ],
    )
