"""Vibrating string, u_tt = c^2 u_xx, fixed ends, two modes and at rest at first.

Exact: u = sin(pi x) cos(c pi t) + sin(4 pi x) cos(4 c pi t) / 2. The setting of Wang, Yu and
Perdikaris, "When and why PINNs fail to train" (J. Comput. Phys. 449, 2022), with c = 2.
"""

from sympy import Eq, cos, pi, sin

from pinnkit import Box, Dirichlet, Equation, Initial, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
c = parameter("c", 2)
exact = sin(pi * x) * cos(c * pi * t) + sin(4 * pi * x) * cos(4 * c * pi * t) / 2

problem = Problem(
    name="wave1d",
    domain=Box(t=(0, 1), x=(0, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t, 2), c**2 * u.diff(x, 2)), name="wave"),
        Initial(u, sin(pi * x) + sin(4 * pi * x) / 2),
        Initial(u.diff(t), 0),
        Dirichlet(u, 0),
    ],
    exact={u: exact},
)
