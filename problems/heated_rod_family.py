"""Heat in a rod of length 1 whose left end has a random temperature g(t), and the right end none.

u_t = 0.1 u_xx from u = 0. g has the covariance (-d^2/dt^2 + 9)^-2 and vanishes at t = 0 and t = 1.
"""

from sympy import Eq

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    GaussianField,
    Initial,
    Problem,
    coordinates,
    field,
    input_function,
)

t, x = coordinates("t x")
u = field("u", t, x)
g = input_function("g", t, law=GaussianField(10, tau=3, alpha=2, boundary="dirichlet"))

problem = Problem(
    name="heated_rod_family",
    domain=Box(t=(0, 1), x=(0, 1), time="t"),
    conditions=[
        Equation(Eq(u.diff(t), 0.1 * u.diff(x, 2)), name="heat"),
        Initial(u, 0),
        Dirichlet(u, g, on="x-"),
        Dirichlet(u, 0, on="x+"),
    ],
)
