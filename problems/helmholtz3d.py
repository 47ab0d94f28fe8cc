"""Helmholtz's equation laplacian u + k^2 u = q on [-1, 1]^3, u = 0 around, with whole a1, a2, a3.

Exact: u = sin(a1 pi x) sin(a2 pi y) sin(a3 pi z). (4, 4, 3) is the setting of Cho et al.,
"Separable physics-informed neural networks" (NeurIPS 2023).
"""

from sympy import Eq, pi, sin

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, field, laplacian, parameter

x, y, z = coordinates("x y z")
u = field("u", x, y, z)
k, a1, a2, a3 = parameter("k", 1), parameter("a1", 4), parameter("a2", 4), parameter("a3", 3)
exact = sin(a1 * pi * x) * sin(a2 * pi * y) * sin(a3 * pi * z)

problem = Problem(
    name="helmholtz3d",
    domain=Box(x=(-1, 1), y=(-1, 1), z=(-1, 1)),
    conditions=[
        Equation(Eq(laplacian(u) + k**2 * u, (k**2 - (a1**2 + a2**2 + a3**2) * pi**2) * exact)),
        Dirichlet(u, 0),
    ],
    exact={u: exact},
)
