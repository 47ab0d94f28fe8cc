"""Viscous Burgers, u_t + u u_x = nu u_xx, periodic on [0, 2 pi], a sine on a mean flow.

From u = c + sin(x), nu = 0.01: Mojgani, Balajewicz and Hassanzadeh, "Lagrangian PINNs" (Comput.
Methods Appl. Mech. Eng. 404, 2023). The mean flow carries everything along: u(t, x) is
c + U(t, x - c t), where U starts from sin(x) and is a quotient of integrals by the Cole–Hopf
transformation (Basdevant et al., Comput. Fluids 14, 1986).
"""

from sympy import Eq, pi, sin

from pinnkit import Box, Equation, Initial, Periodic, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
nu, c = parameter("nu", 0.01), parameter("c", 10)

problem = Problem(
    name="burgers_periodic",
    domain=Box(t=(0, 1), x=(0, 2 * pi), time="t"),
    conditions=[
        Equation(Eq(u.diff(t) + u * u.diff(x), nu * u.diff(x, 2)), name="momentum"),
        Initial(u, c + sin(x)),
        Periodic(x),
    ],
)
