"""Heat conduction in a rod, u_t = kappa u_xx, from one sine mode.

Exact: u = exp(-kappa pi^2 t) sin(pi x). The setting of Müller and Zeinhofer, "Achieving high
accuracy with PINNs via energy natural gradient descent" (ICML 2023).
"""

from sympy import Eq, Rational, exp, pi, sin

from pinnkit import Box, Dirichlet, Equation, Initial, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
kappa = parameter("kappa", Rational(1, 4))

problem = Problem(
    name="heat1d",
    domain=Box(t=(0, 1), x=(0, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t), kappa * u.diff(x, 2)), name="heat"),
        Initial(u, sin(pi * x)),
        Dirichlet(u, 0),
    ],
    exact={u: exp(-kappa * pi**2 * t) * sin(pi * x)},
)
