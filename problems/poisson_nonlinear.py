"""Nonlinear Poisson equation u_xx + u_yy - exp(u) = f on the unit square.

Exact: u = 1 + sin(4 pi x) cos(4 pi y), with f and the boundary values made from it. The setting of
Urbán, Stefanou and Pons (J. Comput. Phys. 523, 2025).
"""

from sympy import Eq, cos, exp, pi, sin

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field, laplacian

x, y = coordinates("x y")
u = field("u", x, y)
exact = 1 + sin(4 * pi * x) * cos(4 * pi * y)
f = -32 * pi**2 * (exact - 1) - exp(exact)

problem = Problem(
    name="poisson_nonlinear",
    domain=Box(x=(0, 1), y=(0, 1)),
    conditions=[
        Equation(Eq(laplacian(u) - exp(u), f), name="poisson"),
        Dirichlet(u, exact),
    ],
    exact={u: exact},
    scales={u: 2},
)
