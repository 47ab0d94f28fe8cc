"""Diffusion and reaction, s_t = D s_xx + k s^2 + u(x), for random sources u, with zero data.

x and t in [0, 1], D = k = 0.01, u Gaussian of covariance exp(-(x - x')^2 / (2 l^2)), l = 0.2: Lu,
Jin, Pang, Zhang and Karniadakis, "Learning nonlinear operators via DeepONet" (Nat. Mach. Intell.
3, 2021).
"""

from sympy import Eq

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Initial,
    Problem,
    SquaredExponential,
    coordinates,
    field,
    input_function,
    parameter,
)

t, x = coordinates("t x")
s = field("s", t, x)
diffusivity, k = parameter("D", 0.01), parameter("k", 0.01)
u = input_function("u", x, law=SquaredExponential(0.2))

problem = Problem(
    name="diffusion_reaction_family",
    domain=Box(t=(0, 1), x=(0, 1), time="t"),
    conditions=[
        Equation(Eq(s.diff(t), diffusivity * s.diff(x, 2) + k * s**2 + u), name="balance"),
        Initial(s, 0),
        Dirichlet(s, 0),
    ],
)
