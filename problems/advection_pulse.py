"""A pulse carried along, u_t + c u_x = 0, over thirty of its widths in 240 steps of 0.05.

The setting of Chen et al., "Implicit neural spatial representations for time-dependent PDEs"
(ICML 2023): a Gaussian of standard deviation 0.1 travels from x = -1.5 to 1.5. The inflow at
x = -2 holds the Gaussian's own tail, at most 4e-6, and x = 2, where the flow leaves, takes no
condition.
"""

from sympy import Eq, Rational, exp

from pinnkit import Box, Dirichlet, Equation, Initial, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
c = parameter("c", Rational(1, 4))
pulse = exp(-50 * (x + Rational(3, 2) - c * t) ** 2)

problem = Problem(
    name="advection_pulse",
    domain=Box(t=(0, 12), x=(-2, 2), time="t"),
    conditions=[
        Equation(Eq(u.diff(t) + c * u.diff(x), 0), name="advection"),
        Initial(u, pulse.subs(t, 0)),
        Dirichlet(u, pulse, on="x-"),
    ],
    exact={u: pulse},
)
