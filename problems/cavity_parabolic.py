"""Steady flow in a cavity whose lid moves with the speed 4 x (1 - x), by its streamfunction.

u = psi_y, v = -psi_x; psi_y zeta_x - psi_x zeta_y = lap zeta / Re with zeta = lap psi. The lid's
speed falls to zero in its corners with a finite slope, which the walls at rest contradict: the
vorticity jumps there. The flow "NS2d-C" of the collection PINNacle (Hao et al., NeurIPS 2024).
"""

from sympy import Eq

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Neumann,
    Problem,
    coordinates,
    field,
    laplacian,
    parameter,
)

x, y = coordinates("x y")
psi = field("psi", x, y)
Re = parameter("Re", 100)
zeta = laplacian(psi)

problem = Problem(
    name="cavity_parabolic",
    domain=Box(x=(0, 1), y=(0, 1)),
    conditions=[
        Equation(
            Eq(psi.diff(y) * zeta.diff(x) - psi.diff(x) * zeta.diff(y), laplacian(zeta) / Re),
            name="vorticity",
        ),
        Dirichlet(psi, 0),
        Neumann(psi, 4 * x * (1 - x), on="y+", name="lid"),
        Neumann(psi, 0, on=("x-", "x+", "y-"), name="walls"),
    ],
    scales={psi: 0.1},
)
