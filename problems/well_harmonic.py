"""Harmonic oscillator, -psi'' + x^2 psi = E psi, cut off at |x| = 8.

Exact on the line: E = 2n + 1, psi = H_n(x) exp(-x^2/2), n = 0, 1, ...; the cut changes the lowest
states by less than round-off. Griffiths, "Introduction to Quantum Mechanics", section 2.3.
"""

from sympy import Eq

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, eigenvalue, field

x = coordinates("x")
psi = field("psi", x)
E = eigenvalue("E")

problem = Problem(
    name="well_harmonic",
    domain=Box(x=(-8, 8)),
    conditions=[
        Equation(Eq(-psi.diff(x, 2) + x**2 * psi, E * psi), name="schrödinger"),
        Dirichlet(psi, 0),
    ],
)
