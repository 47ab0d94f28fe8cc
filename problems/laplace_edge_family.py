"""Laplace's equation on the unit square for random values u = g(y) on the left edge.

u = 0 on the other edges. g has the covariance (-d^2/dy^2 + 9)^-2 and vanishes at both ends, so
that values agree at the corners.
"""

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    GaussianField,
    Problem,
    coordinates,
    field,
    input_function,
    laplacian,
)

x, y = coordinates("x y")
u = field("u", x, y)
g = input_function("g", y, law=GaussianField(10, tau=3, alpha=2, boundary="dirichlet"))

problem = Problem(
    name="laplace_edge_family",
    domain=Box(x=(0, 1), y=(0, 1)),
    conditions=[
        Equation(laplacian(u), name="laplace"),
        Dirichlet(u, g, on="x-"),
        Dirichlet(u, 0, on=("x+", "y-", "y+")),
    ],
)
