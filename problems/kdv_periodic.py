"""Korteweg–de Vries with weak dispersion, u_t + u u_x + d^2 u_xxx = 0.

A cosine breaks up into solitons. Periodic on [-1, 1] from cos(pi x), d = 0.022: Zabusky and
Kruskal, "Interaction of solitons in a collisionless plasma and the recurrence of initial states"
(Phys. Rev. Lett. 15, 1965).
"""

from sympy import Eq, cos, pi

from pinnkit import Box, Equation, Initial, Periodic, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
d = parameter("d", 0.022)

problem = Problem(
    name="kdv_periodic",
    domain=Box(t=(0, 1), x=(-1, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t) + u * u.diff(x) + d**2 * u.diff(x, 3), 0), name="kdv"),
        Initial(u, cos(pi * x)),
        Periodic(x),
    ],
)
