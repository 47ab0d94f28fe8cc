"""Quartic oscillator, -psi'' + x^4 psi = E psi, cut off at |x| = 6.

E = 1.0603620904841829, 3.7996730298013942, 7.4556979379867384, 11.6447455113781620, ...: Bender
and Orszag, "Advanced Mathematical Methods for Scientists and Engineers", section 10.5 (there as a
test of WKB). The cut changes the lowest states by less than round-off.
"""

from sympy import Eq

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, eigenvalue, field

x = coordinates("x")
psi = field("psi", x)
E = eigenvalue("E")

problem = Problem(
    name="well_quartic",
    domain=Box(x=(-6, 6)),
    conditions=[
        Equation(Eq(-psi.diff(x, 2) + x**4 * psi, E * psi), name="schrödinger"),
        Dirichlet(psi, 0),
    ],
)
