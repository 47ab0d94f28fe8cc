"""Vibrations of a drum, -u_xx - u_yy = E u on the unit disk, u = 0 on the rim.

E = j_mn^2, the zeros of the Bessel function J_m, double for m > 0. Courant and Hilbert, "Methods
of Mathematical Physics" I, section V.5.5.
"""

from sympy import Eq

from pinnkit import (
    Dirichlet,
    Disk,
    Equation,
    Problem,
    coordinates,
    eigenvalue,
    field,
    laplacian,
)

x, y = coordinates("x y")
u = field("u", x, y)
E = eigenvalue("E")

problem = Problem(
    name="membrane_disk",
    domain=Disk(x=0, y=0, radius=1),
    conditions=[Equation(Eq(-laplacian(u), E * u), name="membrane"), Dirichlet(u, 0)],
)
