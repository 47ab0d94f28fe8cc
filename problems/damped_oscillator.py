"""Damped oscillator, u'' + 2 d u' + omega0^2 u = 0 from u = 1 at rest, for t in [0, 1].

d = 2 and omega0 = 80, some thirteen swings: the test of Moseley, Markham and Nissen-Meyer, "Finite
basis physics-informed neural networks" (Adv. Comput. Math. 49, 2023). Exact for d < omega0.
"""

from sympy import Eq, cos, exp, sin, sqrt

from pinnkit import Box, Equation, Initial, Problem, coordinates, field, parameter

t = coordinates("t")
u = field("u", t)
d, omega0 = parameter("d", 2), parameter("omega0", 80)
omega = sqrt(omega0**2 - d**2)

problem = Problem(
    name="damped_oscillator",
    domain=Box(t=(0, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t, 2) + 2 * d * u.diff(t) + omega0**2 * u, 0), name="oscillator"),
        Initial(u, 1),
        Initial(u.diff(t), 0),
    ],
    exact={u: exp(-d * t) * (cos(omega * t) + d / omega * sin(omega * t))},
)
