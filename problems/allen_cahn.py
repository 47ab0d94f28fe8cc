"""Allen–Cahn, u_t = d u_xx + r (u - u^3): phases separate, with thin interfaces between them.

Periodic on [-1, 1] from x^2 cos(pi x), d = 1e-4, r = 5: Raissi, Perdikaris and Karniadakis
(J. Comput. Phys. 378, 2019).
"""

from sympy import Eq, cos, pi

from pinnkit import Box, Equation, Initial, Periodic, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
d, r = parameter("d", 1e-4), parameter("r", 5)

problem = Problem(
    name="allen_cahn",
    domain=Box(t=(0, 1), x=(-1, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t), d * u.diff(x, 2) + r * (u - u**3)), name="reaction"),
        Initial(u, x**2 * cos(pi * x)),
        Periodic(x),
    ],
)
