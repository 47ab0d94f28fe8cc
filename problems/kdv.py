"""Korteweg–de Vries, u_t + 6 u u_x + u_xxx = 0: a fast soliton overtakes a slow one.

Exact two-soliton solution with speeds 6 and 2 that start at -2 and 2; the setting of Urbán,
Stefanou and Pons (J. Comput. Phys. 523, 2025). See Drazin and Johnson, "Solitons" (1989).
"""

from sympy import Eq, cosh, sinh, sqrt

from pinnkit import Box, Dirichlet, Equation, Initial, Neumann, Problem, coordinates, field

t, x = coordinates("t x")
u = field("u", t, x)

c1, c2 = 6, 2
p1, p2 = sqrt(c1) * (x - c1 * t + 2) / 2, sqrt(c2) * (x - c2 * t - 2) / 2
wave = (sqrt(c1) - sqrt(c2)) * cosh(p1 + p2) + (sqrt(c1) + sqrt(c2)) * cosh(p1 - p2)
exact = 2 * (c1 - c2) * (c1 * cosh(p2) ** 2 + c2 * sinh(p1) ** 2) / wave**2

problem = Problem(
    name="kdv",
    domain=Box(t=(0, 5), x=(0, 20), time="t"),
    conditions=[
        Equation(Eq(u.diff(t) + 6 * u * u.diff(x) + u.diff(x, 3), 0), name="kdv"),
        Initial(u, exact.subs(t, 0)),
        Dirichlet(u, exact, on=("x-", "x+")),
        Neumann(u, exact.diff(x), on="x+"),
    ],
    exact={u: exact},
)
