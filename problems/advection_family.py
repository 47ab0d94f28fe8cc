"""Advection with a random speed, s_t + a(x) s_x = 0 for x and t in [0, 1].

s = sin(pi x) at the start and sin(pi t / 2) at the inflow. a = V - min V + 1 with V Gaussian of
covariance exp(-(x - x')^2 / (2 l^2)), l = 0.2: Wang, Wang and Perdikaris, "Learning the solution
operator of parametric partial differential equations with physics-informed DeepONets" (Sci. Adv.
7, 2021). The slopes of the data differ at the corner, so that solutions have a kink along the
characteristic from there.
"""

from sympy import Eq, pi, sin

from pinnkit import (
    Above,
    Box,
    Dirichlet,
    Equation,
    Initial,
    Problem,
    SquaredExponential,
    coordinates,
    field,
    input_function,
)

t, x = coordinates("t x")
s = field("s", t, x)
a = input_function("a", x, law=Above(SquaredExponential(0.2), 1))

problem = Problem(
    name="advection_family",
    domain=Box(t=(0, 1), x=(0, 1), time="t"),
    conditions=[
        Equation(Eq(s.diff(t) + a * s.diff(x), 0), name="advection"),
        Initial(s, sin(pi * x)),
        Dirichlet(s, sin(pi * t / 2), on="x-"),
    ],
)
