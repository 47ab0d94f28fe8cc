"""Helmholtz's equation u_xx + u_yy + k^2 u = q on [-1, 1]^2, u = 0 around, with whole a1 and a2.

Exact: u = sin(a1 pi x) sin(a2 pi y). (a1, a2) = (1, 4) is the setting of Wang, Teng and Perdikaris
(SIAM J. Sci. Comput. 43, 2021); (6, 6) that of Urbán, Stefanou and Pons (J. Comput. Phys. 523,
2025): set a1 = a2 = 6.
"""

from sympy import Eq, pi, sin

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field, laplacian, parameter

x, y = coordinates("x y")
u = field("u", x, y)
k, a1, a2 = parameter("k", 1), parameter("a1", 1), parameter("a2", 4)
exact = sin(a1 * pi * x) * sin(a2 * pi * y)

problem = Problem(
    name="helmholtz2d",
    domain=Box(x=(-1, 1), y=(-1, 1)),
    conditions=[
        Equation(Eq(laplacian(u) + k**2 * u, (k**2 - (a1**2 + a2**2) * pi**2) * exact)),
        Dirichlet(u, 0),
    ],
    exact={u: exact},
)
