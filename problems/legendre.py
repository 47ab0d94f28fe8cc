"""Legendre's equation, ((1 - x^2) u')' + n (n + 1) u = 0 on [-1, 1], with u(1) = 1.

Both ends are regular singular points, where the equation itself takes the place of a boundary
condition: the solution that stays finite is the polynomial P_n. Abramowitz and Stegun, chapter 8.
"""

from sympy import Eq, legendre

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field

x = coordinates("x")
u = field("u", x)
n = 7

problem = Problem(
    name="legendre",
    domain=Box(x=(-1, 1)),
    conditions=[
        Equation(Eq(((1 - x**2) * u.diff(x)).diff(x) + n * (n + 1) * u, 0), name="legendre"),
        Dirichlet(u, 1, on="x+"),
        Dirichlet(u, (-1) ** n, on="x-"),
    ],
    exact={u: legendre(n, x)},
)
