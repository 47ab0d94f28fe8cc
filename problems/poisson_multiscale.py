"""Poisson's equation with two scales, lap u = f on (0, 1)^2, u = 0 on the boundary.

Exact solution sin(2 pi x) sin(2 pi y) + 0.1 sin(24 pi x) sin(24 pi y): the slow wave holds most
of the energy, the fast one most of the right-hand side (Wang, Wang and Perdikaris, Comput.
Methods Appl. Mech. Engrg. 384, 2021, in one dimension).
"""

from sympy import Eq, pi, sin

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field, laplacian

x, y = coordinates("x y")
u = field("u", x, y)
exact = sin(2 * pi * x) * sin(2 * pi * y) + sin(24 * pi * x) * sin(24 * pi * y) / 10

problem = Problem(
    name="poisson_multiscale",
    domain=Box(x=(0, 1), y=(0, 1)),
    conditions=[
        Equation(Eq(laplacian(u), exact.diff(x, 2) + exact.diff(y, 2)), name="poisson"),
        Dirichlet(u, 0),
    ],
    exact={u: exact},
)
