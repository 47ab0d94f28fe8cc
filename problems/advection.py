"""Convection of a sine profile, u_t + c u_x = 0, periodic in x.

Exact: u = sin(x - c t). Plain PINNs fail from about c = 30: Krishnapriyan et al., "Characterizing
possible failure modes in physics-informed neural networks" (NeurIPS 2021).
"""

from sympy import Eq, pi, sin

from pinnkit import Box, Equation, Initial, Periodic, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
c = parameter("c", 50)

problem = Problem(
    name="advection",
    domain=Box(t=(0, 1), x=(0, 2 * pi), time="t"),
    conditions=[
        Equation(Eq(u.diff(t) + c * u.diff(x), 0), name="convection"),
        Initial(u, sin(x)),
        Periodic(x),
    ],
    exact={u: sin(x - c * t)},
)
