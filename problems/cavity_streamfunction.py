"""Steady flow in a lid-driven cavity by its streamfunction, u = psi_y, v = -psi_x.

psi_y zeta_x - psi_x zeta_y = lap zeta / Re with zeta = lap psi, of fourth order in psi alone:
no pressure, and mass is conserved exactly. The lid's speed 16 x^2 (1 - x)^2 vanishes smoothly in
the corners: Shih, Tan and Hwang (Int. J. Numer. Methods Fluids 9, 1989).
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
    name="cavity_streamfunction",
    domain=Box(x=(0, 1), y=(0, 1)),
    conditions=[
        Equation(
            Eq(psi.diff(y) * zeta.diff(x) - psi.diff(x) * zeta.diff(y), laplacian(zeta) / Re),
            name="vorticity",
        ),
        Dirichlet(psi, 0),
        Neumann(psi, 16 * x**2 * (1 - x) ** 2, on="y+", name="lid"),
        Neumann(psi, 0, on=("x-", "x+", "y-"), name="walls"),
    ],
    scales={psi: 0.1},
)
