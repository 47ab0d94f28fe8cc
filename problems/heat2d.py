"""Heat conduction in a square plate, u_t = kappa (u_xx + u_yy), from one sine mode.

Exact: u = exp(-2 kappa pi^2 t) sin(pi x) sin(pi y), by separation of variables.
"""

from sympy import Eq, exp, pi, sin

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Initial,
    Problem,
    coordinates,
    field,
    laplacian,
    parameter,
)

t, x, y = coordinates("t x y")
u = field("u", t, x, y)
kappa = parameter("kappa", 0.1)
mode = sin(pi * x) * sin(pi * y)

problem = Problem(
    name="heat2d",
    domain=Box(t=(0, 1), x=(0, 1), y=(0, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t), kappa * laplacian(u, x, y)), name="heat"),
        Initial(u, mode),
        Dirichlet(u, 0),
    ],
    exact={u: exp(-2 * kappa * pi**2 * t) * mode},
)
