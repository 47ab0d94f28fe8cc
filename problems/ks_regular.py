"""Kuramoto–Sivashinsky, u_t + a u u_x + b u_xx + g u_xxxx = 0, in its regular regime.

Periodic on [-1, 1] from -sin(pi x), (a, b, g) = (5, 0.5, 0.005): Wang, Sankaran and Perdikaris,
"Respecting causality for training PINNs" (Comput. Methods Appl. Mech. Eng. 421, 2024).
"""

from sympy import Eq, pi, sin

from pinnkit import Box, Equation, Initial, Periodic, Problem, coordinates, field, parameter

t, x = coordinates("t x")
u = field("u", t, x)
a, b, g = parameter("a", 5), parameter("b", 0.5), parameter("g", 0.005)
rate = -a * u * u.diff(x) - b * u.diff(x, 2) - g * u.diff(x, 4)

problem = Problem(
    name="ks_regular",
    domain=Box(t=(0, 1), x=(-1, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t), rate), name="kuramoto-sivashinsky"),
        Initial(u, -sin(pi * x)),
        Periodic(x),
    ],
)
