"""Poisson's equation on the unit cube, -(u_xx + u_yy + u_zz) = 3 pi^2 u, u = 0 on the faces.

Exact: u = sin(pi x) sin(pi y) sin(pi z), with the right side made from it.
"""

from sympy import Eq, pi, sin

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field, laplacian

x, y, z = coordinates("x y z")
u = field("u", x, y, z)
exact = sin(pi * x) * sin(pi * y) * sin(pi * z)

problem = Problem(
    name="poisson3d",
    domain=Box(x=(0, 1), y=(0, 1), z=(0, 1)),
    conditions=[
        Equation(Eq(-laplacian(u), 3 * pi**2 * exact), name="poisson"),
        Dirichlet(u, 0),
    ],
    exact={u: exact},
)
