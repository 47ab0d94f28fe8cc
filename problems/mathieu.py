"""Mathieu's equation on a ring, -u'' + 2 q cos(2x) u = E u with period 2 pi.

Levels are the characteristic numbers a_0 < b_1 < a_1 < b_2 < a_2 < ... for q > 0: DLMF, section
28.2; they pair up, without meeting, as the order grows.
"""

from sympy import Eq, cos, pi

from pinnkit import Box, Equation, Periodic, Problem, coordinates, eigenvalue, field, parameter

x = coordinates("x")
u = field("u", x)
E = eigenvalue("E")
q = parameter("q", 5)

problem = Problem(
    name="mathieu",
    domain=Box(x=(0, 2 * pi)),
    conditions=[
        Equation(Eq(-u.diff(x, 2) + 2 * q * cos(2 * x) * u, E * u), name="mathieu"),
        Periodic("x"),
    ],
)
