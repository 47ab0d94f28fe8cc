"""Laplace's equation between a square and four disks: u = 1 on the square, 0 on the disks.

Domain [-0.5, 0.5]^2 without disks of radius 0.1 at (±0.3, ±0.3). The problem "Poisson 2d-C" of
Hao et al., "PINNacle: a comprehensive benchmark of physics-informed neural networks" (2023).
"""

from sympy import Eq

from pinnkit import Dirichlet, Equation, MeshDomain, Problem, coordinates, field, laplacian

x, y = coordinates("x y")
u = field("u", x, y)

problem = Problem(
    name="poisson_disks",
    domain=MeshDomain.read("four_disks"),
    conditions=[
        Equation(Eq(laplacian(u), 0), name="laplace"),
        Dirichlet(u, 1, on="outer"),
        Dirichlet(u, 0, on="disks"),
    ],
)
