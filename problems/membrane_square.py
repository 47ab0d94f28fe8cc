"""Vibrations of a square membrane, -u_xx - u_yy = E u on [-1, 1]^2, u = 0 on the boundary.

E = (pi/2)^2 (m^2 + n^2), m, n = 1, 2, ...; levels with m != n are double. Courant and Hilbert,
"Methods of Mathematical Physics" I, section V.5.4.
"""

from sympy import Eq

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Problem,
    coordinates,
    eigenvalue,
    field,
    laplacian,
)

x, y = coordinates("x y")
u = field("u", x, y)
E = eigenvalue("E")

problem = Problem(
    name="membrane_square",
    domain=Box(x=(-1, 1), y=(-1, 1)),
    conditions=[Equation(Eq(-laplacian(u), E * u), name="membrane"), Dirichlet(u, 0)],
)
