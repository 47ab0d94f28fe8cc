"""Particle between hard walls, -psi'' = E psi on [0, 1], psi = 0 at both ends.

Exact: E = n^2 pi^2, psi = sin(n pi x), n = 1, 2, ... Any text on quantum mechanics, for example
Griffiths, "Introduction to Quantum Mechanics", section 2.2 (units hbar^2/2m = 1).
"""

from sympy import Eq

from pinnkit import Box, Dirichlet, Equation, Problem, coordinates, eigenvalue, field

x = coordinates("x")
psi = field("psi", x)
E = eigenvalue("E")

problem = Problem(
    name="well_infinite",
    domain=Box(x=(0, 1)),
    conditions=[
        Equation(Eq(-psi.diff(x, 2), E * psi), name="schrödinger"),
        Dirichlet(psi, 0),
    ],
)
