"""Laplace's equation between a square and four disks, on exact circles: u = 1 outside, 0 inside.

[-0.5, 0.5]^2 without the disks of radius 0.1 at (±0.3, ±0.3): the problem "Poisson 2d-C" of Hao
et al., "PINNacle: a comprehensive benchmark of physics-informed neural networks" (2023).
u(0, 0) = 0.2335849223. The same on a triangle mesh is `poisson_disks`.
"""

from sympy import Eq

from pinnkit import Box, Dirichlet, Disk, Equation, Problem, coordinates, field, laplacian

x, y = coordinates("x y")
u = field("u", x, y)

square = Box(x=(-0.5, 0.5), y=(-0.5, 0.5))
disks = [Disk(x=a, y=b, radius=0.1, name="disks") for a in (-0.3, 0.3) for b in (-0.3, 0.3)]

problem = Problem(
    name="four_disks",
    domain=square - disks[0] - disks[1] - disks[2] - disks[3],
    conditions=[
        Equation(Eq(laplacian(u), 0), name="laplace"),
        Dirichlet(u, 1, on=("x-", "x+", "y-", "y+")),
        Dirichlet(u, 0, on="disks"),
    ],
)
