"""Cooling of a sphere: r u_t = r u_rr + 2 u_r on 0 < r < 1, u = sin(pi r)/(pi r) at first.

The Laplacian in spherical symmetry, times r; in the centre, a regular singular point, the solution
is even. u = sin(pi r)/(pi r) exp(-pi^2 t): Carslaw and Jaeger, "Conduction of Heat in Solids",
section 9.3.
"""

from sympy import Eq, pi, sinc

from pinnkit import Box, Dirichlet, Equation, Initial, Neumann, Problem, coordinates, field

t, r = coordinates("t r")
u = field("u", t, r)

problem = Problem(
    name="radial_cooling",
    domain=Box(t=(0, 0.3), r=(0, 1), time="t"),
    conditions=[
        Equation(Eq(r * u.diff(t), r * u.diff(r, 2) + 2 * u.diff(r)), name="heat"),
        Initial(u, sinc(pi * r)),
        Neumann(u, 0, on="r-", name="centre"),
        Dirichlet(u, 0, on="r+", name="surface"),
    ],
)
