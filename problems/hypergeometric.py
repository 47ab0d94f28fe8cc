"""The hypergeometric equation, x (1 - x) u'' + (c - (a + b + 1) x) u' = a b u on [0, 1/2].

0 is a regular singular point, where the equation itself takes the place of a condition: with
u(0) = 1 the solution that stays smooth is F(a, b; c; x); its value at 1/2 is given by Gauss' second
theorem for c = (a + b + 1)/2. Abramowitz and Stegun, 15.1.24 and 15.5.1.
"""

from sympy import Eq, Rational, gamma, pi, sqrt

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field

x = coordinates("x")
u = field("u", x)
a, b = Rational(1, 3), Rational(5, 2)
c = (a + b + 1) / 2

problem = Problem(
    name="hypergeometric",
    domain=Box(x=(0, Rational(1, 2))),
    conditions=[
        Equation(
            Eq(x * (1 - x) * u.diff(x, 2) + (c - (a + b + 1) * x) * u.diff(x), a * b * u),
            name="hypergeometric",
        ),
        Dirichlet(u, 1, on="x-"),
        Dirichlet(u, sqrt(pi) * gamma(c) / (gamma((a + 1) / 2) * gamma((b + 1) / 2)), on="x+"),
    ],
)
