"""Viscous Burgers, u_t + u u_x = nu u_xx: a sine steepens into a front at x = 0.

Raissi, Perdikaris and Karniadakis (J. Comput. Phys. 378, 2019); the Cole–Hopf transformation
gives the solution as a quotient of integrals (Basdevant et al., Comput. Fluids 14, 1986).
"""

from sympy import Eq, pi, sin

from pinnkit import Box, Dirichlet, Equation, Initial, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
nu = parameter("nu", 0.01 / pi)

problem = Problem(
    name="burgers",
    domain=Box(t=(0, 1), x=(-1, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2)), name="momentum"),
        Initial(u, -sin(pi * x)),
        Dirichlet(u, 0, on=("x-", "x+")),
    ],
)
