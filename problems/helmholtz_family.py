"""Waves through a random medium, -lap u - (omega / c)^2 u = 0 on the unit square.

omega = 1000 and c = 20 + tanh(g) with g Gaussian of covariance (-lap + 3^2)^(-2); the normal
derivative is 1 on 0.35 <= x <= 0.65 of the upper side and 0 elsewhere: De Hoop, Huang, Qian and
Stuart, "The cost-accuracy trade-off in operator learning with neural networks" (J. Mach. Learn. 1,
2022), as used by He, Liu and Xu, "MgNO" (ICLR 2024).
"""

from sympy import Eq, Piecewise, tanh

from pinnkit import (
    Box,
    Equation,
    GaussianField,
    Neumann,
    Problem,
    coordinates,
    field,
    input_function,
    laplacian,
    parameter,
)

x, y = coordinates("x y")
u = field("u", x, y)
omega = parameter("omega", 1000)
g = input_function("g", x, y, law=GaussianField(1, tau=3, alpha=2, boundary="neumann"))
driven = Piecewise((1, (x >= 0.35) & (x <= 0.65)), (0, True))

problem = Problem(
    name="helmholtz_family",
    domain=Box(x=(0, 1), y=(0, 1)),
    conditions=[
        Equation(Eq(-laplacian(u, x, y) - (omega / (20 + tanh(g))) ** 2 * u, 0), name="waves"),
        Neumann(u, driven, on="y+"),
        Neumann(u, 0, on=("x-", "x+", "y-")),
    ],
)
