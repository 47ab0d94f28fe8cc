"""Poisson's equation in five dimensions, -laplacian u = pi^2 sum_i cos(pi x_i) on [0, 1]^5.

Exact: u = sum_i cos(pi x_i), which is given on the boundary. The setting of Müller and Zeinhofer,
"Achieving high accuracy with PINNs via energy natural gradient descent" (ICML 2023).
"""

from sympy import Eq, cos, pi

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field, laplacian

x = coordinates("x1 x2 x3 x4 x5")
u = field("u", *x)
exact = sum(cos(pi * xi) for xi in x)

problem = Problem(
    name="poisson5d",
    domain=Box(x1=(0, 1), x2=(0, 1), x3=(0, 1), x4=(0, 1), x5=(0, 1)),
    conditions=[
        Equation(Eq(-laplacian(u), pi**2 * exact), name="poisson"),
        Dirichlet(u, exact),
    ],
    exact={u: exact},
)
