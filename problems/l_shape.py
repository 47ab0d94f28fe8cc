"""Poisson's equation -Δu = 1 on the L-shaped domain [-1, 1]^2 without [0, 1]^2, u = 0 around it.

The solution behaves like r^(2/3) sin(2θ/3) at the re-entrant corner; its maximum is 0.1494.
The membrane under uniform load of Fox, Henrici & Moler, "Approximations and bounds for
eigenvalues of elliptic operators" (SIAM J. Numer. Anal. 4, 1967), whose domain this is.
"""

from sympy import Eq

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field, laplacian

x, y = coordinates("x y")
u = field("u", x, y)

problem = Problem(
    name="l_shape",
    domain=Box(x=(-1, 1), y=(-1, 1)) - Box(x=(0, 1), y=(0, 1)),
    conditions=[
        Equation(Eq(-laplacian(u), 1), name="load"),
        Dirichlet(u, 0, on="boundary"),
    ],
)
