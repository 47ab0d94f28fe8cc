"""A narrow pulse carried along, u_t + c u_x = 0, far from where it starts.

Exact: u = exp(-(x + 3/2 - c t)^2 / (2 s^2)), c = 1/4, s = 1/10, to t = 12, when the pulse has
travelled thirty times its width. Chen, Wu, Sun, Carlberg and Grinspun, "Implicit neural spatial
representations for time-dependent PDEs" (ICML 2023). They set u = 0 at both ends; a condition at
the inflow is all that the equation takes, and there the pulse is below 4e-6.
"""

from sympy import Eq, Rational, exp

from pinnkit import Box, Dirichlet, Equation, Initial, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
c, s = parameter("c", Rational(1, 4)), parameter("s", Rational(1, 10))
pulse = exp(-((x + Rational(3, 2) - c * t) ** 2) / (2 * s**2))

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
