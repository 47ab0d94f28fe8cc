"""Darcy flow, -div(a grad u) = 1 on the unit square, u = 0 around, for random permeabilities a.

a is 12 where a Gaussian field of covariance 3^2 (-lap + 3^2)^(-2), with zero normal derivative at
the sides and no constant part, is positive, and 3 elsewhere: Li et al., "Fourier neural operator
for parametric PDEs" (ICLR 2021).
"""

from sympy import Eq

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    GaussianField,
    Problem,
    Threshold,
    coordinates,
    div,
    field,
    grad,
    input_function,
)

x, y = coordinates("x y")
u = field("u", x, y)
field_law = GaussianField(3, tau=3, alpha=2, boundary="neumann", zero_mean=True)
a = input_function("a", x, y, law=Threshold(field_law, low=3, high=12))

problem = Problem(
    name="darcy_family",
    domain=Box(x=(0, 1), y=(0, 1)),
    conditions=[
        Equation(Eq(-div([a * slope for slope in grad(u)], x, y), 1), name="darcy"),
        Dirichlet(u, 0),
    ],
)
