"""Fast convection of a profile with all harmonics, u_t + c u_x = 0 on [0, 2 pi], periodic.

u(0, x) = exp(sin x) travels about eight times around for c = 50. Convection at this speed is where
PINNs were first seen to fail: Krishnapriyan et al., "Characterizing possible failure modes in
physics-informed neural networks" (NeurIPS 2021), with u(0, x) = sin x.
"""

from sympy import Eq, exp, pi, sin

from pinnkit import Box, Equation, Initial, Periodic, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
c = parameter("c", 50)

problem = Problem(
    name="advection_harmonics",
    domain=Box(t=(0, 1), x=(0, 2 * pi), time="t"),
    conditions=[
        Equation(Eq(u.diff(t) + c * u.diff(x), 0), name="convection"),
        Initial(u, exp(sin(x))),
        Periodic(x),
    ],
    exact={u: exp(sin(x - c * t))},
)
