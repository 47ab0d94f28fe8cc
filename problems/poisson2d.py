"""Poisson's equation on the unit square, -(u_xx + u_yy) = 2 pi^2 sin(pi x) sin(pi y), u = 0 around.

Exact: u = sin(pi x) sin(pi y). The setting of Müller and Zeinhofer, "Achieving high accuracy with
PINNs via energy natural gradient descent" (ICML 2023).
"""

from sympy import Eq, pi, sin

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field, laplacian

x, y = coordinates("x y")
u = field("u", x, y)
exact = sin(pi * x) * sin(pi * y)

problem = Problem(
    name="poisson2d",
    domain=Box(x=(0, 1), y=(0, 1)),
    conditions=[
        Equation(Eq(-laplacian(u), 2 * pi**2 * exact), name="poisson"),
        Dirichlet(u, 0),
    ],
    exact={u: exact},
)
