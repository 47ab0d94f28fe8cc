"""Bessel's equation as a Sturm-Liouville problem, -(x u')' + m^2/x u = E x u on [1, 2].

u(1) = 0 and u'(2) = 0: vibrations of an annular membrane, clamped inside and free outside, with m
nodal diameters. With k^2 = E the levels are the roots of J_m(k) Y_m'(2k) - Y_m(k) J_m'(2k) = 0:
Courant and Hilbert, "Methods of Mathematical Physics" I, chapter V; DLMF, section 10.21(x).
"""

from sympy import Eq

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Neumann,
    Problem,
    coordinates,
    eigenvalue,
    field,
    parameter,
)

x = coordinates("x")
u = field("u", x)
E = eigenvalue("E")
m = parameter("m", 1)

problem = Problem(
    name="sturm_liouville",
    domain=Box(x=(1, 2)),
    conditions=[
        Equation(Eq(-(x * u.diff(x)).diff(x) + m**2 / x * u, E * x * u), name="bessel"),
        Dirichlet(u, 0, on="x-"),
        Neumann(u, 0, on="x+"),
    ],
)
