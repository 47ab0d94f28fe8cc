"""Condensate in a trap, -u''/2 + x^2/2 u + beta |u|^2 u = mu u with int u^2 = 1, |x| < 10.

The ground state of the Gross-Pitaevskii equation; mu is the chemical potential. For beta = 0 it is
exp(-x^2/2)/pi^(1/4) with mu = 1/2, for large beta mu tends to (9 beta^2/32)^(1/3), Thomas and
Fermi's value. Bao and Cai, Kinetic and Related Models 6 (2013) 1-135, sections 2 and 3.
"""

from sympy import Abs, Eq

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Integral,
    Problem,
    coordinates,
    eigenvalue,
    field,
    parameter,
)

x = coordinates("x")
u = field("u", x)
mu = eigenvalue("mu")
beta = parameter("beta", 100)
trap = x**2 / 2

problem = Problem(
    name="gross_pitaevskii",
    domain=Box(x=(-10, 10)),
    conditions=[
        Equation(Eq(-u.diff(x, 2) / 2 + trap * u + beta * Abs(u) ** 2 * u, mu * u)),
        Dirichlet(u, 0),
        Integral(u**2, 1),
    ],
)
